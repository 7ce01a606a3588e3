"""The application: routes, guards and errors put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

from fastapi import Depends, FastAPI
from fastapi_offline import FastAPIOffline

from limner.core.version import version
from limner.server import (
    account,
    collections,
    erasure,
    feedback,
    files,
    health,
    history,
    images,
    marketing,
    models,
    moderation,
    problems,
    runs,
    verify,
    webhooks,
)
from limner.server.auth import BEARER, DOCS, Door
from limner.server.body_limits import Bounds
from limner.server.error_format import Shaped
from limner.server.hosts import Guard
from limner.server.idempotency import Idempotency
from limner.server.links import Links
from limner.server.metrics import Measured, Metrics
from limner.server.metrics import router as metrics_router
from limner.server.openapi_errors import describe
from limner.server.prepared import settled
from limner.server.profile import Profile, read_profile
from limner.server.request_log import Calls
from limner.server.settings import Settings
from limner.server.webhook_delivery import Herald
from limner.studio.studio import Studio


def create_app(studio: Studio, settings: Settings, profile: Profile | None = None) -> FastAPI:
    """The service as an ASGI application; its runs wait for workers, which it does not start."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with Herald(studio).at_work():
            yield

    app = FastAPIOffline(
        title="Limner",
        version=version(),
        summary="Teach a text-to-image model a subject, then make new pictures of it.",
        lifespan=lifespan,
        redoc_url=None,
        static_url=DOCS,
        responses={"4XX": {"model": problems.Problem, "description": "A mistake that the caller can mend."}},
    )
    problems.install(app)
    links = Links(partial(studio.secret, "links")) if settings.asks_for_keys else None
    ready, granted = settled(profile or read_profile(settings.profile), studio)
    for router in (
        marketing.router(studio, settings, ready, granted, links),
        images.router(studio, settings, ready, granted, links),
        models.router(),
        runs.router(studio, settings, granted),
        files.router(studio, settings),
        verify.router(studio, settings),
        erasure.router(studio),
        history.router(studio),
        feedback.router(studio),
        collections.router(studio),
        account.router(studio),
        webhooks.router(studio),
        moderation.router(studio),
    ):
        app.include_router(router, dependencies=[Depends(BEARER)])
    app.include_router(health.router(studio))
    describe(app)
    metrics = Metrics(studio)
    app.include_router(metrics_router(metrics), dependencies=[Depends(BEARER)])
    patience = timedelta(seconds=settings.wait_seconds + 60)
    app.add_middleware(Idempotency, answers=studio.idempotency_records(patience))
    app.add_middleware(Bounds, bytes_most=settings.upload_bytes)
    app.add_middleware(Door, accounts=studio.accounts if settings.asks_for_keys else None, links=links)
    app.add_middleware(Measured, metrics=metrics)
    app.add_middleware(Guard, hosts=settings.host_names, literal=settings.host in ("0.0.0.0", "::"))
    app.add_middleware(Shaped)
    app.add_middleware(Calls)
    return app
