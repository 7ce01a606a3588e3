"""WebDataset shards: tar archives in which the files of one sample lie together and share their name up to a dot."""

from __future__ import annotations

import gzip
import posixpath
import re
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, cast

from limner.core.datasets import Entry, Fault, Place, Skipped
from limner.core.errors import LimnerError
from limner.core.files import BYTE_CAP, open_file, quoted, short_line
from limner.data.entries.budget import HEADER_BYTES, SAMPLE_BYTES, Metered, archive_bytes
from limner.data.entries.kinds import SHARDS, kind_of, local
from limner.data.entries.notes import Note, caption_note, json_note
from limner.data.entries.once import once
from limner.data.entries.places import BytesPlace, TarPlace, leads_out, legible
from limner.data.entries.trees import ARCHIVES
from limner.imaging.decode import SUFFIXES

_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
_MOST_SHARDS = 100_000
_MOST_FILES = 256
_TEXTS = ("txt", "caption", "text", "json", "cls")
_MASKS = ("mask", "seg")
_WANTED = {*_TEXTS, *(suffix.removeprefix(".") for suffix in SUFFIXES)}
_ERRORS = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError)


@dataclass(frozen=True, slots=True)
class _File:
    """A file of a sample. ending: what stands behind the first dot of its name, in lower case."""

    sample: str
    ending: str
    place: Place


@dataclass(slots=True)
class _Sample:
    pictures: list[_File] = field(default_factory=list[_File])
    masks: list[_File] = field(default_factory=list[_File])
    texts: dict[str, Place] = field(default_factory=dict[str, Place])


class WebDataset:
    title = "WebDataset shards"

    def claims(self, reference: str) -> bool:
        return kind_of(reference) == "shards"

    def entries(self, reference: str) -> Iterator[Entry | Skipped]:
        shards = _shards(reference)
        for name, path in shards:
            prefix = "" if len(shards) == 1 else f"{name}/"
            yield from once(_samples(path, prefix))


def _shards(reference: str) -> list[tuple[str, Path]]:
    """The shards and their names without endings: of a folder, of `{000..012}` in a name, or one."""
    path = local(reference)
    if path.is_dir():
        found = sorted(at.relative_to(path) for at in path.rglob("*") if at.name.lower().endswith(SHARDS))
        return [(legible(at.with_name(at.name.split(".tar")[0]).as_posix()), path / at) for at in found]
    names = _ranged(str(path))
    return [(legible(Path(name).name.split(".tar")[0]), Path(name)) for name in names]


def _ranged(name: str) -> list[str]:
    """A name with each `{000..012}` counted through."""
    found = _RANGE.search(name)
    if found is None:
        return [name]
    first, last = int(found[1]), int(found[2])
    if not 0 <= last - first < _MOST_SHARDS:
        raise LimnerError(f"{found[0]} in {quoted(name)} names no shards, or too many", "write it as {000..012}")
    width, rest = len(found[1]), _ranged(name[found.end() :])
    return [f"{name[: found.start()]}{at:0{width}d}{tail}" for at in range(first, last + 1) for tail in rest]


def _samples(path: Path, prefix: str) -> Iterator[Entry | Skipped]:
    """The pictures of one shard."""
    files = _files(path, prefix)
    for sample, found in groupby(files, lambda each: each.sample if isinstance(each, _File) else None):
        yield from _entries(sample, found, prefix)


def _files(path: Path, prefix: str) -> Iterator[_File | Skipped]:
    """The files of a shard; what is wrong with the shard is told where it ends."""
    packed = not path.name.lower().endswith(".tar")
    with open_file(path) as file:
        try:
            meter = Metered(gzip.GzipFile(fileobj=file) if packed else file, archive_bytes(path), HEADER_BYTES)
            with tarfile.open(fileobj=cast(Any, meter), mode="r:") as tar:
                yield from _members(tar, meter, path, prefix, packed)
        except _ERRORS as error:
            told = f"{quoted(path)} is damaged or unfinished ({short_line(str(error))}); copy it again"
            yield Skipped(legible(prefix.rstrip("/") or path.name), Fault("unreadable", told))


def _members(tar: tarfile.TarFile, meter: Metered, path: Path, prefix: str, packed: bool) -> Iterator[_File | Skipped]:
    """The members that are files. Those with no dot in their names are of no sample, nor are hidden ones."""
    room = _Room()
    while (member := tar.next()) is not None:
        cast(Any, tar).members = []  # tarfile would keep all of them
        meter.until = tar.offset + HEADER_BYTES  # the next header begins behind this member
        folder, base = posixpath.split(member.name)
        stem, dot, ending = base.partition(".")
        key = prefix + legible(member.name)
        if member.isdir():
            continue
        if leads_out(member.name):
            yield Skipped(
                key, Fault("stray", f"{quoted(member.name)} would lie outside of the archive; it is left alone")
            )
        elif not stem or any(part.startswith(".") for part in folder.split("/") if part != "."):
            continue
        elif not member.isreg() or member.issparse():
            yield Skipped(key, Fault("stray", f"{quoted(base)} is no file but a link or a device; it is left alone"))
        elif member.size > BYTE_CAP:
            yield Skipped(key, Fault("unreadable", f"{quoted(base)} is larger than {BYTE_CAP // 2**20} MiB"))
        elif dot:
            sample = posixpath.join(folder, stem)
            if not packed:
                place = TarPlace(path, member.offset_data, member.size, member.name)
                yield _File(sample, ending.lower(), place)
            elif ending.rpartition(".")[2].lower() not in _WANTED:
                yield _File(sample, ending.lower(), BytesPlace(legible(base), b""))
            elif room.for_sample(sample, member.size):
                yield _File(sample, ending.lower(), _unpacked(tar, member))
            else:
                problem = f"with {quoted(base)} its sample unpacks to more than {SAMPLE_BYTES // 2**20} MiB"
                yield Skipped(key, Fault("unreadable", f"{problem}; unpack the shard to a .tar file"))


@dataclass(slots=True)
class _Room:
    """What may still be unpacked of the sample that is read now."""

    sample: str | None = None
    bytes: int = 0

    def for_sample(self, sample: str, size: int) -> bool:
        """Whether so many bytes of a sample may be unpacked, which then count."""
        if sample != self.sample:
            self.sample, self.bytes = sample, SAMPLE_BYTES
        if size > self.bytes:
            return False
        self.bytes -= size
        return True


def _unpacked(tar: tarfile.TarFile, member: tarfile.TarInfo) -> BytesPlace:
    """The bytes of a member of a shard that is compressed, which can be had but now."""
    file = tar.extractfile(member)
    assert file is not None
    return BytesPlace(legible(posixpath.basename(member.name)), file.read())


def _entries(sample: str | None, found: Iterator[_File | Skipped], prefix: str) -> Iterator[Entry | Skipped]:
    """The pictures of one sample, each with all that is told of it."""
    if sample is None:
        yield from (each for each in found if isinstance(each, Skipped))
        return
    kept, count = _Sample(), 0
    for count, each in enumerate(found, 1):
        if isinstance(each, _File) and count <= _MOST_FILES:
            yield from _sort(each, kept, prefix)
    if count > _MOST_FILES:
        told = f"the sample {quoted(sample)} has more than {_MOST_FILES} files; the rest of them are left out"
        yield Skipped(prefix + legible(sample), Fault("stray", told))
    if not kept.pictures:
        return
    told = _note(kept)
    mask = kept.masks[0].place if kept.masks else None
    folder = legible(posixpath.dirname(sample))
    for picture in kept.pictures:
        key = f"{prefix}{legible(sample)}.{legible(picture.ending)}"
        yield Entry(key, picture.place, folder, told.caption, told.fields, told.rights, mask, faults=told.faults)


def _sort(each: _File, kept: _Sample, prefix: str) -> Iterator[Skipped]:
    """Put a file where it belongs in its sample; an archive, which nobody opens, is told."""
    *before, suffix = each.ending.split(".")
    if f".{suffix}" in SUFFIXES:
        (kept.masks if before and before[-1] in _MASKS else kept.pictures).append(each)
    elif suffix in _TEXTS and not before:
        kept.texts.setdefault(suffix, each.place)
    elif f".{suffix}" in ARCHIVES:
        told = f"{quoted(each.place.name)} is an archive; name it as a source of its own"
        yield Skipped(f"{prefix}{legible(each.sample)}.{each.ending}", Fault("stray", told))


def _note(kept: _Sample) -> Note:
    """What the texts of a sample tell; `cls` is the field "class"."""
    told = Note()
    for ending in ("txt", "caption", "text"):
        if place := kept.texts.get(ending):
            told = told.over(caption_note(place))
    if place := kept.texts.get("cls"):
        named = caption_note(place)
        told = told.over(Note(fields={"class": named.caption} if named.caption else {}, faults=named.faults))
    if place := kept.texts.get("json"):
        told = told.over(json_note(place))
    return told


plugin = WebDataset()
