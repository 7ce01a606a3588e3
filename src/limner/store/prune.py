"""Retention: what is older than it shall become goes, unless something younger stands on it; orphans are swept."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from limner.core.errors import LimnerError
from limner.core.runs import Status
from limner.store.blobs import Blobs
from limner.store.erase import ErasureResult, Found, delete_rows, remove
from limner.store.paths import runs_folder
from limner.store.references import FolderContents, RunReferences, bare, mentions, named
from limner.store.removal import discard
from limner.store.runs import Store
from limner.store.tables import CollectionItemRow, FavouriteRow, GrantRow, ImageRow, RunRow

DAY = 24 * 3600.0
"""Seconds after which what nothing refers to is an orphan, and no newcomer whose row is still to come."""


def prune(store: Store, blobs: Blobs, before: datetime, protected: Iterable[str] = ()) -> ErasureResult:
    """Erase the ended runs and the uploads of before a moment, but for runs with a picture that is somebody's favourite
    or in a collection, and for what younger or staying runs stand on. protected: mentions of what stays in any case.
    """
    lists, protected = FolderContents(blobs), set(protected)
    with store.session() as session:  # reads the lists of folders, perhaps from afar, before others must wait
        lists.whole(named(session) | protected)
    with store.writing() as session:
        references = RunReferences(session, lists)
        rows = session.scalars(select(RunRow).where(RunRow.created < before).order_by(RunRow.created, RunRow.id))
        old = [row.id for row in rows if Status(row.status).ended and (row.finished or row.created) < before]
        going = set(old) - _liked(session)
        uploads = session.execute(select(GrantRow.reference, GrantRow.owner, GrantRow.created, GrantRow.giver)).all()
        brought = lists.whole(mention for row in uploads for mention in mentions(row[0]))
        needed = lists.whole(protected)
        while True:
            stays = references.used.keys() - going
            needed |= lists.whole(mention for run in stays for mention in references.used[run])
            if not (standing := references.makers(needed - brought) & going):
                break
            going -= standing
        made = {bare(mention) for run in stays for mention in references.made.get(run, ())}
        spent = {
            (reference, owner)
            for reference, owner, created, giver in uploads
            if created < before and (giver is None or bare(reference) not in made)
        }
        spent = {upload for upload in spent if not needed & lists.whole(mentions(upload[0]))}
        found = Found([run for run in old if run in going], uploads=spent)
        done = delete_rows(store, session, blobs, lists, found, protected)
    remove(store, blobs, done)
    return done


def _liked(session: Session) -> set[str]:
    """The runs of which somebody wants to find a picture again."""
    found: set[str] = set()
    for row in (FavouriteRow, CollectionItemRow):
        found |= set(session.scalars(select(ImageRow.run).join(row, row.picture == ImageRow.id)))
    return found


def sweep_orphans(store: Store, blobs: Blobs, protected: Iterable[str] = ()) -> int:
    """Remove what nothing has referred to for a day, as a crash may leave it; how many files it was.

    Raises LimnerError where another database uses the same files, which it may refer to.
    """
    if others := blobs.users() - {store.stamp}:
        raise LimnerError(
            f"{len(others)} other databases use these files too, so none is known to be an orphan",
            "where one is no more, remove its mark .limner-of-... beside the files",
        )
    old = {blob.sha256 for blob in blobs if blob.age > DAY}  # listed before the rows are, so that no newcomer is
    if old:
        with store.session() as session:
            told = named(session) | set(protected)
        old -= FolderContents(blobs).whole(told)
    for sha256 in sorted(old):
        blobs.remove(sha256)
    return len(old)


def sweep_machine(store: Store, blobs: Blobs) -> None:
    """Remove this machine's working folders of runs that are no more, and its copies of files that are no more."""
    marked = list(runs_folder(store.home).glob(f"*/{mark(store)}"))  # listed before the rows are
    with store.session() as session:
        known = set(session.scalars(select(RunRow.id)))
    for place in marked:
        if place.parent.name not in known:
            discard(place.parent, runs_folder(store.home))
    for sha256 in set(blobs.copies()):
        if sha256 not in blobs:
            blobs.forget(sha256)


def mark(store: Store) -> str:
    """A file's name in the working folder of a run, which says of which database's it is."""
    return f".of-{store.stamp}"
