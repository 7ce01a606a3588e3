"""/v1/webhooks: addresses that are told when a run of one's own ends."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field

from limner.core.accounts import Caller
from limner.core.requests import Frozen
from limner.core.webhooks import Delivery, Occasion, Webhook
from limner.fetch import check_public
from limner.server.auth import caller
from limner.server.webhook_delivery import secret_of
from limner.studio.studio import Studio


class WebhookRequest(Frozen):
    """An address to be told. url: http or https, at a public address."""

    url: str = Field(min_length=1, max_length=2048, examples=["https://example.com/limner"])
    events: tuple[Occasion, ...] = Field(
        default=("run.done", "run.failed", "run.cancelled"), min_length=1, max_length=16
    )


class WebhookReply(BaseModel):
    """A webhook. secret: told once, when it is made; receivers check the signature by it (Standard Webhooks)."""

    id: str
    url: str
    events: tuple[Occasion, ...]
    created: datetime
    secret: str | None = None

    @staticmethod
    def of(webhook: Webhook, secret: str | None = None) -> WebhookReply:
        return WebhookReply(**webhook.model_dump(exclude={"owner"}), secret=secret and secret_of(secret))


def router(studio: Studio) -> APIRouter:
    """The routes of webhooks."""
    routes = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])

    @routes.post("", status_code=201)
    def added(request: WebhookRequest, who: Caller = Depends(caller)) -> WebhookReply:
        """Be told when runs end."""
        check_public(request.url)
        return WebhookReply.of(*studio.webhooks.add(who.account, request.url, request.events))

    @routes.get("", response_model_exclude_none=True)
    def listed(who: Caller = Depends(caller)) -> list[WebhookReply]:
        """One's own webhooks."""
        return [WebhookReply.of(webhook) for webhook in studio.webhooks.list(who.scope)]

    @routes.get("/{webhook}/deliveries")
    def deliveries(
        webhook: str, limit: Annotated[int, Query(ge=1, le=1000)] = 50, who: Caller = Depends(caller)
    ) -> list[Delivery]:
        """What a webhook was told, or is to be, newest first."""
        return studio.webhooks.deliveries(webhook, who.scope, limit)

    @routes.delete("/{webhook}", status_code=204)
    def removed(webhook: str, who: Caller = Depends(caller)) -> Response:
        """Be told no more."""
        studio.webhooks.remove(webhook, who.scope)
        return Response(status_code=204)

    return routes
