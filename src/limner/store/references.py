"""Which stored files are in use: by the requests of runs, as results of runs, and by all other rows.

A mention is `folder:HASH`, which stands for the files of that folder too, or a plain hash.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, cast, get_args

from sqlalchemy import select
from sqlalchemy.orm import Session

from limner.core.requests import KnownRequest, reference_fields
from limner.store.blobs import Blobs
from limner.store.tables import ArtifactRow, DraftRow, GrantRow, ImageAdapterRow, RunRow

_MENTION = re.compile(r"(?<![0-9a-f])(?:folder:)?[0-9a-f]{64}(?![0-9a-f])")


def mentions_in(value: object) -> set[str]:
    """All mentions in a text, or in a JSON value."""
    return set(_MENTION.findall(value if isinstance(value, str) else json.dumps(value)))


def hash_of(mention: str) -> str:
    """The hash in a mention or a reference."""
    return mention.rpartition(":")[2]


class FolderContents:
    """The files of stored folders; each manifest is read once."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._hashes: dict[str, frozenset[str]] = {}

    def expand(self, mentions: Iterable[str]) -> set[str]:
        """The hashes in mentions, and those of the files of mentioned folders."""
        mentions = set(mentions)
        folders = {hash_of(mention) for mention in mentions if mention.startswith("folder:")}
        self._hashes |= self._blobs.folder_hashes(folders - self._hashes.keys())
        return {hash_of(mention) for mention in mentions}.union(*(self._hashes[sha256] for sha256 in folders))


class RunReferences:
    """Mentions of what each run uses and has made, read in one transaction."""

    def __init__(self, session: Session, contents: FolderContents) -> None:
        self.contents = contents
        self.used: dict[str, set[str]] = {}
        self.made: dict[str, set[str]] = defaultdict(set)
        for run, request in session.execute(select(RunRow.id, RunRow.request)):
            self.used[run] = mentions_of_request(request)
        for run, sha256, details in session.execute(select(ArtifactRow.run, ArtifactRow.sha256, ArtifactRow.details)):
            self.made[run] |= {sha256} | mentions_in(details.get("reference", ""))

    def makers(self, hashes: set[str]) -> set[str]:
        """The runs that made a file with one of these hashes."""
        return {run for run, made in self.made.items() if hashes & set(map(hash_of, made))}

    def users(self, hashes: set[str]) -> set[str]:
        """The runs whose requests name one of these hashes, or a folder that contains it."""
        return {run for run, used in self.used.items() if used and hashes & self.contents.expand(used)}

    def derived(self, runs: Iterable[str], hashes: set[str]) -> list[str]:
        """The runs that use these hashes, or what only these runs made, and the runs that use their results in turn;
        nearest first.
        """
        seen, found = set(runs), list[str]()
        hashes = hashes | self._made_only_by(seen)
        while near := self.users(hashes) - seen:
            found += sorted(near)
            seen |= near
            hashes = self._made_only_by(seen)
        return found

    def _made_only_by(self, runs: set[str]) -> set[str]:
        """The hashes of what these runs made and no other run made."""
        others = {hash_of(mention) for run, made in self.made.items() if run not in runs for mention in made}
        return {hash_of(mention) for run in runs for mention in self.made.get(run, ())} - others


def all_mentions(session: Session) -> set[str]:
    """All mentions in rows. Prompts do not count: a hash that somebody writes into a prompt keeps no file."""
    found: set[str] = set()
    for request in session.scalars(select(RunRow.request)):
        found |= mentions_of_request(request)
    for column in (ArtifactRow.sha256, ArtifactRow.reference, GrantRow.reference, ImageAdapterRow.reference):
        found |= set[str]().union(*(mentions_in(value) for value in session.scalars(select(column)) if value))
    return found | mentions_of_drafts(session)


def mentions_of_drafts(session: Session) -> set[str]:
    """The hashes of the images of all drafts, even of those that this version cannot read."""
    images: list[Any] = [image for row in session.scalars(select(DraftRow.images)) for image in row]
    hashes = [str(cast(dict[Any, Any], image).get("sha256")) for image in images if isinstance(image, dict)]
    return set[str]().union(*map(mentions_in, hashes))


def mentions_of_request(request: Any) -> set[str]:
    """The mentions in the referring fields of a stored request, even if this version cannot read it."""
    found: set[str] = set()
    if isinstance(request, dict):
        fields = cast(dict[str, Any], request)
        refers = REFERRING | ({"values"} if str(fields.get("field")) in REFERRING else set[str]())
        for name, value in fields.items():
            if name in refers and isinstance(value, (str, list)):
                found |= mentions_in(cast(object, value))
            elif isinstance(value, (dict, list)):
                found |= mentions_of_request(value)
    elif isinstance(request, list):
        found = found.union(*map(mentions_of_request, cast(list[Any], request)))
    return found


REFERRING = frozenset(name for kind in get_args(KnownRequest) for name in reference_fields(kind))
"""Names of request fields that refer to files and folders, directly or inside; an axis has the name of one."""
