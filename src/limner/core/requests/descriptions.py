"""Descriptions of fields on each surface: a field that another one's description names in backticks is called there as
the surface calls it, such as `--image` on the command line and by its label on a page. Documents of the API show it as
it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from pydantic.fields import FieldInfo

FIELD = re.compile(r"`([a-z][a-z0-9_]*)`")
"""A field's name in backticks."""


def described(text: str, fields: Mapping[str, FieldInfo], name: Callable[[str, FieldInfo], str]) -> str:
    """A description in which names of `fields` are replaced by what `name` returns; other names in backticks stay."""
    return FIELD.sub(lambda found: name(found[1], fields[found[1]]) if found[1] in fields else found[0], text)
