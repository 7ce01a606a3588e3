"""Renders the templates of pages and of parts of pages."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from limner.web.assets import asset_path
from limner.web.wording import signer_text

TEMPLATES = Path(__file__).with_name("templates")
NAVIGATION = (
    ("home", "/", "Home"),
    ("create", "/create", "Create"),
    ("teach", "/teach", "Teach"),
    ("gallery", "/gallery", "Gallery"),
    ("discover", "/discover", "Discover"),
    ("feedback", "/feedback", "Feedback"),
    ("queue", "/queue", "Queue"),
    ("library", "/library", "Library"),
)
"""Pages of the navigation: icon and key, path, name. A page stands here once it exists."""


def moment(time: datetime) -> str:
    """A moment in UTC: "30 November, 14:05 UTC", with its year where that is another one."""
    time, year = time.astimezone(UTC), datetime.now(UTC).year
    return f"{time.day} {time.strftime('%B' if time.year == year else '%B %Y')}, {time.strftime('%H:%M')} UTC"


def since(time: datetime) -> str:
    """How long ago a moment was, such as "5 minutes ago"."""
    seconds = (datetime.now(UTC) - time).total_seconds()
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def environment() -> Environment:
    """The environment of all templates. Every text is escaped, and an unknown variable is an error."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["since"] = since
    made.globals["navigation"] = NAVIGATION
    return made


ENVIRONMENT = environment()


def page(request: Request, name: str, status: int = HTTPStatus.OK, **values: Any) -> HTMLResponse:
    """A whole page."""
    return _response(ENVIRONMENT.get_template(name).render(**_common(request), **values), status)


def part(request: Request, name: str, block: str, status: int = HTTPStatus.OK, **values: Any) -> HTMLResponse:
    """A block of a page, which replaces a part of the page that is open."""
    return _response(part_text(request, name, block, **values), status)


def parts(request: Request, status: int, *blocks: tuple[str, str], **values: Any) -> HTMLResponse:
    """Several blocks of pages, one after the other; each is a template and the name of its block."""
    return _response("".join(part_text(request, name, block, **values) for name, block in blocks), status)


def part_text(request: Request, name: str, block: str, **values: Any) -> str:
    """The HTML of a block of a page."""
    template = ENVIRONMENT.get_template(name)
    return "".join(template.blocks[block](template.new_context({**_common(request), **values})))


def came_from(request: Request) -> SplitResult:
    """The address of the page that sent a request; empty if it names none, or nothing that is an address."""
    text = request.headers.get("hx-current-url") or request.headers.get("referer") or ""
    try:
        return urlsplit(text[:4000])
    except ValueError:
        return urlsplit("")


def wants_part(request: Request) -> bool:
    """Whether htmx asks for a part of a page, and not for the whole page again, as it does after Back."""
    return "hx-request" in request.headers and "hx-history-restore-request" not in request.headers


def root_of(request: Request) -> str:
    """The path below which a proxy serves the site, without a slash at its end."""
    return request.scope.get("root_path", "").rstrip("/")


def go(request: Request, place: str) -> RedirectResponse:
    """Go on to a page of the site."""
    return RedirectResponse(f"{root_of(request)}{place}", HTTPStatus.SEE_OTHER)


def _common(request: Request) -> dict[str, Any]:
    root = root_of(request)

    def path(place: str) -> str:
        """A path below the site's root, also behind a proxy that serves the site under a prefix."""
        return f"{root}{place}"

    return {
        "path": path,
        "signer_text": signer_text,
        "asset": lambda name: path(asset_path(name)),
        "here": request.url.path.removeprefix(root) or "/",
        "htmx_config": json.dumps(
            {
                "defaultSettleDelay": 0,
                "morphIgnore": ["data-htmx-powered", "style", "open"],
                "defaultTimeout": 60000,
                "sse": {"reconnectMaxDelay": 5000},
            }
        ),
    }


def _response(text: str, status: int) -> HTMLResponse:
    return HTMLResponse(text, status, {"Cache-Control": "no-store", "Vary": "HX-Request"})
