"""The FastAPI application: its routes, middleware and error handlers."""

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
    discover,
    erasure,
    feedback,
    files,
    history,
    images,
    improving,
    marketing,
    moderation,
    monitoring,
    pets,
    runs,
    verify,
    webhooks,
)
from limner.server.auth import BEARER, DOCS, AuthMiddleware, SignedLinks
from limner.server.dependencies import ServerState
from limner.server.error_format import ErrorFormatMiddleware, install_openapi
from limner.server.hosts import HostsMiddleware
from limner.server.idempotency import IdempotencyMiddleware
from limner.server.limits import BodyLimitMiddleware, ExaminationLimit
from limner.server.monitoring import MetricsMiddleware, RequestLogMiddleware, ServerMetrics
from limner.server.problems import Problem, install_error_handlers
from limner.server.profile import Profile, read_profile, store_files
from limner.server.settings import Settings
from limner.server.waiting import RunWaiter
from limner.server.webhook_delivery import WebhookSender
from limner.studio.studio import Studio

ROUTERS = (
    marketing.router,
    pets.router,
    images.router,
    runs.router,
    files.router,
    verify.router,
    erasure.router,
    history.router,
    feedback.router,
    improving.router,
    discover.router,
    account.router,
    webhooks.router,
    moderation.router,
    monitoring.metrics_router,
)


def create_app(studio: Studio, settings: Settings, profile: Profile | None = None) -> FastAPI:
    """Return the HTTP API as an ASGI application. It queues runs; workers have to be started separately."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with WebhookSender(studio).running():
            yield

    app = FastAPIOffline(
        title="Limner",
        version=version(),
        summary="Train a text-to-image model on a subject or style, and generate images of it.",
        lifespan=lifespan,
        redoc_url=None,
        static_url=DOCS,
        responses={"4XX": {"model": Problem, "description": "An error that the client can correct."}},
    )
    links = SignedLinks(partial(studio.secret, "links")) if settings.needs_keys else None
    ready, granted = store_files(profile or read_profile(settings.profile), studio)
    app.state.server = ServerState(studio, settings, ready, granted, links, RunWaiter(studio), ExaminationLimit())
    app.state.metrics = ServerMetrics(studio)
    install_error_handlers(app)
    install_openapi(app)
    for router in ROUTERS:
        app.include_router(router, dependencies=[Depends(BEARER)])
    app.include_router(monitoring.health_router)
    # the last one added sees a request first
    in_flight = timedelta(seconds=settings.wait_seconds + 60)
    app.add_middleware(IdempotencyMiddleware, answers=studio.idempotency_records(in_flight))
    app.add_middleware(BodyLimitMiddleware, upload_bytes=settings.upload_bytes)
    app.add_middleware(AuthMiddleware, accounts=studio.accounts if settings.needs_keys else None, links=links)
    app.add_middleware(MetricsMiddleware, metrics=app.state.metrics)
    app.add_middleware(HostsMiddleware, hosts=settings.host_names, any_address=settings.host in ("0.0.0.0", "::"))
    app.add_middleware(ErrorFormatMiddleware)
    app.add_middleware(RequestLogMiddleware)
    return app
