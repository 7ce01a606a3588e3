"""Keeps the routes that FastAPI builds: most tests of the server and its pages make an application of their own."""

from __future__ import annotations

from dataclasses import replace

from fastapi import routing
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute


def keep_built_routes() -> None:
    """Let applications share the routes that they include equally: their first request otherwise takes 0.1 s longer."""
    build = routing._IncludedRouter._build_effective_context
    kept: dict[int, list[tuple[object, BaseRoute, object]]] = {}

    def build_once(included: routing._IncludedRouter, route: BaseRoute) -> object:
        if not isinstance(route, APIRoute):
            return build(included, route)
        context = replace(included.include_context, dependency_overrides_provider=None)
        before = kept.setdefault(id(route), [])
        for known, owner, made in before:
            if owner is route and known == context:
                return made
        made = build(replace(included, include_context=context), route)
        before.append((context, route, made))
        return made

    routing._IncludedRouter._build_effective_context = build_once  # type: ignore[method-assign]
