"""The tables, with types that SQLite and PostgreSQL share. Attributes are named like their columns."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Float,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from limner.core.moderation import Verdict
from limner.store import patterns
from limner.store.columns import Base, PatternString, UtcDateTime


class RunRow(Base):
    """A run and its request.

    worker, lease: the worker that executes a queued run, and when its lease expires unless it is renewed.
    owner, key: the account that owns the run and the key that submitted it; empty where there are no accounts.
    policy: digest of the policy that a worker moderates it by.
    turn: decides which of several queued runs with the same priority is first; None for the time of creation.
    execution: how the request is executed, as far as it differs from the default. internal_error: see `Run`.
    batch_key: of its request and execution; queued runs with the same key can be executed as one batch.
    erasure: the erasure that it waits for, which can be undone until then; None for any other run.
    """

    __tablename__ = "runs"
    __table_args__ = (
        Index("ix_runs_queue", "queue", "status", "priority", "created"),
        Index("ix_runs_owner", "owner", "created"),
        Index("ix_runs_batch_key", "batch_key", "status"),
    )

    id: Mapped[str] = mapped_column(PatternString(32, patterns.RUN), primary_key=True)
    kind: Mapped[str] = mapped_column(PatternString(32))
    request: Mapped[dict[str, Any]] = mapped_column(JSON)
    digest: Mapped[str] = mapped_column(PatternString(64, patterns.SHA256), index=True, info={"hash_of": "request"})
    status: Mapped[str] = mapped_column(PatternString(16, patterns.STATUS), index=True)
    parent: Mapped[str | None] = mapped_column(ForeignKey("runs.id", ondelete="SET NULL"))
    out: Mapped[str | None] = mapped_column(Text)
    error: Mapped[str | None] = mapped_column(Text)
    created: Mapped[datetime] = mapped_column(UtcDateTime)
    started: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished: Mapped[datetime | None] = mapped_column(UtcDateTime)
    queue: Mapped[str | None] = mapped_column(PatternString(32))
    priority: Mapped[int] = mapped_column(server_default="0", default=0)
    attempt: Mapped[int] = mapped_column(server_default="0", default=0)
    worker: Mapped[str | None] = mapped_column(PatternString(64))
    lease: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cancel: Mapped[bool] = mapped_column(server_default=false(), default=False)
    progress: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    tags: Mapped[dict[str, str]] = mapped_column(JSON, server_default="{}", default=dict)
    owner: Mapped[str] = mapped_column(PatternString(64, patterns.OWNER), server_default="", default="")
    key: Mapped[str] = mapped_column(PatternString(16, patterns.OPTIONAL_KEY), server_default="", default="")
    policy: Mapped[str | None] = mapped_column(ForeignKey("policies.digest"))
    batch_key: Mapped[str | None] = mapped_column(PatternString(64, patterns.SHA256))
    execution: Mapped[dict[str, Any]] = mapped_column(JSON, server_default="{}", default=dict)
    internal_error: Mapped[bool] = mapped_column(server_default=false(), default=False)
    turn: Mapped[datetime | None] = mapped_column(UtcDateTime)
    erasure: Mapped[str | None] = mapped_column(PatternString(16, patterns.ERASURE), index=True)


class PolicyRow(Base):
    """A moderation policy, by the SHA-256 of its text."""

    __tablename__ = "policies"

    digest: Mapped[str] = mapped_column(PatternString(64, patterns.SHA256), primary_key=True, info={"hash_of": "text"})
    text: Mapped[str] = mapped_column(Text)
    created: Mapped[datetime] = mapped_column(UtcDateTime)


class VerdictRow(Base):
    """The verdict of a check on a text or an image. run: None for a prompt that was refused, so that no run exists."""

    __tablename__ = "verdicts"

    id: Mapped[int] = mapped_column(primary_key=True)
    run: Mapped[str | None] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    owner: Mapped[str] = mapped_column(PatternString(64, patterns.OWNER), server_default="", default="", index=True)
    policy: Mapped[str] = mapped_column(ForeignKey("policies.digest"))
    stage: Mapped[str] = mapped_column(PatternString(16, patterns.STAGE))
    subject: Mapped[str] = mapped_column(PatternString(64, patterns.SHA256), index=True)
    check: Mapped[str] = mapped_column(PatternString(255))
    allowed: Mapped[bool]
    category: Mapped[str | None] = mapped_column(Text)
    score: Mapped[float | None] = mapped_column(Float)
    skipped: Mapped[bool] = mapped_column(server_default=false(), default=False)
    text: Mapped[str | None] = mapped_column(Text)
    created: Mapped[datetime] = mapped_column(UtcDateTime)

    @classmethod
    def of(cls, verdict: Verdict, policy: str, run: str | None, owner: str, text: str | None = None) -> VerdictRow:
        """A new row. text: the refused text; it is not stored with a verdict that allows."""
        return cls(
            **verdict.model_dump(),
            run=run,
            owner=owner,
            policy=policy,
            text=None if verdict.allowed else text,
            created=datetime.now(UTC),
        )


class EventRow(Base):
    """An event of a run, numbered from 1."""

    __tablename__ = "events"

    run: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    time: Mapped[datetime] = mapped_column(UtcDateTime)
    kind: Mapped[str] = mapped_column(PatternString(32))
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)


class ArtifactRow(Base):
    """A file or folder that a run made. reference: of its stored copy, if the run came from the queue."""

    __tablename__ = "artifacts"

    id: Mapped[int] = mapped_column(primary_key=True)
    run: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(PatternString(32))
    path: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(PatternString(64, patterns.SHA256), index=True)
    details: Mapped[dict[str, Any]] = mapped_column(JSON, info={"patterns": {"reference": patterns.REFERENCE}})
    created: Mapped[datetime] = mapped_column(UtcDateTime)
    reference: Mapped[str | None] = mapped_column(PatternString(80, patterns.REFERENCE), index=True)


class AccountRow(Base):
    """An account of the service. role: viewer, maker or admin."""

    __tablename__ = "accounts"

    name: Mapped[str] = mapped_column(PatternString(64, patterns.ACCOUNT), primary_key=True)
    role: Mapped[str] = mapped_column(PatternString(16, patterns.ROLE))
    created: Mapped[datetime] = mapped_column(UtcDateTime)


class KeyRow(Base):
    """An API key of an account, by its hash, and its limits; None means no limit."""

    __tablename__ = "keys"

    id: Mapped[str] = mapped_column(PatternString(16, patterns.KEY), primary_key=True)
    account: Mapped[str] = mapped_column(ForeignKey("accounts.name", ondelete="CASCADE"), index=True)
    sha256: Mapped[str] = mapped_column(PatternString(64, patterns.SHA256))
    per_minute: Mapped[int | None]
    pictures_per_day: Mapped[int | None]
    kept_bytes: Mapped[int | None] = mapped_column(BigInteger)
    created: Mapped[datetime] = mapped_column(UtcDateTime)
    expires: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked: Mapped[datetime | None] = mapped_column(UtcDateTime)


class BrowserSessionRow(Base):
    """A browser that is signed in by a key, by the hash of its random token. It ends with its key."""

    __tablename__ = "browser_sessions"

    sha256: Mapped[str] = mapped_column(PatternString(64, patterns.SHA256), primary_key=True)
    key: Mapped[str] = mapped_column(ForeignKey("keys.id", ondelete="CASCADE"), index=True)
    created: Mapped[datetime] = mapped_column(UtcDateTime)
    expires: Mapped[datetime] = mapped_column(UtcDateTime)


class GrantRow(Base):
    """The right of an account to use a stored file or folder that it uploaded, or that was shared with it.

    owner: the account; "*" is everyone. giver: the account that shared it, "" for an admin; None for an upload.
    """

    __tablename__ = "holdings"

    owner: Mapped[str] = mapped_column(PatternString(64, patterns.GRANTEE), primary_key=True)
    reference: Mapped[str] = mapped_column(PatternString(80, patterns.REFERENCE), primary_key=True, index=True)
    bytes: Mapped[int] = mapped_column(BigInteger)
    giver: Mapped[str | None] = mapped_column(PatternString(64, patterns.OWNER), index=True)
    created: Mapped[datetime] = mapped_column(UtcDateTime)


class SecretRow(Base):
    """A secret that all processes of the service share, such as the one that signs links."""

    __tablename__ = "secrets"

    name: Mapped[str] = mapped_column(PatternString(32), primary_key=True)
    value: Mapped[str] = mapped_column(PatternString(128, patterns.SHA256))


class WebhookRow(Base):
    """A URL that is called when a run of its owner ends. secret: signs the deliveries."""

    __tablename__ = "webhooks"

    id: Mapped[str] = mapped_column(PatternString(16, patterns.WEBHOOK), primary_key=True)
    owner: Mapped[str] = mapped_column(PatternString(64, patterns.OWNER), index=True)
    url: Mapped[str] = mapped_column(Text)
    secret: Mapped[str] = mapped_column(PatternString(64, patterns.SHA256))
    events: Mapped[list[str]] = mapped_column(JSON, info={"json_type": list})
    created: Mapped[datetime] = mapped_column(UtcDateTime)


class DeliveryRow(Base):
    """A delivery to a webhook. due: time of the next attempt; None when it was delivered or given up."""

    __tablename__ = "deliveries"

    id: Mapped[str] = mapped_column(PatternString(32, patterns.DELIVERY), primary_key=True)
    webhook: Mapped[str] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"), index=True)
    run: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    event: Mapped[str] = mapped_column(PatternString(32))
    attempts: Mapped[int] = mapped_column(server_default="0", default=0)
    due: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    delivered: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error: Mapped[str | None] = mapped_column(Text)
    created: Mapped[datetime] = mapped_column(UtcDateTime)


class IdempotencyRow(Base):
    """The response to a call with an idempotency key. status: None while the call is in progress."""

    __tablename__ = "answers"

    account: Mapped[str] = mapped_column(PatternString(64, patterns.OWNER), primary_key=True)
    key: Mapped[str] = mapped_column(PatternString(255), primary_key=True)
    digest: Mapped[str] = mapped_column(PatternString(64, patterns.SHA256))
    began: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    status: Mapped[int | None]
    headers: Mapped[dict[str, str]] = mapped_column(JSON)
    body: Mapped[bytes] = mapped_column(LargeBinary)


class ImageIndexRow(Base):
    """The search index of images. Each row belongs to an artifact and is deleted with it.

    words, negative: prompt and negative prompt, case-folded. prompt_hash: SHA-256 of both as written, equal for images
    of the same prompts; its column keeps its first name. mean, ratings: mean and number of its ratings, updated with
    every rating; 0 without ratings. width, height: in pixels, where they are known. colour: mean colour as six
    hexadecimal digits, once there is a thumbnail. erasure: the erasure that it waits for; such images are not visible.
    """

    __tablename__ = "pictures"
    __table_args__ = (Index("ix_pictures_owner", "owner", "id"), Index("ix_pictures_mean", "mean", "id"))

    id: Mapped[int] = mapped_column(ForeignKey("artifacts.id", ondelete="CASCADE"), primary_key=True)
    run: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    owner: Mapped[str] = mapped_column(PatternString(64, patterns.OWNER))
    queue: Mapped[str | None] = mapped_column(PatternString(32))
    created: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    words: Mapped[str] = mapped_column(Text)
    negative: Mapped[str] = mapped_column(Text)
    prompt_hash: Mapped[str] = mapped_column("wish", PatternString(64, patterns.SHA256))
    model: Mapped[str] = mapped_column(Text)
    industry: Mapped[str | None] = mapped_column(String(200), index=True)
    style: Mapped[str | None] = mapped_column(String(200))
    mean: Mapped[float] = mapped_column(Float, default=0.0, server_default="0")
    ratings: Mapped[int] = mapped_column(default=0, server_default="0")
    width: Mapped[int | None]
    height: Mapped[int | None]
    colour: Mapped[str | None] = mapped_column(PatternString(6, patterns.COLOUR))
    erasure: Mapped[str | None] = mapped_column(PatternString(16, patterns.ERASURE), index=True)


class ImageAdapterRow(Base):
    """An adapter that an image was generated with. key: the hash in its reference, or a hash of its path."""

    __tablename__ = "picture_adapters"

    picture: Mapped[int] = mapped_column(ForeignKey("pictures.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(PatternString(64, patterns.SHA256), primary_key=True, index=True)
    reference: Mapped[str] = mapped_column(Text)


class RatingRow(Base):
    """An account's rating of an image. reasons: in alphabetical order, separated by spaces."""

    __tablename__ = "ratings"

    picture: Mapped[int] = mapped_column(ForeignKey("pictures.id", ondelete="CASCADE"), primary_key=True)
    account: Mapped[str] = mapped_column(PatternString(64, patterns.OWNER), primary_key=True)
    stars: Mapped[int]
    reasons: Mapped[str] = mapped_column(PatternString(400))
    comment: Mapped[str] = mapped_column(Text)
    created: Mapped[datetime] = mapped_column(UtcDateTime)


class ComparisonRow(Base):
    """An account's comparison of two images."""

    __tablename__ = "comparisons"

    id: Mapped[int] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(PatternString(64, patterns.OWNER))
    better: Mapped[int] = mapped_column(ForeignKey("pictures.id", ondelete="CASCADE"), index=True)
    worse: Mapped[int] = mapped_column(ForeignKey("pictures.id", ondelete="CASCADE"), index=True)
    tie: Mapped[bool]
    reasons: Mapped[str] = mapped_column(PatternString(400))
    comment: Mapped[str] = mapped_column(Text)
    created: Mapped[datetime] = mapped_column(UtcDateTime)


class FavouriteRow(Base):
    """An image that an account marked as a favourite."""

    __tablename__ = "favourites"

    account: Mapped[str] = mapped_column(PatternString(64, patterns.OWNER), primary_key=True)
    picture: Mapped[int] = mapped_column(ForeignKey("pictures.id", ondelete="CASCADE"), primary_key=True, index=True)
    created: Mapped[datetime] = mapped_column(UtcDateTime)


class CollectionRow(Base):
    """A named collection of images of an account."""

    __tablename__ = "collections"
    __table_args__ = (UniqueConstraint("account", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(PatternString(64, patterns.OWNER))
    name: Mapped[str] = mapped_column(String(100))
    created: Mapped[datetime] = mapped_column(UtcDateTime)


class CollectionItemRow(Base):
    """An image in a collection."""

    __tablename__ = "collected"

    collection: Mapped[int] = mapped_column(ForeignKey("collections.id", ondelete="CASCADE"), primary_key=True)
    picture: Mapped[int] = mapped_column(ForeignKey("pictures.id", ondelete="CASCADE"), primary_key=True, index=True)
    created: Mapped[datetime] = mapped_column(UtcDateTime)


class QuotaRow(Base):
    """Images that a key requested. The row outlives the run, so that erasing a run does not restore the quota."""

    __tablename__ = "spendings"
    __table_args__ = (Index("ix_spendings_key", "key", "created"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(PatternString(16, patterns.OPTIONAL_KEY))
    pictures: Mapped[int]
    created: Mapped[datetime] = mapped_column(UtcDateTime)


class DraftRow(Base):
    """A training that an account is setting up on the pages; see `core/drafts.py`.

    images: the uploaded images in their order. waits: whether its training is to be queued. removed: whether it was
    deleted, and can still be restored.
    """

    __tablename__ = "drafts"
    __table_args__ = (Index("ix_drafts_owner", "owner", "saved"),)

    id: Mapped[str] = mapped_column(PatternString(12, patterns.DRAFT), primary_key=True)
    owner: Mapped[str] = mapped_column(PatternString(64, patterns.OWNER))
    version: Mapped[int]
    choices: Mapped[dict[str, Any]] = mapped_column(JSON)
    images: Mapped[list[dict[str, Any]]] = mapped_column(JSON, info={"json_type": list})
    waits: Mapped[bool] = mapped_column(server_default=false(), default=False, index=True)
    removed: Mapped[bool] = mapped_column(server_default=false(), default=False)
    created: Mapped[datetime] = mapped_column(UtcDateTime)
    saved: Mapped[datetime] = mapped_column(UtcDateTime)


class ErasureRow(Base):
    """An erasure that was asked for and is not finished; see `store/erasures.py`.

    account: who asked for it. name: of the adapter that is deleted; empty for images. images, bytes: how many go.
    selection: what to erase, with derived as in `erase`. due: when it is carried out. leftover: what is still to be
    removed from the disk, once the rows are deleted; None before that.
    """

    __tablename__ = "erasures"

    id: Mapped[str] = mapped_column(PatternString(16, patterns.ERASURE), primary_key=True)
    account: Mapped[str] = mapped_column(PatternString(64, patterns.OWNER), index=True)
    name: Mapped[str] = mapped_column(Text)
    images: Mapped[int]
    bytes: Mapped[int] = mapped_column(BigInteger)
    selection: Mapped[dict[str, Any]] = mapped_column(JSON)
    derived: Mapped[bool]
    created: Mapped[datetime] = mapped_column(UtcDateTime)
    due: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    leftover: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))


OPEN = text("status IN ('training', 'voting')")
"""The condition that a promotion is not decided yet."""


class PromotionRow(Base):
    """An improved adapter that may join those of an industry; see `core/promotions.py`.

    ratings: of the industry's images when it was started.
    """

    __tablename__ = "promotions"
    __table_args__ = (
        Index("ix_promotions_open", "industry", "image", unique=True, sqlite_where=OPEN, postgresql_where=OPEN),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    industry: Mapped[str] = mapped_column(PatternString(200, patterns.LINE), index=True)
    image: Mapped[bool]
    original: Mapped[dict[str, Any]] = mapped_column(JSON)
    candidate: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    run: Mapped[str | None] = mapped_column(ForeignKey("runs.id", ondelete="SET NULL"), index=True)
    status: Mapped[str] = mapped_column(PatternString(16, patterns.PROMOTION), index=True)
    ratings: Mapped[int]
    needed: Mapped[int]
    steps: Mapped[list[dict[str, Any]]] = mapped_column(JSON, info={"json_type": list})
    created: Mapped[datetime] = mapped_column(UtcDateTime)


class PromotionVoteRow(Base):
    """An account's vote on one pair of images of a promotion: "new", "old" or "tie"."""

    __tablename__ = "promotion_votes"

    promotion: Mapped[int] = mapped_column(ForeignKey("promotions.id", ondelete="CASCADE"), primary_key=True)
    account: Mapped[str] = mapped_column(PatternString(64, patterns.OWNER), primary_key=True)
    pair: Mapped[int] = mapped_column(primary_key=True)
    choice: Mapped[str] = mapped_column(PatternString(4, patterns.BLIND_CHOICE))
    created: Mapped[datetime] = mapped_column(UtcDateTime)
