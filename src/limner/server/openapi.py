"""The OpenAPI document of the HTTP API; `python -m limner.server.openapi` prints the one in docs/openapi.json."""

from __future__ import annotations

import json
import sys
from tempfile import TemporaryDirectory

from limner.server.app import create_app
from limner.server.settings import Settings
from limner.studio.studio import Studio


def openapi_json() -> str:
    """Return the OpenAPI document as JSON; the text depends on the version only."""
    with TemporaryDirectory() as home:
        studio = Studio(home)
        document = create_app(studio, Settings()).openapi()
        studio.close()
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(openapi_json())
