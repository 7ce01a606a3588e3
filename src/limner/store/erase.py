"""Erasure: runs and files gone for good, with all that only they needed. Rows go first, in one transaction, and then
files, so that nothing ever refers to what is gone; what a crash leaves behind, a sweep finds.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Select, delete, select
from sqlalchemy.orm import Session

from limner.core.errors import LimnerError
from limner.core.runs import Status
from limner.store.blobs import REFERENCE, Blobs
from limner.store.feedback import count_ratings
from limner.store.locks import is_locked
from limner.store.paths import runs_folder
from limner.store.references import FolderContents, RunReferences, bare, mentions, named
from limner.store.removal import discard
from limner.store.runs import Store
from limner.store.tables import (
    ArtifactRow,
    CollectionRow,
    ComparisonRow,
    FavouriteRow,
    GrantRow,
    IdempotencyRow,
    RatingRow,
    RunRow,
    VerdictRow,
    WebhookRow,
)

MANY = 500
"""Ids in one statement; databases take only so many."""


class InUse(LimnerError):
    """What cannot be erased by itself. by: what refers to it, a line each."""

    def __init__(self, problem: str, remedy: str, by: Iterable[str]) -> None:
        super().__init__(problem, remedy)
        self.by = list(by)


class RunInProgress(LimnerError):
    """A run that is being carried out: it would bring back what goes."""


@dataclass(frozen=True, slots=True)
class ErasureResult:
    """What was erased, or would be.

    runs: asked for, and derived: those that stood on them. uploads and files: that were kept, with their bytes.
    left: results of the command line in places of the user's own, which are not touched. orphans: how many files went
    that nothing referred to.
    """

    runs: list[str] = field(default_factory=list[str])
    derived: list[str] = field(default_factory=list[str])
    uploads: list[str] = field(default_factory=list[str])
    files: list[str] = field(default_factory=list[str])
    bytes: int = 0
    left: list[str] = field(default_factory=list[str])
    orphans: int = 0


@dataclass(frozen=True, slots=True)
class EraseSelection:
    """What shall go. references: of files and folders, and all that was made of them; owner: all that is somebody's.

    scope: of whose things nothing else shall go, None for anyone's.
    """

    runs: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    owner: str | None = None
    scope: str | None = None


class _DryRun(Exception):
    """Takes back what a transaction did."""


def erase(
    store: Store, blobs: Blobs, wanted: EraseSelection, *, derived: bool = False, dry: bool = False
) -> ErasureResult:
    """Erase what is wanted. derived: and all that was made with it. dry: only tell.

    Raises InUse where something else was made with it and `derived` was not said, and Busy where a run is being
    carried out.
    """
    for reference in wanted.references:
        if REFERENCE.fullmatch(reference) is None:
            raise LimnerError(f"{reference!r} is no reference", "write sha256:HASH or folder:HASH")
    lists = FolderContents(blobs)
    with store.session() as session:  # reads the lists of folders, perhaps from afar, before others must wait
        lists.whole(named(session))
    done = ErasureResult()
    with _dry(dry), store.writing() as session:
        found = _found(session, lists, wanted)
        _refuse_others(session, wanted, found)
        if not derived and (by := [*_told(session, found.derived), *found.holders]):
            problem = f"{_what(wanted)} cannot go alone: {len(by)} {'was' if len(by) == 1 else 'were'} made with it"
            raise InUse(
                f"{problem} ({'; '.join(by[:5])}{'; ...' if len(by) > 5 else ''})", "erase those too, by --derived", by
            )
        done = delete_rows(store, session, blobs, lists, found)
        if wanted.owner is not None:
            forget(session, wanted.owner)
        if dry:
            raise _DryRun
    if not dry:
        remove(store, blobs, done)
    return done


def _refuse_others(session: Session, wanted: EraseSelection, found: Found) -> None:
    """Raises InUse where things of others would go too."""
    if wanted.scope is None:
        return
    others = [f"a {what} of another account" for what, owner in _owners(session, found) if owner != wanted.scope]
    if others:
        raise InUse(f"{_what(wanted)} is used by others ({len(others)})", "ask an admin to erase it", others)


def _owners(session: Session, found: Found) -> Iterable[tuple[str, str]]:
    """What would go, and whose it is; a share is its giver's."""
    for some in _portions([*found.runs, *found.derived]):
        for owner in session.scalars(_owner_of(some)):
            yield "run", owner


@dataclass(frozen=True, slots=True)
class Found:
    """runs and uploads that shall go. holders: uploaded folders that hold a file that shall go. told: mentions of what
    shall go.
    """

    runs: list[str]
    derived: list[str] = field(default_factory=list[str])
    uploads: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    holders: list[str] = field(default_factory=list[str])
    told: set[str] = field(default_factory=set[str])


def _found(session: Session, lists: FolderContents, wanted: EraseSelection) -> Found:
    references = RunReferences(session, lists)
    rows = session.execute(select(GrantRow.reference, GrantRow.owner, GrantRow.giver)).all()
    uploads = {(reference, owner) for reference, owner, _ in rows}
    runs = list(wanted.runs)
    exact = {bare(reference) for reference in wanted.references}
    told = set[str]().union(*map(mentions, wanted.references))
    gone = {upload for upload in uploads if bare(upload[0]) in exact}
    if wanted.owner is not None:
        runs += session.scalars(select(RunRow.id).where(RunRow.owner == wanted.owner))
        theirs = {(reference, owner) for reference, owner, giver in rows if wanted.owner in (owner, giver)}
        gone |= theirs
        others = {reference for reference, _ in uploads - theirs}
        told |= {mention for reference, _ in gone if reference not in others for mention in mentions(reference)}
    made = sorted(references.makers(exact) - set(runs))
    derived = [*made, *references.derived([*runs, *made], set(map(bare, told)))]
    made_too = {bare(mention) for run in (*runs, *derived) for mention in references.made.get(run, ())}
    gone |= {
        (reference, owner) for reference, owner, giver in rows if giver is not None and bare(reference) in made_too
    }
    if wanted.scope is not None:  # what others brought in stays theirs
        gone = {
            (reference, owner)
            for reference, owner, giver in rows
            if (reference, owner) in gone and wanted.scope == (owner if giver is None else giver)
        }
    rest = {upload for upload in uploads - gone if wanted.scope in (None, upload[1])}
    holders = {upload for upload in rest if exact & lists.whole(mentions(upload[0]))}
    return Found(runs, derived, gone | holders, sorted({reference for reference, _ in holders}), told)


def delete_rows(
    store: Store, session: Session, blobs: Blobs, lists: FolderContents, found: Found, spared: Iterable[str] = ()
) -> ErasureResult:
    """Delete the rows of what was found; tells what may be removed afterwards. spared: mentions of what stays."""
    runs = [*found.runs, *found.derived]
    _refuse_running(store, session, runs)
    references = RunReferences(session, lists)
    mentioned = set(found.told).union(*(references.used.get(run, set()) | references.made[run] for run in runs))
    mentioned |= {mention for reference, _ in found.uploads for mention in mentions(reference)}
    left = _outside(session, store.home, runs)
    owners = {owner for some in _portions(runs) for owner in session.scalars(_owner_of(some))}
    owners |= {owner for _, owner in found.uploads}
    session.execute(delete(IdempotencyRow).where(IdempotencyRow.account.in_(owners)))  # which may hold what goes
    for some in _portions(runs):
        session.execute(delete(RunRow).where(RunRow.id.in_(some)))
    for reference, owner in found.uploads:
        session.execute(delete(GrantRow).where(GrantRow.reference == reference, GrantRow.owner == owner))
    session.flush()
    files = lists.whole(mentioned) - lists.whole(named(session) | set(spared))
    sizes = {sha256: blobs.size(sha256) for sha256 in sorted(files) if sha256 in blobs}
    uploads = sorted({reference for reference, _ in found.uploads})
    return ErasureResult(found.runs, found.derived, uploads, sorted(sizes), sum(sizes.values()), left)


def forget(session: Session, account: str) -> None:
    """Delete what an account said of pictures, what was judged of its words, and the answers kept for it."""
    rated = list(session.scalars(select(RatingRow.picture).where(RatingRow.account == account)))
    for row in (RatingRow, ComparisonRow, FavouriteRow, CollectionRow, IdempotencyRow):
        session.execute(delete(row).where(row.account == account))
    for row in (VerdictRow, WebhookRow):
        session.execute(delete(row).where(row.owner == account))
    for picture in rated:
        count_ratings(session, picture)


def _owner_of(runs: list[str]) -> Select[str]:
    return select(RunRow.owner).where(RunRow.id.in_(runs))


def remove(store: Store, blobs: Blobs, done: ErasureResult) -> None:
    """Remove the files and working folders of what is erased; files that somebody brought in meanwhile stay."""
    if done.files:
        lists = FolderContents(blobs)
        with store.session() as session:
            lists.whole(named(session))
        with store.writing() as session:  # nobody notes a file between the look and the removal
            again = lists.whole(named(session))
            for sha256 in done.files:
                if sha256 not in again:
                    blobs.remove(sha256)
    for run in [*done.runs, *done.derived]:
        discard(runs_folder(store.home) / run, runs_folder(store.home))


def _refuse_running(store: Store, session: Session, runs: list[str]) -> None:
    for some in _portions(runs):
        query = select(RunRow).where(RunRow.id.in_(some), RunRow.status == Status.RUNNING).with_for_update()
        for row in session.scalars(query):
            folder = runs_folder(store.home) / row.id
            if row.queue is not None or (folder.is_dir() and is_locked(folder)):
                raise RunInProgress(f"run {row.id} is being carried out", "cancel it first")


def _outside(session: Session, home: Path, runs: list[str]) -> list[str]:
    """Where runs left results outside of the home."""
    found: list[str] = []
    for some in _portions(runs):
        found += session.scalars(select(ArtifactRow.path).where(ArtifactRow.run.in_(some)).order_by(ArtifactRow.id))
    return [path for path in found if not Path(path).is_relative_to(home) and Path(path).exists()]


def _told(session: Session, runs: list[str]) -> list[str]:
    """A line for each run: its id and what it is."""
    kinds: dict[str, str] = {}
    for some in _portions(runs):
        kinds |= {run: kind for run, kind in session.execute(select(RunRow.id, RunRow.kind).where(RunRow.id.in_(some)))}
    return [f"run {run} ({kinds[run]})" for run in runs]


def _what(wanted: EraseSelection) -> str:
    told = [*(f"run {run}" for run in wanted.runs), *(reference[:19] for reference in wanted.references)]
    return ", ".join([*told, *([] if wanted.owner is None else [f"what is {wanted.owner!r}'s"])])


def _portions(items: list[str]) -> Iterable[list[str]]:
    return (items[begin : begin + MANY] for begin in range(0, len(items), MANY))


@contextmanager
def _dry(dry: bool) -> Generator[None]:
    try:
        yield
    except _DryRun:
        assert dry
