"""/metrics: what the service does, as Prometheus reads it.

Calls are counted by this process; runs, pictures and the queue are asked of the database, so that each process of the
service, and a new one, tells the same of them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from fastapi import APIRouter, Depends, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from limner.server.auth import admin
from limner.studio.studio import Studio

BUCKETS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)


class Metrics:
    """The figures of one process."""

    def __init__(self, studio: Studio) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self.calls = Counter("limner_http_requests", "Calls answered.", labels, registry=self.registry)
        told = "Time until a call was answered."
        self.seconds = Histogram("limner_http_seconds", told, labels[:2], buckets=BUCKETS, registry=self.registry)
        self.registry.register(Runs(studio))


class Runs(Collector):
    """The runs of the queue, counted when they are asked for."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    def describe(self) -> list[Metric]:
        return []  # known without a look at the database

    def collect(self) -> Iterator[Metric]:
        state = self.studio.runs.stats()
        runs = GaugeMetricFamily("limner_runs", "Runs there are, by kind and status.", labels=("kind", "status"))
        for (kind, status), count in state.runs.items():
            runs.add_metric((kind, status), count)
        yield runs
        yield CounterMetricFamily("limner_artifacts", "Pictures, adapters and other results kept.", state.artifacts)
        yield GaugeMetricFamily("limner_queue_oldest_seconds", "How long the oldest waiting run waits.", state.oldest)
        yield GaugeMetricFamily("limner_workers_busy", "Workers that carry out a run.", state.workers)
        yield GaugeMetricFamily("limner_deliveries_due", "Deliveries to webhooks that wait.", state.deliveries)


class Measured:
    """Counts and times the calls of an application, by route and not by path, so that the figures stay few."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        began, status = time.perf_counter(), 500

        async def heard(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, heard)
        finally:
            route = getattr(scope.get("route"), "path", "unknown")
            method = scope["method"] if scope["method"] in METHODS else "other"
            self.metrics.calls.labels(method, route, status).inc()
            self.metrics.seconds.labels(method, route).observe(time.perf_counter() - began)


METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def router(metrics: Metrics) -> APIRouter:
    """The route that Prometheus scrapes."""
    routes = APIRouter(tags=["operations"])

    @routes.get("/metrics", response_class=Response, dependencies=[Depends(admin)])
    def told() -> Response:
        """The figures as text; where keys are asked for, an admin's."""
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return routes
