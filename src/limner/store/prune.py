"""Retention: erases old runs and uploads that nothing newer uses, and removes orphaned files."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from limner.core.errors import LimnerError
from limner.core.runs import Status
from limner.store.blobs import Blobs
from limner.store.erase import ErasePlan, ErasureResult, delete_rows, finish_erasure, record_leftover
from limner.store.erasures import references_to_erase
from limner.store.paths import runs_folder
from limner.store.references import (
    FolderContents,
    RunReferences,
    all_mentions,
    hash_of,
    mentions_in,
    mentions_of_drafts,
)
from limner.store.removal import discard
from limner.store.runs import Store
from limner.store.tables import CollectionItemRow, DraftRow, FavouriteRow, GrantRow, ImageIndexRow, RunRow

ORPHAN_SECONDS = 24 * 3600.0
"""Age at which an unreferenced file counts as an orphan; the row of a younger one may not be written yet."""


def prune(store: Store, blobs: Blobs, before: datetime, protected: Iterable[str] = ()) -> ErasureResult:
    """Erase runs that ended before a time, uploads from before it, and drafts that were not changed since.

    Uploads stay that a draft uses. Runs stay that have a favourite or collected image, and runs and uploads that
    staying runs use. What waits for its erasure stays until then, since that can be undone. protected: mentions of
    files that stay in any case.
    """
    contents, protected = FolderContents(blobs), set(protected)
    with store.session() as session:  # reads manifests, perhaps of a remote file system, before others have to wait
        contents.expand(all_mentions(session) | protected)
    with store.writing() as session:
        references = RunReferences(session, contents)
        query = select(RunRow).where(RunRow.created < before, RunRow.erasure.is_(None))
        rows = session.scalars(query.order_by(RunRow.created, RunRow.id))
        old = [row.id for row in rows if Status(row.status).ended and (row.finished or row.created) < before]
        going = set(old) - _runs_with_liked_images(session)
        uploads = session.execute(select(GrantRow.reference, GrantRow.owner, GrantRow.created, GrantRow.giver)).all()
        uploaded = contents.expand(mention for row in uploads for mention in mentions_in(row[0]))
        session.execute(delete(DraftRow).where(DraftRow.saved < before, DraftRow.waits.is_(False)))
        needed = contents.expand(protected | mentions_of_drafts(session) | references_to_erase(session))
        while True:
            stays = references.used.keys() - going
            needed |= contents.expand(mention for run in stays for mention in references.used[run])
            if not (makers := references.makers(needed - uploaded) & going):
                break
            going -= makers
        made = {hash_of(mention) for run in stays for mention in references.made.get(run, ())}
        expired = {
            (reference, owner)
            for reference, owner, created, giver in uploads
            if created < before and (giver is None or hash_of(reference) not in made)
        }
        expired = {upload for upload in expired if not needed & contents.expand(mentions_in(upload[0]))}
        plan = ErasePlan([run for run in old if run in going], uploads=expired)
        done = delete_rows(store, session, blobs, contents, plan, protected)
        recorded = record_leftover(session, done)
    finish_erasure(store, blobs, recorded)
    return done


def _runs_with_liked_images(session: Session) -> set[str]:
    """The runs of favourite and collected images."""
    found: set[str] = set()
    for row in (FavouriteRow, CollectionItemRow):
        found |= set(session.scalars(select(ImageIndexRow.run).join(row, row.picture == ImageIndexRow.id)))
    return found


def remove_orphans(store: Store, blobs: Blobs, protected: Iterable[str] = ()) -> int:
    """Delete files that are a day old and unreferenced, as a crash may leave them; returns how many.

    Raises LimnerError if another database uses the same files, because its references are unknown.
    """
    if others := blobs.users() - {store.fingerprint}:
        raise LimnerError(
            f"{len(others)} other databases use these files too, so none is known to be an orphan",
            "if one of them is gone, remove its .limner-of-... file beside the stored files",
        )
    old = {blob.sha256 for blob in blobs if blob.age > ORPHAN_SECONDS}  # listed before the rows, to miss no new file
    if old:
        with store.session() as session:
            mentions = all_mentions(session) | set(protected)
        old -= FolderContents(blobs).expand(mentions)
    for sha256 in sorted(old):
        blobs.remove(sha256)
    return len(old)


def clean_machine(store: Store, blobs: Blobs) -> None:
    """Delete this machine's working folders of erased runs, and its copies of deleted files."""
    marked = list(runs_folder(store.home).glob(f"*/{owner_file(store)}"))  # listed before the rows, to miss no new run
    with store.session() as session:
        known = set(session.scalars(select(RunRow.id)))
    for place in marked:
        if place.parent.name not in known:
            discard(place.parent, runs_folder(store.home))
    _remove_erased_images(store, [place.parent for place in marked])
    for sha256 in set(blobs.copies()):
        if sha256 not in blobs:
            blobs.remove_copies(sha256)


def _remove_erased_images(store: Store, folders: list[Path]) -> None:
    """Delete the images in working folders that were erased alone, so that their runs stay."""
    places = {folder.name: folder for folder in folders if folder.is_dir()}
    query = select(RunRow.id).where(RunRow.kind == "generate", RunRow.status == Status.DONE)
    with store.session() as session:
        done = [run for run in session.scalars(query) if run in places]
    for run, artifacts in store.artifacts_of(done).items():
        kept = {Path(each.path).parts[-3:] for each in artifacts}
        for image in places[run].glob("out-*/*/*.png"):
            if image.parts[-3:] not in kept:
                discard(image, runs_folder(store.home))


def owner_file(store: Store) -> str:
    """The name of an empty file in a run's working folder that records to which database the run belongs."""
    return f".of-{store.fingerprint}"
