"""Improvements that learnt from the feedback of an account, by the pseudonyms of raters in their records."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from limner.core.errors import LimnerError
from limner.core.events import ArtifactKind
from limner.core.improve import ERASED_TAG
from limner.core.requests import ImproveRequest
from limner.core.runs import Run
from limner.store.accounts import shared_secret
from limner.store.batches import batches
from limner.store.blobs import REFERENCE, Blobs
from limner.store.preferences import pseudonym
from limner.store.runs import Store
from limner.store.tables import ArtifactRow, RunRow

LOW_PRIORITY = -1
"""Of an improvement that nobody asked for: all other runs come first."""
LONGEST_RECORD = 64 * 2**20
"""Records that are longer are not read, in bytes."""


def improvements_by(store: Store, blobs: Blobs, account: str) -> list[str]:
    """Ids of the runs of improvements whose record lists an account as a rater, oldest first.

    A record that cannot be read any more says nothing.
    """
    rater = pseudonym(shared_secret(store, "raters"), account)
    kind = ImproveRequest.model_fields["kind"].default
    query = select(ArtifactRow.run, ArtifactRow.reference, ArtifactRow.path).join(RunRow, RunRow.id == ArtifactRow.run)
    query = query.where(RunRow.kind == kind, ArtifactRow.kind == ArtifactKind.SCORES).order_by(ArtifactRow.id)
    with store.session() as session:
        rows = session.execute(query).all()
    return list(dict.fromkeys(run for run, reference, path in rows if rater in _raters(blobs, reference, path)))


def mark_erased(session: Session, runs: Iterable[str]) -> list[str]:
    """Tag those of some runs that exist as improvements by feedback that was erased; returns their ids."""
    found: list[str] = []
    for ids in batches(list(runs)):
        for row in session.scalars(select(RunRow).where(RunRow.id.in_(ids)).order_by(RunRow.created)):
            row.tags = {**row.tags, ERASED_TAG: "yes"}
            found.append(row.id)
    session.flush()
    return found


def repeats_without(run: Run, account: str) -> bool:
    """Whether the same request would improve without the erased feedback of an account: not if it learns from a file,
    which may hold the feedback still, or from that account alone.
    """
    request = run.request
    return isinstance(request, ImproveRequest) and request.file is None and request.account != account


def _raters(blobs: Blobs, reference: str | None, path: str) -> set[str]:
    """The pseudonyms in a record, which is a stored file or one on this machine."""
    try:
        if reference is not None and REFERENCE.fullmatch(reference):
            data = blobs.read(reference.partition(":")[2], 0, LONGEST_RECORD + 1)
        else:
            with Path(path).open("rb") as file:
                data = file.read(LONGEST_RECORD + 1)
        record: Any = json.loads(data) if len(data) <= LONGEST_RECORD else None
    except (LimnerError, OSError, ValueError, RecursionError):
        return set()
    raters = cast(dict[str, Any], record).get("raters") if isinstance(record, dict) else None
    listed = cast(list[Any], raters) if isinstance(raters, list) else []
    return {str(cast(dict[str, Any], each).get("rater")) for each in listed if isinstance(each, dict)}
