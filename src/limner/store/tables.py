"""The tables, in words that SQLite and PostgreSQL share."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    event,
    false,
    inspect,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, Mapper, mapped_column

from limner.core.moderation import Verdict
from limner.core.requests.request import digest_of
from limner.store import patterns


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC. SQLite forgets the zone, so it is put back; a moment without a zone is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError(f"the time {value} has no zone")
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value and (value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC))


class Name(String):
    """A text of which `check_row` sees that the whole matches a pattern."""

    def __init__(self, length: int, pattern: str = patterns.LINE) -> None:
        super().__init__(length)
        self.pattern = pattern


class Base(DeclarativeBase):
    """Constraints have names, for a later migration can change only what it can name."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
        }
    )


class RunRow(Base):
    """A run and its request. worker and lease: who carries a queued run out, and until when without a sign of life.

    owner and key: the account whose it is and the key it was asked by; empty where there are no accounts.
    policy: by which a worker moderates it.
    batch_key: that of its request; waiting runs of one key can be carried out together.
    """

    __tablename__ = "runs"
    __table_args__ = (
        Index("ix_runs_queue", "queue", "status", "priority", "created"),
        Index("ix_runs_owner", "owner", "created"),
        Index("ix_runs_batch_key", "batch_key", "status"),
    )

    id: Mapped[str] = mapped_column(Name(32, patterns.RUN), primary_key=True)
    kind: Mapped[str] = mapped_column(Name(32))
    request: Mapped[dict[str, Any]] = mapped_column(JSON)
    digest: Mapped[str] = mapped_column(Name(64, patterns.SHA256), index=True, info={"hash_of": "request"})
    status: Mapped[str] = mapped_column(Name(16, patterns.STATUS), index=True)
    parent: Mapped[str | None] = mapped_column(ForeignKey("runs.id", ondelete="SET NULL"))
    out: Mapped[str | None] = mapped_column(Text)
    error: Mapped[str | None] = mapped_column(Text)
    created: Mapped[datetime] = mapped_column(UtcDateTime)
    started: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished: Mapped[datetime | None] = mapped_column(UtcDateTime)
    queue: Mapped[str | None] = mapped_column(Name(32))
    priority: Mapped[int] = mapped_column(server_default="0", default=0)
    attempt: Mapped[int] = mapped_column(server_default="0", default=0)
    worker: Mapped[str | None] = mapped_column(Name(64))
    lease: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cancel: Mapped[bool] = mapped_column(server_default=false(), default=False)
    progress: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    tags: Mapped[dict[str, str]] = mapped_column(JSON, server_default="{}", default=dict)
    owner: Mapped[str] = mapped_column(Name(64, patterns.OWNER), server_default="", default="")
    key: Mapped[str] = mapped_column(Name(16, patterns.ASKED_BY), server_default="", default="")
    policy: Mapped[str | None] = mapped_column(ForeignKey("policies.digest"))
    batch_key: Mapped[str | None] = mapped_column(Name(64, patterns.SHA256))


class PolicyRow(Base):
    """A policy of moderation, by the SHA-256 of its text."""

    __tablename__ = "policies"

    digest: Mapped[str] = mapped_column(Name(64, patterns.SHA256), primary_key=True, info={"hash_of": "text"})
    text: Mapped[str] = mapped_column(Text)
    created: Mapped[datetime] = mapped_column(UtcDateTime)


class VerdictRow(Base):
    """What a check said of a text or a picture. run is None where words were refused and no run came of them."""

    __tablename__ = "verdicts"

    id: Mapped[int] = mapped_column(primary_key=True)
    run: Mapped[str | None] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    owner: Mapped[str] = mapped_column(Name(64, patterns.OWNER), server_default="", default="", index=True)
    policy: Mapped[str] = mapped_column(ForeignKey("policies.digest"))
    stage: Mapped[str] = mapped_column(Name(16, patterns.STAGE))
    subject: Mapped[str] = mapped_column(Name(64, patterns.SHA256), index=True)
    check: Mapped[str] = mapped_column(Name(255))
    allowed: Mapped[bool]
    category: Mapped[str | None] = mapped_column(Text)
    score: Mapped[float | None] = mapped_column(Float)
    skipped: Mapped[bool] = mapped_column(server_default=false(), default=False)
    text: Mapped[str | None] = mapped_column(Text)
    created: Mapped[datetime] = mapped_column(UtcDateTime)

    @classmethod
    def of(cls, verdict: Verdict, policy: str, run: str | None, owner: str, text: str | None = None) -> VerdictRow:
        """A new row. text: the refused words, which a verdict that allows does not keep."""
        return cls(
            **verdict.model_dump(),
            run=run,
            owner=owner,
            policy=policy,
            text=None if verdict.allowed else text,
            created=datetime.now(UTC),
        )


class EventRow(Base):
    """What happened in a run, numbered from 1."""

    __tablename__ = "events"

    run: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    time: Mapped[datetime] = mapped_column(UtcDateTime)
    kind: Mapped[str] = mapped_column(Name(32))
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)


class ArtifactRow(Base):
    """A file or folder that a run made. reference: to what is kept of it, where it came from the queue."""

    __tablename__ = "artifacts"

    id: Mapped[int] = mapped_column(primary_key=True)
    run: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(Name(32))
    path: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(Name(64, patterns.SHA256), index=True)
    details: Mapped[dict[str, Any]] = mapped_column(JSON, info={"names": {"reference": patterns.REFERENCE}})
    created: Mapped[datetime] = mapped_column(UtcDateTime)
    reference: Mapped[str | None] = mapped_column(Name(80, patterns.REFERENCE), index=True)


class AccountRow(Base):
    """Someone who may use the service. role: viewer, maker or admin."""

    __tablename__ = "accounts"

    name: Mapped[str] = mapped_column(Name(64, patterns.ACCOUNT), primary_key=True)
    role: Mapped[str] = mapped_column(Name(16, patterns.ROLE))
    created: Mapped[datetime] = mapped_column(UtcDateTime)


class KeyRow(Base):
    """A key of an account, by its hash, and how much it may ask for; None is without limit."""

    __tablename__ = "keys"

    id: Mapped[str] = mapped_column(Name(16, patterns.KEY), primary_key=True)
    account: Mapped[str] = mapped_column(ForeignKey("accounts.name", ondelete="CASCADE"), index=True)
    sha256: Mapped[str] = mapped_column(Name(64, patterns.SHA256))
    per_minute: Mapped[int | None]
    pictures_per_day: Mapped[int | None]
    kept_bytes: Mapped[int | None] = mapped_column(BigInteger)
    created: Mapped[datetime] = mapped_column(UtcDateTime)
    expires: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked: Mapped[datetime | None] = mapped_column(UtcDateTime)


class GrantRow(Base):
    """Who may use a kept file or folder that they brought in, or that somebody shared with them ("*" is everyone).

    giver: who shared it.
    """

    __tablename__ = "holdings"

    owner: Mapped[str] = mapped_column(Name(64, patterns.HOLDER), primary_key=True)
    reference: Mapped[str] = mapped_column(Name(80, patterns.REFERENCE), primary_key=True, index=True)
    bytes: Mapped[int] = mapped_column(BigInteger)
    giver: Mapped[str | None] = mapped_column(Name(64, patterns.OWNER), index=True)
    created: Mapped[datetime] = mapped_column(UtcDateTime)


class SecretRow(Base):
    """A secret that all processes of the service share, such as what signs its links."""

    __tablename__ = "secrets"

    name: Mapped[str] = mapped_column(Name(32), primary_key=True)
    value: Mapped[str] = mapped_column(Name(128, patterns.SHA256))


class WebhookRow(Base):
    """An address that is told when a run of its owner ends; secret: by which what is told is signed."""

    __tablename__ = "webhooks"

    id: Mapped[str] = mapped_column(Name(16, patterns.WEBHOOK), primary_key=True)
    owner: Mapped[str] = mapped_column(Name(64, patterns.OWNER), index=True)
    url: Mapped[str] = mapped_column(Text)
    secret: Mapped[str] = mapped_column(Name(64, patterns.SHA256))
    events: Mapped[list[str]] = mapped_column(JSON, info={"holds": list})
    created: Mapped[datetime] = mapped_column(UtcDateTime)


class DeliveryRow(Base):
    """Something to be told to a webhook. due: when it is tried next; None when it was delivered, or given up."""

    __tablename__ = "deliveries"

    id: Mapped[str] = mapped_column(Name(32, patterns.DELIVERY), primary_key=True)
    webhook: Mapped[str] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"), index=True)
    run: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    event: Mapped[str] = mapped_column(Name(32))
    attempts: Mapped[int] = mapped_column(server_default="0", default=0)
    due: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    delivered: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error: Mapped[str | None] = mapped_column(Text)
    created: Mapped[datetime] = mapped_column(UtcDateTime)


class IdempotencyRow(Base):
    """What a call with an idempotency key was answered; status: None while it is being worked on."""

    __tablename__ = "answers"

    account: Mapped[str] = mapped_column(Name(64, patterns.OWNER), primary_key=True)
    key: Mapped[str] = mapped_column(Name(255), primary_key=True)
    digest: Mapped[str] = mapped_column(Name(64, patterns.SHA256))
    began: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    status: Mapped[int | None]
    headers: Mapped[dict[str, str]] = mapped_column(JSON)
    body: Mapped[bytes] = mapped_column(LargeBinary)


class ImageRow(Base):
    """What pictures are looked up by; each row belongs to an artifact and goes with it.

    words, negative: the prompts, case-folded. wish: a hash of both as they are, which pictures of one prompt share.
    mean: of its ratings, 0 without any; kept up to date by whoever rates.
    """

    __tablename__ = "pictures"
    __table_args__ = (Index("ix_pictures_owner", "owner", "id"), Index("ix_pictures_mean", "mean", "id"))

    id: Mapped[int] = mapped_column(ForeignKey("artifacts.id", ondelete="CASCADE"), primary_key=True)
    run: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    owner: Mapped[str] = mapped_column(Name(64, patterns.OWNER))
    queue: Mapped[str | None] = mapped_column(Name(32))
    created: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    words: Mapped[str] = mapped_column(Text)
    negative: Mapped[str] = mapped_column(Text)
    wish: Mapped[str] = mapped_column(Name(64, patterns.SHA256))
    model: Mapped[str] = mapped_column(Text)
    industry: Mapped[str | None] = mapped_column(String(200), index=True)
    style: Mapped[str | None] = mapped_column(String(200))
    mean: Mapped[float] = mapped_column(Float, default=0.0, server_default="0")
    ratings: Mapped[int] = mapped_column(default=0, server_default="0")


class ImageAdapterRow(Base):
    """An adapter that painted a picture. key: the hash in its reference, or one of its path."""

    __tablename__ = "picture_adapters"

    picture: Mapped[int] = mapped_column(ForeignKey("pictures.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(Name(64, patterns.SHA256), primary_key=True, index=True)
    reference: Mapped[str] = mapped_column(Text)


class RatingRow(Base):
    """Stars of an account for a picture. reasons: words apart by a space, in alphabetical order."""

    __tablename__ = "ratings"

    picture: Mapped[int] = mapped_column(ForeignKey("pictures.id", ondelete="CASCADE"), primary_key=True)
    account: Mapped[str] = mapped_column(Name(64, patterns.OWNER), primary_key=True)
    stars: Mapped[int]
    reasons: Mapped[str] = mapped_column(Name(400))
    comment: Mapped[str] = mapped_column(Text)
    created: Mapped[datetime] = mapped_column(UtcDateTime)


class ComparisonRow(Base):
    """Which of two pictures an account found better."""

    __tablename__ = "comparisons"

    id: Mapped[int] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(Name(64, patterns.OWNER))
    better: Mapped[int] = mapped_column(ForeignKey("pictures.id", ondelete="CASCADE"), index=True)
    worse: Mapped[int] = mapped_column(ForeignKey("pictures.id", ondelete="CASCADE"), index=True)
    tie: Mapped[bool]
    reasons: Mapped[str] = mapped_column(Name(400))
    comment: Mapped[str] = mapped_column(Text)
    created: Mapped[datetime] = mapped_column(UtcDateTime)


class FavouriteRow(Base):
    """A picture that an account likes to find again."""

    __tablename__ = "favourites"

    account: Mapped[str] = mapped_column(Name(64, patterns.OWNER), primary_key=True)
    picture: Mapped[int] = mapped_column(ForeignKey("pictures.id", ondelete="CASCADE"), primary_key=True, index=True)
    created: Mapped[datetime] = mapped_column(UtcDateTime)


class CollectionRow(Base):
    """A name under which an account puts pictures."""

    __tablename__ = "collections"
    __table_args__ = (UniqueConstraint("account", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(Name(64, patterns.OWNER))
    name: Mapped[str] = mapped_column(String(100))
    created: Mapped[datetime] = mapped_column(UtcDateTime)


class CollectionItemRow(Base):
    """A picture in a collection."""

    __tablename__ = "collected"

    collection: Mapped[int] = mapped_column(ForeignKey("collections.id", ondelete="CASCADE"), primary_key=True)
    picture: Mapped[int] = mapped_column(ForeignKey("pictures.id", ondelete="CASCADE"), primary_key=True, index=True)
    created: Mapped[datetime] = mapped_column(UtcDateTime)


class QuotaRow(Base):
    """Pictures that a key asked for. It outlives the run, so that erasing gives nothing back."""

    __tablename__ = "spendings"
    __table_args__ = (Index("ix_spendings_key", "key", "created"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(Name(16, patterns.ASKED_BY))
    pictures: Mapped[int]
    created: Mapped[datetime] = mapped_column(UtcDateTime)


def check_row(table: Table, row: Mapping[str, Any]) -> None:
    """Raise ValueError for a value that its column cannot hold on every database, or that is not the name it must be.

    row: values by the names of columns; what is left out is not checked.
    """
    for name, value in row.items():
        if fault := _fault(table.columns[name], value):
            raise ValueError(f"{name} of {table.name!r} is {value!r:.80}, which is {fault}")
    for name, value in row.items():
        hashed = row.get(table.columns[name].info.get("hash_of", ""))
        if hashed is not None and _hash(hashed) != value:
            raise ValueError(f"{name} of {table.name!r} is {value!r}, which is not the SHA-256 of what it stands for")


def _hash(value: Any) -> str:
    """The SHA-256 of a text, or of the canonical JSON of anything else."""
    return hashlib.sha256(value.encode()).hexdigest() if isinstance(value, str) else digest_of(value)


def _fault(column: Column[Any], value: Any) -> str | None:
    """What is wrong with a value of a column; None for nothing."""
    kind = column.type
    if value is None:
        return None if column.nullable else "missing"
    if isinstance(kind, String):
        return _text_fault(kind, value)
    if isinstance(kind, JSON):
        wanted: type = column.info.get("holds", dict)
        return _json_fault(column, value) if isinstance(value, wanted) else f"no {wanted.__name__}"
    if isinstance(kind, UtcDateTime):
        return None if isinstance(value, datetime) and value.tzinfo is not None else "no time with a zone"
    if type(value) is not kind.python_type:
        return f"no {kind.python_type.__name__}"
    if isinstance(kind, Integer):
        bits = 63 if isinstance(kind, BigInteger) else 31
        return None if -(2**bits) <= value < 2**bits else "too large"
    if isinstance(kind, Float):
        return None if math.isfinite(value) else "not finite"
    return None


def _json_fault(column: Column[Any], value: Any) -> str | None:
    for key, pattern in column.info.get("names", {}).items():
        found = value.get(key, None)
        if found is not None and not (isinstance(found, str) and re.fullmatch(pattern, found)):
            return f"with a {key} that is no such name"
    return None


def _text_fault(kind: String, value: Any) -> str | None:
    if not isinstance(value, str):
        return "no text"
    if kind.length is not None and len(value) > kind.length:
        return f"longer than {kind.length} characters"
    if re.search(r"[\x00\ud800-\udfff]", value):
        return "no text that every database takes"
    if isinstance(kind, Name) and re.fullmatch(kind.pattern, value) is None:
        return "no such name"
    return None


@event.listens_for(Base, "before_insert", propagate=True)
def _check(mapper: Mapper[Any], connection: Connection, row: Base) -> None:
    patterns = {column.name for column in row.__table__.columns}
    check_row(
        Base.metadata.tables[row.__tablename__],
        {name: value for name, value in inspect(row).dict.items() if name in patterns},
    )
