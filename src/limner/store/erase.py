"""Erases runs, images and files for good, with all files that only they used.

Rows are deleted first, in one transaction, and then files, so that no row refers to a deleted file. The same
transaction records which files are to be removed, so that they are removed later if a crash comes between.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Select, delete, select, update
from sqlalchemy.orm import Session

from limner.core.errors import LimnerError
from limner.core.events import ArtifactCreated, ArtifactKind
from limner.core.runs import Status
from limner.store.batches import batches
from limner.store.blobs import REFERENCE, Blobs
from limner.store.feedback import update_mean
from limner.store.improvements import improvements_by, mark_erased
from limner.store.locks import is_locked
from limner.store.paths import runs_folder
from limner.store.references import FolderContents, RunReferences, all_mentions, hash_of, mentions_in
from limner.store.removal import Outside, discard
from limner.store.runs import Store
from limner.store.tables import (
    ArtifactRow,
    CollectionRow,
    ComparisonRow,
    DraftRow,
    ErasureRow,
    EventRow,
    FavouriteRow,
    GrantRow,
    IdempotencyRow,
    ImageIndexRow,
    PromotionVoteRow,
    RatingRow,
    RunRow,
    VerdictRow,
    WebhookRow,
)


class InUse(LimnerError):
    """Something else was made with what is to be erased. by: a line for each."""

    def __init__(self, problem: str, remedy: str, by: Iterable[str]) -> None:
        super().__init__(problem, remedy)
        self.by = list(by)


class RunInProgress(LimnerError):
    """A run that is being executed: it would restore what is erased."""


@dataclass(frozen=True, slots=True)
class ErasureResult:
    """What was erased, or would be.

    runs: the selected ones. derived: runs that used their results. uploads: references. files: hashes; bytes: of these
    files. left: results outside of the home, which are never deleted. orphans: number of unreferenced files.
    images: ids of those whose runs stay. working: their files in the folders of these runs. learnt: improvements that
    stay and learnt from the erased feedback of an account. again: the runs that repeat them without it, by their ids.
    """

    runs: list[str] = field(default_factory=list[str])
    derived: list[str] = field(default_factory=list[str])
    uploads: list[str] = field(default_factory=list[str])
    files: list[str] = field(default_factory=list[str])
    bytes: int = 0
    left: list[str] = field(default_factory=list[str])
    orphans: int = 0
    images: list[int] = field(default_factory=list[int])
    working: list[str] = field(default_factory=list[str])
    learnt: list[str] = field(default_factory=list[str])
    again: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class EraseSelection:
    """What to erase.

    runs: ids. images: ids; a run of which no image would be left is erased as a whole. references: of files and
    folders, with all that was made of them. owner: all that an account has. scope: refuse to erase what belongs to
    another account than this one; None for no such limit.
    """

    runs: tuple[str, ...] = ()
    images: tuple[int, ...] = ()
    references: tuple[str, ...] = ()
    owner: str | None = None
    scope: str | None = None


class NotRecorded(LimnerError):
    """An erasure that was undone, or carried out by another process."""


class _DryRun(Exception):
    """Rolls back a transaction."""


def erase(
    store: Store,
    blobs: Blobs,
    selection: EraseSelection,
    *,
    derived: bool = False,
    dry: bool = False,
    erasure: str | None = None,
) -> ErasureResult:
    """Erase a selection. derived: also all that was made with it. dry: only report what would be erased.

    erasure: the recorded erasure that this carries out. What was erased meanwhile is left out then. Raises InUse if
    something else was made with it and `derived` is False, or after the erasure was recorded, or if it is used by other
    accounts than the scope; RunInProgress if a run is being executed.
    """
    for reference in selection.references:
        if REFERENCE.fullmatch(reference) is None:
            raise LimnerError(f"{reference!r} is not a reference", "write sha256:HASH or folder:HASH")
    contents = FolderContents(blobs)
    with store.session() as session:  # reads manifests, perhaps of a remote file system, before others have to wait
        contents.expand(all_mentions(session))
    learnt = [] if selection.owner is None else improvements_by(store, blobs, selection.owner)  # likewise
    done, recorded = ErasureResult(), ""
    with suppress(_DryRun), store.writing() as session:
        if erasure is not None:
            _check_recorded(session, erasure)
            selection = _existing(session, selection, erasure)
        selection = _with_whole_runs(session, selection)
        plan = _plan(session, contents, selection)
        _refuse_others(session, selection, plan)
        if erasure is not None and derived:
            _refuse_later(session, selection, plan, erasure)
        if not derived and (by := [*_describe(session, plan.derived), *plan.folders]):
            problem = f"{_title(selection)} cannot go alone: {len(by)} {'was' if len(by) == 1 else 'were'} made with it"
            raise InUse(
                f"{problem} ({'; '.join(by[:5])}{'; ...' if len(by) > 5 else ''})",
                "erase those too, with --derived",
                by,
            )
        done = delete_rows(store, session, blobs, contents, plan)
        if selection.owner is not None:
            _delete_account_rows(session, selection.owner)
            done = replace(done, learnt=mark_erased(session, learnt))
        if dry:
            raise _DryRun
        recorded = record_leftover(session, done, erasure)
    if not dry:
        finish_erasure(store, blobs, recorded)
    return done


@dataclass(frozen=True, slots=True)
class ErasePlan:
    """Rows to delete.

    runs: the selected ones. derived: runs that used their results. uploads: reference and owner. folders: references of
    uploaded folders that contain a selected file. mentions: of files that may be deleted. images: artifacts of images
    and of their copies, by the run that stays.
    """

    runs: list[str]
    derived: list[str] = field(default_factory=list[str])
    uploads: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    folders: list[str] = field(default_factory=list[str])
    mentions: set[str] = field(default_factory=set[str])
    images: dict[str, list[ArtifactRow]] = field(default_factory=dict[str, list[ArtifactRow]])


def _plan(session: Session, contents: FolderContents, selection: EraseSelection) -> ErasePlan:
    """What a selection includes, with all that was made with it."""
    references = RunReferences(session, contents)
    rows = session.execute(select(GrantRow.reference, GrantRow.owner, GrantRow.giver)).all()
    uploads = {(reference, owner) for reference, owner, _ in rows}
    runs = list(selection.runs)
    exact = {hash_of(reference) for reference in selection.references}
    mentions = set[str]().union(*map(mentions_in, selection.references))
    gone = {upload for upload in uploads if hash_of(upload[0]) in exact}
    if selection.owner is not None:
        runs += session.scalars(select(RunRow.id).where(RunRow.owner == selection.owner))
        theirs = {(reference, owner) for reference, owner, giver in rows if selection.owner in (owner, giver)}
        gone |= theirs
        others = {reference for reference, _ in uploads - theirs}
        mentions |= {mention for reference, _ in gone if reference not in others for mention in mentions_in(reference)}
    made = sorted(references.makers(exact) - set(runs))
    images = _artifacts_of_images(session, selection.images)
    alone = _hashes_only_of(session, images, {*runs, *made})
    derived = [*made, *references.derived([*runs, *made], alone.union(map(hash_of, mentions)))]
    results = alone.union(hash_of(mention) for run in (*runs, *derived) for mention in references.made.get(run, ()))
    images = {run: rows for run, rows in images.items() if run not in derived}
    gone |= {
        (reference, owner) for reference, owner, giver in rows if giver is not None and hash_of(reference) in results
    }
    if selection.scope is not None:  # uploads of other accounts stay theirs
        gone = {
            (reference, owner)
            for reference, owner, giver in rows
            if (reference, owner) in gone and selection.scope == (owner if giver is None else giver)
        }
    rest = {upload for upload in uploads - gone if selection.scope in (None, upload[1])}
    folders = {upload for upload in rest if exact & contents.expand(mentions_in(upload[0]))}
    uploads = gone | folders
    return ErasePlan(runs, derived, uploads, sorted({reference for reference, _ in folders}), mentions, images)


def _with_whole_runs(session: Session, selection: EraseSelection) -> EraseSelection:
    """A selection with the runs of which all images are selected, and only the images of other runs."""
    if not selection.images:
        return selection
    chosen: dict[str, set[int]] = {}
    for ids in batches(selection.images):
        for id, run in session.execute(select(ImageIndexRow.id, ImageIndexRow.run).where(ImageIndexRow.id.in_(ids))):
            chosen.setdefault(run, set()).add(id)
    if missing := set(selection.images).difference(*chosen.values()):
        raise LimnerError(f"there is no image {min(missing)}", "it may have been erased already")
    whole = [run for run, ids in chosen.items() if ids >= set(session.scalars(_images_of(run)))]
    runs = tuple(dict.fromkeys((*selection.runs, *sorted(whole))))
    rest = sorted(id for run, ids in chosen.items() if run not in runs for id in ids)
    return replace(selection, runs=runs, images=tuple(rest))


def _check_recorded(session: Session, erasure: str) -> None:
    """Raise NotRecorded unless an erasure waits. Nobody undoes it before the transaction ends."""
    row = session.scalars(select(ErasureRow).where(ErasureRow.id == erasure).with_for_update()).one_or_none()
    if row is None or row.leftover is not None:
        raise NotRecorded(f"erasure {erasure} does not wait any more", "look at the pages again")


def _existing(session: Session, selection: EraseSelection, erasure: str) -> EraseSelection:
    """A selection without the runs and images that were erased already. SQLite gives the id of an erased image to
    another one, which is not marked.
    """
    images = {
        id
        for ids in batches(selection.images)
        for id in session.scalars(
            select(ImageIndexRow.id).where(ImageIndexRow.id.in_(ids), ImageIndexRow.erasure == erasure)
        )
    }
    runs = {
        run for ids in batches(selection.runs) for run in session.scalars(select(RunRow.id).where(RunRow.id.in_(ids)))
    }
    return replace(
        selection,
        runs=tuple(run for run in selection.runs if run in runs),
        images=tuple(id for id in selection.images if id in images),
    )


def _images_of(run: str) -> Select[int]:
    return select(ImageIndexRow.id).where(ImageIndexRow.run == run)


def _artifacts_of_images(session: Session, images: Iterable[int]) -> dict[str, list[ArtifactRow]]:
    """The artifacts of images, and those of copies of them in other formats, by run."""
    found: dict[str, list[ArtifactRow]] = {}
    for ids in batches(list(images)):
        for row in session.scalars(select(ArtifactRow).where(ArtifactRow.id.in_(ids))):
            found.setdefault(row.run, []).append(row)
    for run, rows in found.items():
        hashes = {row.sha256 for row in rows}
        copies = select(ArtifactRow).where(ArtifactRow.run == run, ArtifactRow.kind == ArtifactKind.COPY)
        rows += [row for row in session.scalars(copies) if row.details.get("of") in hashes]
    return found


def _hashes_only_of(session: Session, images: dict[str, list[ArtifactRow]], runs: set[str]) -> set[str]:
    """The hashes of images that are no result of a run besides these runs, and no other result of their own."""
    rows = [row for each in images.values() for row in each]
    ids = {row.id for row in rows}
    others: set[str] = set()
    for hashes in batches([row.sha256 for row in rows]):
        same = select(ArtifactRow.id, ArtifactRow.run, ArtifactRow.sha256).where(ArtifactRow.sha256.in_(hashes))
        others |= {sha256 for id, run, sha256 in session.execute(same) if id not in ids and run not in runs}
    return {row.sha256 for row in rows} - others


def _refuse_others(session: Session, selection: EraseSelection, plan: ErasePlan) -> None:
    """Raise InUse if runs of other accounts than the scope would be erased."""
    if selection.scope is None:
        return
    runs = [*plan.runs, *plan.derived, *plan.images]
    owners = [owner for ids in batches(runs) for owner in session.scalars(_owners(ids))]
    others = ["a run of another account" for owner in owners if owner != selection.scope]
    if others:
        raise InUse(f"{_title(selection)} is used by others ({len(others)})", "ask an admin to erase it", others)


def _refuse_later(session: Session, selection: EraseSelection, plan: ErasePlan, erasure: str) -> None:
    """Raise InUse if something was made with a selection after its erasure was recorded."""
    known = set(session.scalars(select(RunRow.id).where(RunRow.erasure == erasure)))
    if later := [run for run in plan.derived if run not in known]:
        by = _describe(session, later)
        count = f"{len(later)} job{' was' if len(later) == 1 else 's were'}"
        raise InUse(f"{count} made with {_title(selection)} since it was deleted", "delete it again", by)


def delete_rows(
    store: Store,
    session: Session,
    blobs: Blobs,
    contents: FolderContents,
    plan: ErasePlan,
    protected: Iterable[str] = (),
) -> ErasureResult:
    """Delete the rows of a plan; returns which files may be deleted then. protected: mentions of files to keep."""
    runs = [*plan.runs, *plan.derived]
    _refuse_running(store, session, [*runs, *plan.images])
    references = RunReferences(session, contents)
    mentions = set(plan.mentions).union(*(references.used.get(run, set()) | references.made[run] for run in runs))
    mentions |= {mention for reference, _ in plan.uploads for mention in mentions_in(reference)}
    owners = {owner for ids in batches([*runs, *plan.images]) for owner in session.scalars(_owners(ids))}
    owners |= {owner for _, owner in plan.uploads}
    session.execute(delete(IdempotencyRow).where(IdempotencyRow.account.in_(owners)))  # may contain erased data
    images, paths = _delete_images(session, plan.images)
    mentions |= images
    left = _outside(session, store.home, runs, paths)
    for ids in batches(runs):
        session.execute(delete(RunRow).where(RunRow.id.in_(ids)))
    for reference, owner in plan.uploads:
        session.execute(delete(GrantRow).where(GrantRow.reference == reference, GrantRow.owner == owner))
    _remove_from_drafts(session, plan.uploads)
    session.flush()
    files = contents.expand(mentions) - contents.expand(all_mentions(session) | set(protected))
    sizes = {sha256: blobs.size(sha256) for sha256 in sorted(files) if sha256 in blobs}
    uploads = sorted({reference for reference, _ in plan.uploads})
    return ErasureResult(
        plan.runs,
        plan.derived,
        uploads,
        sorted(sizes),
        sum(sizes.values()),
        left,
        images=sorted(row.id for rows in plan.images.values() for row in rows if row.kind == ArtifactKind.IMAGE),
        working=[path for path in paths if Path(path).is_relative_to(runs_folder(store.home))],
    )


def _delete_images(session: Session, images: dict[str, list[ArtifactRow]]) -> tuple[set[str], list[str]]:
    """Delete images of runs that stay, with the events and verdicts on them; returns their mentions and their paths."""
    mentions: set[str] = set()
    paths: list[str] = []
    for run, rows in images.items():
        mentions |= {row.sha256 for row in rows}.union(*(mentions_in(row.details.get("reference", "")) for row in rows))
        paths += [row.path for row in rows]
        ids = [row.id for row in rows]
        session.execute(delete(ArtifactRow).where(ArtifactRow.id.in_(ids)))
        kept = set(session.scalars(select(ArtifactRow.sha256).where(ArtifactRow.run == run)))
        gone = {row.sha256 for row in rows} - kept
        session.execute(delete(VerdictRow).where(VerdictRow.run == run, VerdictRow.subject.in_(gone)))
        made = select(EventRow).where(
            EventRow.run == run, EventRow.kind == ArtifactCreated.model_fields["kind"].default
        )
        for event in session.scalars(made).all():
            if event.payload.get("sha256") in gone:
                session.delete(event)
    return mentions, paths


def _remove_from_drafts(session: Session, uploads: set[tuple[str, str]]) -> None:
    """Remove erased images from the drafts of their accounts. uploads: reference and owner."""
    gone = {(hash_of(reference), owner) for reference, owner in uploads}
    owners = {owner for _, owner in gone}
    for row in session.scalars(select(DraftRow).where(DraftRow.owner.in_(owners))):
        kept = [image for image in row.images if (image.get("sha256"), row.owner) not in gone]
        if len(kept) < len(row.images):
            row.images, row.version = kept, row.version + 1


def _delete_account_rows(session: Session, account: str) -> None:
    """Delete an account's feedback, votes, collections, drafts, webhooks, stored responses, and prompts' verdicts."""
    rated = list(session.scalars(select(RatingRow.picture).where(RatingRow.account == account)))
    for row in (RatingRow, ComparisonRow, FavouriteRow, CollectionRow, IdempotencyRow, PromotionVoteRow):
        session.execute(delete(row).where(row.account == account))
    for row in (VerdictRow, WebhookRow, DraftRow):
        session.execute(delete(row).where(row.owner == account))
    session.execute(delete(ErasureRow).where(ErasureRow.account == account, ErasureRow.leftover.is_(None)))
    for image in rated:
        update_mean(session, image)


def record_leftover(session: Session, done: ErasureResult, erasure: str | None = None) -> str:
    """Record what is to be removed from the disk once the rows are deleted; returns the id of the erasure.

    erasure: the recorded one that is carried out; None for a new one.
    """
    leftover = {"files": done.files, "runs": [*done.runs, *done.derived], "working": done.working}
    row = None if erasure is None else session.get(ErasureRow, erasure)
    if row is None:
        now = datetime.now(UTC)
        row = ErasureRow(id=secrets.token_hex(8), account="", name="", images=0, bytes=0, selection={}, derived=False)
        row.created = row.due = now
        session.add(row)
    row.leftover = leftover
    session.flush()
    unmark(session, row.id)
    return row.id


def unmark(session: Session, erasure: str) -> None:
    """Show again what waits for an erasure."""
    for row in (RunRow, ImageIndexRow):
        session.execute(update(row).where(row.erasure == erasure).values(erasure=None))


def finish_erasure(store: Store, blobs: Blobs, erasure: str, *, skip_outside: bool = False) -> None:
    """Remove what an erasure left on the disk after its rows were deleted.

    skip_outside: leave folders of runs that lie outside of the home, of which the erasure itself told.
    """
    with store.session() as session:
        row = session.get(ErasureRow, erasure)
        leftover = {} if row is None else dict(row.leftover or {})
    remove_files(store, blobs, leftover, skip_outside=skip_outside)
    with store.session() as session:
        session.execute(delete(ErasureRow).where(ErasureRow.id == erasure))


def remove_files(store: Store, blobs: Blobs, leftover: Mapping[str, Any], *, skip_outside: bool = False) -> None:
    """Remove the files and working folders that `record_leftover` recorded; a file that was stored again stays.

    skip_outside: as in `finish_erasure`.
    """
    files = [str(each) for each in leftover.get("files", ())]
    if files:
        contents = FolderContents(blobs)
        with store.session() as session:
            contents.expand(all_mentions(session))
        with store.writing() as session:  # nobody records a file between this check and the deletion
            used = contents.expand(all_mentions(session))
            for sha256 in files:
                if sha256 not in used:
                    blobs.remove(sha256)
    below = runs_folder(store.home)
    for path in (*map(Path, leftover.get("working", ())), *(below / run for run in leftover.get("runs", ()))):
        with suppress(Outside) if skip_outside else nullcontext():
            discard(path, below)


def finish_erasures(store: Store, blobs: Blobs) -> None:
    """Remove what erasures left on the disk that a crash broke off after their rows were deleted."""
    with store.session() as session:
        found = session.scalars(select(ErasureRow.id).where(ErasureRow.leftover.is_not(None))).all()
    for erasure in found:
        finish_erasure(store, blobs, erasure, skip_outside=True)


def _refuse_running(store: Store, session: Session, runs: list[str]) -> None:
    """Raise RunInProgress if one of the runs is being executed."""
    for ids in batches(runs):
        query = select(RunRow).where(RunRow.id.in_(ids), RunRow.status == Status.RUNNING).with_for_update()
        for row in session.scalars(query):
            folder = runs_folder(store.home) / row.id
            if row.queue is not None or (folder.is_dir() and is_locked(folder)):
                raise RunInProgress(f"run {row.id} is being executed", "cancel it first")


def _outside(session: Session, home: Path, runs: list[str], paths: list[str]) -> list[str]:
    """The existing results of runs, and those at these paths, that are outside of the home."""
    found = [*paths]
    for ids in batches(runs):
        found += session.scalars(select(ArtifactRow.path).where(ArtifactRow.run.in_(ids)).order_by(ArtifactRow.id))
    return [path for path in found if not Path(path).is_relative_to(home) and Path(path).exists()]


def _describe(session: Session, runs: list[str]) -> list[str]:
    """A line for each run: its id and kind."""
    kinds: dict[str, str] = {}
    for ids in batches(runs):
        kinds |= {run: kind for run, kind in session.execute(select(RunRow.id, RunRow.kind).where(RunRow.id.in_(ids)))}
    return [f"run {run} ({kinds[run]})" for run in runs]


def _title(selection: EraseSelection) -> str:
    """A selection for messages."""
    items = [*(f"run {run}" for run in selection.runs), *(f"image {image}" for image in selection.images)]
    items += [reference[:19] for reference in selection.references]
    return ", ".join([*items, *([] if selection.owner is None else [f"all data of {selection.owner!r}"])])


def _owners(runs: Sequence[str]) -> Select[str]:
    return select(RunRow.owner).where(RunRow.id.in_(runs))
