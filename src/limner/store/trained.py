"""The adapters of trainings and improvements in the search index. A training may have several: the one that it saved,
at a path and as a stored copy, and those of its checkpoints that somebody chose. For people all of them are one subject
with one name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from limner.core.adapter_names import NAME_TAG, adapter_name, short_name
from limner.core.events import ArtifactKind
from limner.core.kinds import MAKE_ADAPTERS
from limner.core.requests import ImproveRequest, parse_request
from limner.core.runs import Status
from limner.store.batches import batches
from limner.store.blobs import REFERENCE
from limner.store.tables import ArtifactRow, ImageAdapterRow, RunRow
from limner.store.texts import adapter_key, fold_case

LONGEST_CHAIN = 20
"""Improvements of each other that are followed to the name of the first original."""


@dataclass(frozen=True, slots=True)
class TrainedName:
    """The name of what a training or an improvement made. keys: what images that were made with it are found by."""

    run: str
    name: str
    created: datetime
    keys: frozenset[str]


def trained_names(session: Session, owner: str | None) -> list[TrainedName]:
    """The names of all adapters that an account, or anybody (None), trained, newest first."""
    query = select(RunRow.id, RunRow.request, RunRow.tags, RunRow.created, RunRow.owner)
    query = query.where(RunRow.kind.in_(MAKE_ADAPTERS), RunRow.status == Status.DONE)
    query = query if owner is None else query.where(RunRow.owner == owner)
    rows = session.execute(query.order_by(RunRow.created.desc(), RunRow.id.desc())).all()
    keys = _keys_of_runs(session, [row[0] for row in rows])
    found: list[TrainedName] = []
    originals: dict[tuple[str, str], str] = {}
    for run, request, tags, created, by in rows:
        with suppress(ValueError):  # a newer version wrote it
            name = made_name(session, parse_request(request), tags, by, originals)
            found.append(TrainedName(run, name, created, frozenset(keys[run])))
    return [each for each in found if each.keys]


def made_name(
    session: Session,
    request: object,
    tags: Mapping[str, str],
    owner: str,
    known: dict[tuple[str, str], str] | None = None,
) -> str:
    """The name of what a run of an account makes; that of an improvement follows the name of its original.

    known: names of originals by target and account, to look each up once; new ones are added.
    """
    if not isinstance(request, ImproveRequest):
        return adapter_name(request, tags)
    known, original = {} if known is None else known, (request.improved, owner)
    if original not in known:
        known[original] = _original_name(session, *original)
    return adapter_name(request, tags, known[original])


def _original_name(session: Session, target: str, owner: str) -> str:
    """The name of what is improved. Names that other accounts gave are not shown."""
    for _ in range(LONGEST_CHAIN):
        run = runs_of_adapters(session, [target]).get(target)
        row = None if run is None else session.get(RunRow, run)
        if row is None or row.owner != owner:
            break
        try:
            request = parse_request(row.request)
        except ValueError:  # a newer version wrote it
            break
        if NAME_TAG in row.tags or not isinstance(request, ImproveRequest):
            return adapter_name(request, row.tags) or short_name(target)
        target = request.improved
    return short_name(target)


def keys_of_name(session: Session, owner: str | None, terms: Collection[str]) -> dict[str, set[str]]:
    """The keys of the adapters whose name contains each of some case-folded terms, by term."""
    found: dict[str, set[str]] = {term: set() for term in terms}
    for each in trained_names(session, owner) if terms else ():
        name = fold_case(each.name)
        for term in terms:
            if term in name:
                found[term] |= each.keys
    return found


def keys_of_adapter(session: Session, adapter: str) -> set[str]:
    """The keys of an adapter, given by one of them or by its reference or path, and of all others of its training."""
    key = adapter if REFERENCE.fullmatch(f"sha256:{adapter}") else adapter_key(adapter)
    names = {f"sha256:{key}", f"folder:{key}", adapter} - {key}
    used = select(ImageAdapterRow.reference).where(ImageAdapterRow.key == key).limit(1)
    names.update(session.scalars(used))
    runs = set(runs_of_adapters(session, names).values())
    return {key}.union(*_keys_of_runs(session, sorted(runs)).values())


def runs_of_adapters(session: Session, names: Iterable[str]) -> dict[str, str]:
    """The runs that made adapters, by the references and paths of these. The first one that made the same."""
    found: dict[str, str] = {}
    references = [name for name in names if REFERENCE.fullmatch(name)]
    paths = [name for name in names if not REFERENCE.fullmatch(name)]
    made = ArtifactRow.kind == ArtifactKind.ADAPTER
    for column, wanted in ((ArtifactRow.reference, references), (ArtifactRow.path, paths)):
        if wanted:
            query = select(column, ArtifactRow.run).where(column.in_(wanted), made).order_by(ArtifactRow.id)
            for name, run in session.execute(query):
                found.setdefault(str(name), run)
    return found


def _keys_of_runs(session: Session, runs: Sequence[str]) -> dict[str, set[str]]:
    """The keys of the adapters that trainings made, by run."""
    found: dict[str, set[str]] = defaultdict(set)
    made = ArtifactRow.kind == ArtifactKind.ADAPTER
    for ids in batches(runs):
        query = select(ArtifactRow.run, ArtifactRow.reference, ArtifactRow.path).where(ArtifactRow.run.in_(ids), made)
        for run, reference, path in session.execute(query):
            found[run] |= {adapter_key(name) for name in (reference, path) if name}
    return found
