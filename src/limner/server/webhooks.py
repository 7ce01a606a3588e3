"""/v1/webhooks: URLs that receive a POST when a run of the account ends."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from limner.core.requests import Frozen
from limner.core.webhooks import Delivery, Occasion, Webhook
from limner.fetch import check_public
from limner.server.auth import CallerDep
from limner.server.dependencies import StudioDep
from limner.server.webhook_delivery import encoded_secret

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])


class WebhookRequest(Frozen):
    """A webhook to create. url: http or https, at a public address."""

    url: str = Field(min_length=1, max_length=2048, examples=["https://example.com/limner"])
    events: tuple[Occasion, ...] = Field(
        default=("run.done", "run.failed", "run.cancelled"), min_length=1, max_length=16
    )


class WebhookReply(BaseModel):
    """A webhook. secret: returned only when the webhook is created; receivers verify signatures with it (Standard
    Webhooks).
    """

    id: str
    url: str
    events: tuple[Occasion, ...]
    created: datetime
    secret: str | None = None

    @staticmethod
    def of(webhook: Webhook, secret: str | None = None) -> WebhookReply:
        return WebhookReply(**webhook.model_dump(exclude={"owner"}), secret=secret and encoded_secret(secret))


@router.post("", status_code=201)
def create_webhook(request: WebhookRequest, studio: StudioDep, caller: CallerDep) -> WebhookReply:
    """Create a webhook."""
    check_public(request.url)
    return WebhookReply.of(*studio.webhooks.add(caller.account, request.url, request.events))


@router.get("", response_model_exclude_none=True)
def list_webhooks(studio: StudioDep, caller: CallerDep) -> list[WebhookReply]:
    """List your webhooks."""
    return [WebhookReply.of(webhook) for webhook in studio.webhooks.list(caller.scope)]


@router.get("/{webhook}/deliveries")
def list_deliveries(
    webhook: str, studio: StudioDep, caller: CallerDep, limit: Annotated[int, Query(ge=1, le=1000)] = 50
) -> list[Delivery]:
    """List the deliveries of a webhook, newest first, also those that are due."""
    return studio.webhooks.deliveries(webhook, caller.scope, limit)


@router.delete("/{webhook}", status_code=204)
def delete_webhook(webhook: str, studio: StudioDep, caller: CallerDep) -> Response:
    """Delete a webhook."""
    studio.webhooks.remove(webhook, caller.scope)
    return Response(status_code=204)
