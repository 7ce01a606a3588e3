"""The whole site: the HTTP API and the pages of the studio."""

from __future__ import annotations

from functools import cache
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, FastAPI, Path
from fastapi.responses import FileResponse, Response

from limner.server.app import create_app
from limner.server.problems import HTTPError
from limner.server.profile import Profile
from limner.server.settings import Settings
from limner.studio.studio import Studio
from limner.web import live
from limner.web.assets import FOREVER, STATIC, content_hash
from limner.web.downloads import Downloads
from limner.web.erasures import ErasureWorker, carry_out_erasures
from limner.web.followers import follow_drafts
from limner.web.indexing import index_images
from limner.web.pages import (
    create,
    discover,
    feedback,
    gallery,
    home,
    library,
    marketing,
    pets,
    portfolio,
    queue,
    sign_in,
    teach,
    teach_images,
    teach_training,
    thumbnails,
)
from limner.web.security import ErrorPagesMiddleware, PageHeadersMiddleware

PAGES = (
    home.router,
    create.router,
    live.router,
    pets.router,
    marketing.router,
    gallery.router,
    thumbnails.router,
    discover.router,
    feedback.router,
    teach.router,
    teach_images.router,
    teach_training.router,
    queue.router,
    library.router,
    portfolio.router,
    sign_in.router,
)
assets = APIRouter()


def create_site(studio: Studio, settings: Settings, profile: Profile | None = None) -> FastAPI:
    """Return the API with the pages as an ASGI application."""
    app = create_app(studio, settings, profile)
    app.state.downloads = Downloads(studio.fetch)
    for router in (*PAGES, assets):
        app.include_router(router, include_in_schema=False)
    app.state.erasures = ErasureWorker(studio.maintenance.erasures)
    follow_drafts(app)
    carry_out_erasures(app)
    index_images(app)
    app.add_middleware(ErrorPagesMiddleware)
    app.add_middleware(PageHeadersMiddleware)
    return app


@assets.get("/static/{digest}/{name:path}")
def download_asset(digest: str, name: Annotated[str, Path(max_length=100)]) -> Response:
    """Return a file that pages load."""
    if name not in _names() or content_hash(name) != digest:
        raise HTTPError(HTTPStatus.NOT_FOUND, f"there is no file {name[:80]!r}")
    return FileResponse(STATIC / name, headers={"Cache-Control": FOREVER, "X-Content-Type-Options": "nosniff"})


@cache
def _names() -> frozenset[str]:
    """The names of all files that pages load."""
    return frozenset(path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*") if path.is_file())
