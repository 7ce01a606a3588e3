"""WebDataset shards: tar archives in which the files of a sample are adjacent and share their name up to a dot."""

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

from limner.core.datasets import ByteSource, Entry, Fault, Skipped
from limner.core.errors import LimnerError
from limner.core.files import BYTE_CAP, open_file, quoted, short_line
from limner.data.entries.annotations import Annotation, read_caption_file, read_json_file
from limner.data.entries.byte_sources import BytesInMemory, TarBytes, escaped_name, is_outside_archive
from limner.data.entries.folders import ARCHIVES
from limner.data.entries.links import LinkPolicy
from limner.data.entries.references import SHARDS, local_path, reference_kind
from limner.data.entries.unpacked_sizes import HEADER_BYTES, SAMPLE_BYTES, LimitedReader, archive_bytes
from limner.data.keys import unique_entries
from limner.imaging.decode import SUFFIXES

_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
_MOST_SHARDS = 100_000
_MOST_FILES = 256
_TEXTS = ("txt", "caption", "text", "json", "cls")
_MASKS = ("mask", "seg")
_WANTED = {*_TEXTS, *(suffix.removeprefix(".") for suffix in SUFFIXES)}
_ERRORS = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError)


@dataclass(frozen=True, slots=True)
class _SampleFile:
    """A file of a sample. ending: its name after the first dot, in lower case."""

    sample: str
    ending: str
    data: ByteSource


@dataclass(slots=True)
class _Sample:
    images: list[_SampleFile] = field(default_factory=list[_SampleFile])
    masks: list[_SampleFile] = field(default_factory=list[_SampleFile])
    texts: dict[str, ByteSource] = field(default_factory=dict[str, ByteSource])


class WebDatasetSource:
    """Images in WebDataset shards."""

    title = "WebDataset shards"

    def claims(self, reference: str) -> bool:
        return reference_kind(reference) == "shards"

    def entries(self, reference: str) -> Iterator[Entry | Skipped]:
        return self._entries(reference, follow=False)

    def linked_entries(self, reference: str) -> Iterator[Entry | Skipped]:
        return self._entries(reference, follow=True)

    def _entries(self, reference: str, follow: bool) -> Iterator[Entry | Skipped]:
        path = local_path(reference)
        found = list(LinkPolicy(path, follow).files(SHARDS)) if path.is_dir() else []
        yield from (each for each in found if isinstance(each, Skipped))
        below = [each.relative_to(path) for each in found if isinstance(each, Path)]
        shards = [(escaped_name(at.with_name(at.name.split(".tar")[0]).as_posix()), path / at) for at in below]
        shards = shards if path.is_dir() else _named_shards(path)
        for name, shard in shards:
            prefix = "" if len(shards) == 1 else f"{name}/"
            yield from unique_entries(_samples(shard, prefix))


def _named_shards(path: Path) -> list[tuple[str, Path]]:
    """The names without suffix and paths of the shards of a range such as {000..012}, or of one shard."""
    names = _expand_range(str(path))
    return [(escaped_name(Path(name).name.split(".tar")[0]), Path(name)) for name in names]


def _expand_range(name: str) -> list[str]:
    """All names of a pattern with ranges such as {000..012}."""
    found = _RANGE.search(name)
    if found is None:
        return [name]
    first, last = int(found[1]), int(found[2])
    if not 0 <= last - first < _MOST_SHARDS:
        raise LimnerError(
            f"{found[0]} in {quoted(name)} is an empty or too large range of shards", "write it as {000..012}"
        )
    width, rest = len(found[1]), _expand_range(name[found.end() :])
    return [f"{name[: found.start()]}{at:0{width}d}{tail}" for at in range(first, last + 1) for tail in rest]


def _samples(path: Path, prefix: str) -> Iterator[Entry | Skipped]:
    """The images of one shard."""
    files = _files(path, prefix)
    for sample, found in groupby(files, lambda each: each.sample if isinstance(each, _SampleFile) else None):
        yield from _entries(sample, found, prefix)


def _files(path: Path, prefix: str) -> Iterator[_SampleFile | Skipped]:
    """The files of a shard, and a fault where a damaged shard ends."""
    packed = not path.name.lower().endswith(".tar")
    with open_file(path) as file:
        try:
            reader = LimitedReader(gzip.GzipFile(fileobj=file) if packed else file, archive_bytes(path), HEADER_BYTES)
            with tarfile.open(fileobj=cast(Any, reader), mode="r:") as tar:
                yield from _members(tar, reader, path, prefix, packed)
        except _ERRORS as error:
            problem = f"{quoted(path)} is damaged or unfinished ({short_line(str(error))}); copy it again"
            yield Skipped(escaped_name(prefix.rstrip("/") or path.name), Fault("unreadable", problem))


def _members(
    tar: tarfile.TarFile, reader: LimitedReader, path: Path, prefix: str, packed: bool
) -> Iterator[_SampleFile | Skipped]:
    """The members that are files of samples: their names have a dot, and they are not hidden."""
    budget = _SampleBudget()
    while (member := tar.next()) is not None:
        cast(Any, tar).members = []  # tarfile would store all of them
        reader.until = tar.offset + HEADER_BYTES  # the next header begins after this member
        folder, base = posixpath.split(member.name)
        stem, dot, ending = base.partition(".")
        key = prefix + escaped_name(member.name)
        if member.isdir():
            continue
        if is_outside_archive(member.name):
            yield Skipped(key, Fault("stray", f"{quoted(member.name)} would be outside the archive; it is skipped"))
        elif not stem or any(part.startswith(".") for part in folder.split("/") if part != "."):
            continue
        elif not member.isreg() or member.issparse():
            yield Skipped(key, Fault("stray", f"{quoted(base)} is a link or a device, not a file; it is skipped"))
        elif member.size > BYTE_CAP:
            yield Skipped(key, Fault("unreadable", f"{quoted(base)} is larger than {BYTE_CAP // 2**20} MiB"))
        elif dot:
            sample = posixpath.join(folder, stem)
            if not packed:
                place = TarBytes(path, member.offset_data, member.size, member.name)
                yield _SampleFile(sample, ending.lower(), place)
            elif ending.rpartition(".")[2].lower() not in _WANTED:
                yield _SampleFile(sample, ending.lower(), BytesInMemory(escaped_name(base), b""))
            elif budget.spend(sample, member.size):
                yield _SampleFile(sample, ending.lower(), _unpacked(tar, member))
            else:
                problem = f"with {quoted(base)} its sample unpacks to more than {SAMPLE_BYTES // 2**20} MiB"
                yield Skipped(key, Fault("unreadable", f"{problem}; unpack the shard to a .tar file"))


@dataclass(slots=True)
class _SampleBudget:
    """The bytes that may still be unpacked of the current sample."""

    sample: str | None = None
    bytes: int = 0

    def spend(self, sample: str, size: int) -> bool:
        """Spend `size` bytes of a sample; returns False if it has fewer left."""
        if sample != self.sample:
            self.sample, self.bytes = sample, SAMPLE_BYTES
        if size > self.bytes:
            return False
        self.bytes -= size
        return True


def _unpacked(tar: tarfile.TarFile, member: tarfile.TarInfo) -> BytesInMemory:
    """The bytes of a member of a compressed shard, which can be read only now."""
    file = tar.extractfile(member)
    assert file is not None
    return BytesInMemory(escaped_name(posixpath.basename(member.name)), file.read())


def _entries(sample: str | None, found: Iterator[_SampleFile | Skipped], prefix: str) -> Iterator[Entry | Skipped]:
    """The images of one sample with their annotation."""
    if sample is None:
        yield from (each for each in found if isinstance(each, Skipped))
        return
    files, count = _Sample(), 0
    for count, each in enumerate(found, 1):
        if isinstance(each, _SampleFile) and count <= _MOST_FILES:
            yield from _sort(each, files, prefix)
    if count > _MOST_FILES:
        problem = f"the sample {quoted(sample)} has more than {_MOST_FILES} files; the others are skipped"
        yield Skipped(prefix + escaped_name(sample), Fault("stray", problem))
    if not files.images:
        return
    note = _annotation(files)
    mask = files.masks[0].data if files.masks else None
    folder = escaped_name(posixpath.dirname(sample))
    for image in files.images:
        key = f"{prefix}{escaped_name(sample)}.{escaped_name(image.ending)}"
        yield Entry(key, image.data, folder, note.caption, note.fields, note.rights, mask, faults=note.faults)


def _sort(each: _SampleFile, sample: _Sample, prefix: str) -> Iterator[Skipped]:
    """Add a file to its sample; yields a fault for an archive, which is not opened."""
    *before, suffix = each.ending.split(".")
    if f".{suffix}" in SUFFIXES:
        (sample.masks if before and before[-1] in _MASKS else sample.images).append(each)
    elif suffix in _TEXTS and not before:
        sample.texts.setdefault(suffix, each.data)
    elif f".{suffix}" in ARCHIVES:
        problem = f"{quoted(each.data.name)} is an archive; name it as a source of its own"
        yield Skipped(f"{prefix}{escaped_name(each.sample)}.{each.ending}", Fault("stray", problem))


def _annotation(sample: _Sample) -> Annotation:
    """The annotation in the texts of a sample; `cls` is the field "class"."""
    found = Annotation()
    for ending in ("txt", "caption", "text"):
        if place := sample.texts.get(ending):
            found = found.over(read_caption_file(place))
    if place := sample.texts.get("cls"):
        label = read_caption_file(place)
        found = found.over(Annotation(fields={"class": label.caption} if label.caption else {}, faults=label.faults))
    if place := sample.texts.get("json"):
        found = found.over(read_json_file(place))
    return found


plugin = WebDatasetSource()
