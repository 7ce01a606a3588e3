"""Who refers to what is kept: the runs that use a file, those that made it, and whatever else names it.

A mention is `folder:HASH`, which stands for the files of that folder too, or a bare hash.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, cast, get_args

from sqlalchemy import select
from sqlalchemy.orm import Session

from limner.core.requests import Known, referring_fields
from limner.store.blobs import Blobs
from limner.store.tables import ArtifactRow, GrantRow, ImageAdapterRow, RunRow

_MENTION = re.compile(r"(?<![0-9a-f])(?:folder:)?[0-9a-f]{64}(?![0-9a-f])")


def mentions(told: object) -> set[str]:
    """All that a text, or what JSON holds, mentions."""
    return set(_MENTION.findall(told if isinstance(told, str) else json.dumps(told)))


def bare(mention: str) -> str:
    """The hash in a mention or a reference."""
    return mention.rpartition(":")[2]


class FolderContents:
    """Which files the mentioned folders hold; each list is read once."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._read: dict[str, frozenset[str]] = {}

    def whole(self, told: Iterable[str]) -> set[str]:
        """The hashes in mentions, with those of the folders' files."""
        told = set(told)
        folders = {bare(mention) for mention in told if mention.startswith("folder:")}
        self._read |= self._blobs.lists(folders - self._read.keys())
        return {bare(mention) for mention in told}.union(*(self._read[sha256] for sha256 in folders))


class RunReferences:
    """What each run uses and has made, as it stands in one transaction."""

    def __init__(self, session: Session, lists: FolderContents) -> None:
        self.lists = lists
        self.used: dict[str, set[str]] = {}
        self.made: dict[str, set[str]] = defaultdict(set)
        for run, request in session.execute(select(RunRow.id, RunRow.request)):
            self.used[run] = uses_of(request)
        for run, sha256, details in session.execute(select(ArtifactRow.run, ArtifactRow.sha256, ArtifactRow.details)):
            self.made[run] |= {sha256} | mentions(details.get("reference", ""))

    def makers(self, told: set[str]) -> set[str]:
        """The runs that made something of these hashes."""
        return {run for run, made in self.made.items() if told & set(map(bare, made))}

    def users(self, told: set[str]) -> set[str]:
        """The runs whose requests name something of these hashes, or a folder that holds it."""
        return {run for run, used in self.used.items() if used and told & self.lists.whole(used)}

    def derived(self, runs: Iterable[str], told: set[str]) -> list[str]:
        """The runs that stand on these hashes, or on what these runs alone made, and those that stand on them again;
        nearest first.
        """
        seen, found = set(runs), list[str]()
        told = told | self._own(seen)
        while near := self.users(told) - seen:
            found += sorted(near)
            seen |= near
            told = self._own(seen)
        return found

    def _own(self, runs: set[str]) -> set[str]:
        """The hashes of what these runs made, and no other run did."""
        others = {bare(mention) for run, made in self.made.items() if run not in runs for mention in made}
        return {bare(mention) for run in runs for mention in self.made.get(run, ())} - others


def named(session: Session) -> set[str]:
    """All that any row refers to. Words of people are none: a hash that somebody writes into a prompt keeps nothing."""
    found: set[str] = set()
    for request in session.scalars(select(RunRow.request)):
        found |= uses_of(request)
    for column in (ArtifactRow.sha256, ArtifactRow.reference, GrantRow.reference, ImageAdapterRow.reference):
        found |= set[str]().union(*(mentions(told) for told in session.scalars(select(column)) if told))
    return found


def uses_of(request: Any) -> set[str]:
    """What a request refers to, as it is kept, whether this version can read it or not."""
    found: set[str] = set()
    if isinstance(request, dict):
        fields = cast(dict[str, Any], request)
        refers = REFERRING | ({"values"} if str(fields.get("field")) in REFERRING else set[str]())
        for name, value in fields.items():
            if name in refers and isinstance(value, (str, list)):
                found |= mentions(cast(object, value))
            elif isinstance(value, (dict, list)):
                found |= uses_of(value)
    elif isinstance(request, list):
        found = found.union(*map(uses_of, cast(list[Any], request)))
    return found


REFERRING = frozenset(name for kind in get_args(Known) for name in referring_fields(kind))
"""Fields of requests that name files and folders, themselves or in what they hold; an axis has the name of one."""
