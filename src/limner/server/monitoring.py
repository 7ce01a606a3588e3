"""Monitoring: health checks, Prometheus metrics, and a log line for each request."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Iterator

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from pydantic import BaseModel
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from limner.core.logs import CALL
from limner.server.auth import current_admin
from limner.server.dependencies import StudioDep
from limner.studio.studio import Studio

BUCKETS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
REQUEST_ID = re.compile(r"[\w.:-]{1,64}", re.ASCII)
log = logging.getLogger("limner.calls")
health_router = APIRouter(tags=["operations"])
metrics_router = APIRouter(tags=["operations"])


class Health(BaseModel):
    status: str = "ok"


@health_router.get("/healthz")
async def check_liveness() -> Health:
    """Return ok while the process responds."""
    return Health()


@health_router.get("/readyz")
def check_readiness(studio: StudioDep) -> Health:
    """Return ok while the database responds too."""
    studio.runs.list(1)
    return Health()


@metrics_router.get("/metrics", response_class=Response, dependencies=[Depends(current_admin)])
def get_metrics(request: Request) -> Response:
    """Return the metrics in the text format of Prometheus. If keys are needed, for admins only."""
    metrics: ServerMetrics = request.app.state.metrics
    return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)


class ServerMetrics:
    """Metrics of one process: its requests, and the database's runs, artifacts and deliveries."""

    def __init__(self, studio: Studio) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self.requests = Counter("limner_http_requests", "Requests answered.", labels, registry=self.registry)
        self.seconds = Histogram(
            "limner_http_seconds", "Time to answer a request.", labels[:2], buckets=BUCKETS, registry=self.registry
        )
        self.registry.register(StoreCollector(studio))


class StoreCollector(Collector):
    """Metrics of the database, read when they are collected, so that all processes report the same."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    def describe(self) -> list[Metric]:
        return []  # registering must not read the database

    def collect(self) -> Iterator[Metric]:
        state = self.studio.runs.stats()
        runs = GaugeMetricFamily("limner_runs", "Runs by kind and status.", labels=("kind", "status"))
        for (kind, status), count in state.runs.items():
            runs.add_metric((kind, status), count)
        yield runs
        yield CounterMetricFamily("limner_artifacts", "Images, adapters and other artifacts.", state.artifacts)
        yield GaugeMetricFamily("limner_queue_oldest_seconds", "Age of the oldest queued run.", state.oldest)
        yield GaugeMetricFamily("limner_workers_busy", "Workers that execute a run.", state.workers)
        yield GaugeMetricFamily("limner_deliveries_due", "Webhook deliveries that wait.", state.deliveries)


class MetricsMiddleware:
    """Counts and times requests by route. Paths would make too many time series."""

    def __init__(self, app: ASGIApp, metrics: ServerMetrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        began, status = time.perf_counter(), 500

        async def observe(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, observe)
        finally:
            route = getattr(scope.get("route"), "path", "unknown")
            method = scope["method"] if scope["method"] in METHODS else "other"
            self.metrics.requests.labels(method, route, status).inc()
            self.metrics.seconds.labels(method, route).observe(time.perf_counter() - began)


class RequestLogMiddleware:
    """Gives each request an id, its own X-Request-ID or a new one, and logs its result.

    Query strings are not logged: they may hold the signature of a link.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        began, status = time.perf_counter(), 0

        async def add_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        token = CALL.set(request_id)
        try:
            await self.app(scope, receive, add_id)
        finally:
            caller = scope.get("state", {}).get("caller")
            facts = {
                "method": scope["method"],
                "path": scope["path"],
                "status": status,
                "milliseconds": round(1000 * (time.perf_counter() - began), 1),
                "account": caller.account if caller else "",
            }
            log.info("%s %s %d", scope["method"], scope["path"], status, extra={"facts": facts})
            CALL.reset(token)
