"""/v1/models: the base models that have names, as OpenAI's clients list them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from limner.core.protocols import Alias
from limner.plugins.registry import aliases
from limner.server.images import REFUSED
from limner.server.problems import Refusal


class Model(BaseModel):
    """A model by the name that requests give it. created: always 0, for nobody told."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str


class Models(BaseModel):
    object: Literal["list"] = "list"
    data: list[Model]


def router() -> APIRouter:
    """The routes of models."""
    routes = APIRouter(prefix="/v1/models", tags=["openai"], responses=REFUSED)

    @routes.get("")
    def listed() -> Models:
        """The models that have names. One that is not on this machine is fetched when it is first used."""
        return Models(data=[_told(name, alias) for name, (_, alias) in sorted(aliases().items())])

    @routes.get("/{model}")
    def shown(model: str) -> Model:
        """One of them."""
        if model not in aliases():
            told = f"there is no model {model[:80]!r}"
            raise Refusal(HTTPStatus.NOT_FOUND, told, "GET /v1/models lists them", pointer="/model")
        return _told(model, aliases()[model][1])

    return routes


def _told(name: str, alias: Alias) -> Model:
    hub = ":" not in alias.reference and "/" in alias.reference
    return Model(id=name, owned_by=alias.reference.partition("/")[0] if hub else "limner")
