"""The OpenAPI document; `python -m limner.server.openapi` prints it, as docs/openapi.json keeps it."""

from __future__ import annotations

import json
import sys
from tempfile import TemporaryDirectory

from limner.server.app import create_app
from limner.server.settings import Settings
from limner.studio.studio import Studio


def described() -> str:
    """OpenAPI as JSON, the same text for the same version."""
    with TemporaryDirectory() as home:
        studio = Studio(home)
        told = create_app(studio, Settings()).openapi()
        studio.close()
    return json.dumps(told, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(described())
