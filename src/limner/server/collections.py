"""/v1/collections: pictures under names, each account's own."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from fastapi import Path as Part
from pydantic import Field, field_validator

from limner.core.errors import LimnerError
from limner.core.feedback import Collection, GeneratedImage
from limner.core.requests import Frozen
from limner.server.history import Viewed, finder
from limner.server.problems import Refusal
from limner.studio.studio import Studio

Id = Annotated[int, Part(ge=1, lt=2**31)]


class Named(Frozen):
    """What a collection is called."""

    name: str = Field(min_length=1, max_length=100, examples=["Summer campaign"])

    @field_validator("name")
    @classmethod
    def _said(cls, value: str) -> str:
        if not value.strip() or not value.isprintable():
            raise ValueError(f"{value!r} is no name; write one in plain letters")
        return value.strip()


def router(studio: Studio) -> APIRouter:
    """The routes of collections."""
    routes = APIRouter(prefix="/v1/collections", tags=["history"])
    collections, find = studio.collections, finder(studio)

    def own(collection: Id, view: Viewed) -> Collection:
        try:
            return collections.get(view, collection)
        except LimnerError as error:
            raise Refusal(HTTPStatus.NOT_FOUND, error.problem, "GET /v1/collections lists those there are") from error

    @routes.get("")
    def listed(view: Viewed) -> list[Collection]:
        """Your collections, by name; GET /v1/pictures?collection=ID lists the pictures of one."""
        return collections.list(view)

    @routes.post("", status_code=201)
    def made(named: Named, view: Viewed, response: Response) -> Collection:
        """A new and empty one."""
        collection = collections.add(view, named.name)
        response.headers["Location"] = f"/v1/collections/{collection.id}"
        return collection

    @routes.get("/{collection}", responses={404: {}})
    def shown(collection: Collection = Depends(own)) -> Collection:
        """One of your collections."""
        return collection

    @routes.put("/{collection}", responses={404: {}})
    def renamed(named: Named, view: Viewed, collection: Collection = Depends(own)) -> Collection:
        """Give it another name."""
        return collections.rename(view, collection.id, named.name)

    @routes.delete("/{collection}", status_code=204, responses={404: {}})
    def removed(view: Viewed, collection: Collection = Depends(own)) -> None:
        """Let go of it; its pictures stay."""
        collections.remove(view, collection.id)

    @routes.put("/{collection}/pictures/{picture}", responses={404: {}})
    def put_in(
        view: Viewed, collection: Collection = Depends(own), picture: GeneratedImage = Depends(find)
    ) -> Collection:
        """Put a picture in."""
        return collections.put(view, collection.id, picture.id, True)

    @routes.delete("/{collection}/pictures/{picture}", responses={404: {}})
    def taken_out(
        view: Viewed, collection: Collection = Depends(own), picture: GeneratedImage = Depends(find)
    ) -> Collection:
        """Take a picture out."""
        return collections.put(view, collection.id, picture.id, False)

    return routes
