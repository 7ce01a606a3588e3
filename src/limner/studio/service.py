"""What the HTTP service stores besides runs and images: accounts, idempotency records, webhooks and verdicts."""

from limner.store.accounts import Accounts, shared_secret
from limner.store.collections import ImageCollections
from limner.store.idempotency import IdempotencyRecords, InFlight, StoredResponse
from limner.store.verdicts import Verdicts
from limner.store.webhook_deliveries import Webhooks

__all__ = [
    "Accounts",
    "IdempotencyRecords",
    "ImageCollections",
    "InFlight",
    "StoredResponse",
    "Verdicts",
    "Webhooks",
    "shared_secret",
]
