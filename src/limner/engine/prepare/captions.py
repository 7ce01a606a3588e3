"""Captions and fields of the images of a dataset: from their sources, templates, captioners and edits."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, groupby
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from limner.core.datasets import Speaker
from limner.core.errors import LimnerError, unknown_each
from limner.core.events import Emit, Progress, Stage
from limner.core.requests import PrepareRequest
from limner.core.requests.request import digest_of
from limner.core.templates import Template, default_template
from limner.core.workspace import Workspace
from limner.data.captions.caption_file import CaptionOrigin, caption_key
from limner.data.captions.catalogue import Catalogue
from limner.data.captions.trigger_words import apply_trigger_words
from limner.data.diversity.balance import NONE, FieldCounts, joint_group
from limner.data.keys import key_hash
from limner.engine.prepare.columns import StagedImages
from limner.engine.prepare.splits import group_numbers
from limner.engine.prepare.staging import Record
from limner.models.devices import pick_device
from limner.plugins.registry import captioners

BATCH = 16
OWN_FIELDS = ("caption", "folder", "identifier", "class")
"""Fields of a template that every image has, if empty ones."""
FILE, OTHER = "captions.jsonl", "…"


@dataclass(frozen=True)
class CaptionedImage:
    """The caption and fields of one image. origin: where the caption is from."""

    key: str
    caption: str
    origin: CaptionOrigin
    fields: dict[str, str]


@dataclass(frozen=True)
class CaptionTable:
    """Captions and fields of the n images that are not left out, in a file, and what they add up to.

    by: the fields that are balanced. groups, keys, repeats: (n,) the number of each image's group, the hash of its key,
    and how often it is to be used. origins: number of captions by origin. captions: number of captions that are the
    first one, another, or empty. unlicensed: number of images without a known licence. masked: whether any has a mask.
    names: of all fields. counts: of their values.
    """

    place: Path
    by: tuple[str, ...]
    groups: np.ndarray
    keys: np.ndarray
    repeats: np.ndarray
    origins: Mapping[str, int]
    captions: Counter[str | None]
    unlicensed: int
    masked: bool
    names: tuple[str, ...]
    counts: FieldCounts

    def rows(self) -> Iterator[CaptionedImage]:
        return _read_rows(self.place)


def caption_images(
    staged: StagedImages,
    remaining: np.ndarray,
    generated: CaptionerOutput | None,
    edits: Mapping[str, str],
    request: PrepareRequest,
) -> CaptionTable:
    """Caption each image that is not left out, and count fields and captions.

    remaining: the places of these images. generated: by a captioner, in their order. edits: captions by key.
    """
    place = staged.staging.folder / FILE
    counts, origins, captions = FieldCounts(), Counter[str](), Counter[str | None]()
    masked, unlicensed, first = False, 0, None
    keys = np.empty(len(remaining), dtype=np.uint64)
    repeats = np.empty(len(remaining))
    lines = iter(()) if generated is None else generated.lines()
    names: dict[str, None] = {}
    with place.open("w", encoding="utf-8") as file:
        for row, at in enumerate(remaining.tolist()):
            record = staged.record(at)
            image = caption_image(record, next(lines, {}), edits.get(caption_key(record.key)), request)
            counts.add(image.fields)
            origins[image.origin] += 1
            first = first or image.caption
            captions[None if not image.caption else first if image.caption == first else OTHER] += 1
            unlicensed += not record.rights.licence
            masked |= record.mask is not None
            keys[row], repeats[row] = key_hash(record.key), record.repeats
            names |= dict.fromkeys(image.fields)
            file.write(json.dumps(asdict(image), ensure_ascii=False) + "\n")
    by = request.by or _default_groups(counts)
    for name in by:
        if name not in names:
            raise LimnerError(f"no image has the field {name!r}", f"balance by one of: {', '.join(names) or 'none'}")
    values = [joint_group(each.fields, by) for each in _read_rows(place)] if by else []
    groups = group_numbers(values) if by else np.zeros(len(remaining), np.int64)
    return CaptionTable(place, by, groups, keys, repeats, origins, captions, unlicensed, masked, tuple(names), counts)


def _read_rows(place: Path) -> Iterator[CaptionedImage]:
    with place.open(encoding="utf-8") as file:
        for line in file:
            yield CaptionedImage(**json.loads(line))


def _default_groups(counts: FieldCounts) -> tuple[str, ...]:
    """The field to balance by if none is named: the class, or else the folder, if there are several."""
    tables = counts.tables()
    return next(((name,) for name in ("class", "folder") if name in tables and len(tables[name].rows) > 1), ())


def missing_fields(
    request: PrepareRequest, captions: CaptionTable, catalogue: Catalogue, records: Iterable[Record]
) -> list[str]:
    """The fields of the request's template that no captioned image has, sorted.

    records: of all entries. Raises LimnerError for a field that no entry has at all, and that is not in the catalogue:
    it is misspelt.
    """
    template = Template.read(request.caption or "")
    missing = sorted(template.names.difference(OWN_FIELDS, captions.names))
    if unknown_names := [name for name in missing if name not in catalogue.fields]:
        known = {*OWN_FIELDS, *catalogue.fields, *captions.names, *chain.from_iterable(each.fields for each in records)}
        if misspelt := [name for name in unknown_names if name not in known]:
            fields = "field" if len(misspelt) == 1 else "fields"
            raise unknown_each(f"{fields} of the caption template", misspelt, known)
    return missing


def unlisted_values(captions: CaptionTable, catalogue: Catalogue) -> list[tuple[str, str]]:
    """The fields and values of captioned images that the catalogue does not list, though it has the field.

    Fields with so many values that they are not counted are left out.
    """
    tables = captions.counts.tables()
    return [
        (name, value)
        for name in catalogue.fields
        if name in tables
        for value, _ in tables[name].rows
        if value != NONE and not catalogue.lists(name, value)
    ]


def subject_words(fields: Mapping[str, str], request: PrepareRequest) -> tuple[str | None, str | None]:
    """Identifier and class word of an image: its own, or those of the request."""
    return fields.get("identifier") or request.identifier, fields.get("class") or request.class_word


def caption_image(
    record: Record, generated: Mapping[str, str], edited: str | None, request: PrepareRequest
) -> CaptionedImage:
    """The caption and fields of one image.

    generated: the output of a captioner, with its caption under "". edited: by a person; it is used unchanged. Else the
    caption is the first of these that there is: the one that came with the image, the request's template (which may
    contain that), the captioner's, or the default template.
    """
    fields = {**{name: value for name, value in generated.items() if name}, **record.fields}
    identifier, class_word = subject_words(fields, request)
    caption, origin = _caption(record, generated.get(""), fields, (identifier, class_word), request)
    caption = apply_trigger_words(caption, request.trigger, request.ban, identifier, class_word)
    if edited is not None and edited != caption:
        caption, origin = edited, "edited"
    folder = {"folder": record.folder} if record.folder else {}
    return CaptionedImage(record.key, caption, origin, {**folder, **fields})


def _caption(
    record: Record,
    generated: str | None,
    fields: Mapping[str, str],
    words: tuple[str | None, str | None],
    request: PrepareRequest,
) -> tuple[str, CaptionOrigin]:
    """The caption and its origin. words: identifier and class word."""
    identifier, class_word = words
    folder = PurePosixPath(record.folder).name.replace("_", " ")
    written = (record.caption if request.written else None) or generated or ""
    own = (written, folder, identifier or "", class_word or folder)
    values = {**dict(zip(OWN_FIELDS, own, strict=True)), **fields}
    template = None if request.caption is None else Template.read(request.caption)
    if template is not None and not all(values.get(name) for name in template.needs):
        template = None
    has_caption = template is not None and "caption" in template.names
    if request.written and record.caption and not has_caption:
        return record.caption, "written"
    if template is not None:
        return template.fill(values), "template"
    if generated:
        return generated, "captioner"
    default = default_template(bool(identifier), bool(values["class"]))
    return ("", "none") if default is None else (Template.read(default).fill(values), "template")


class CaptionerOutput:
    """The output of a captioner in a file, a line for each image; images that have a line are not captioned again."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def lines(self) -> Iterator[dict[str, str]]:
        """The caption of each image under "", and its fields by name."""
        if self.place.exists():
            with self.place.open(encoding="utf-8") as file:
                for line in file:
                    yield json.loads(line)

    def generate(
        self,
        count: int,
        image_of: Callable[[int], tuple[Path, str | None]],
        captioner: Speaker,
        workspace: Workspace,
        emit: Emit,
    ) -> None:
        """Caption `count` images. image_of: the file of the i-th, and the words for its subject."""
        emit(Stage(name="captioning", total=count))
        done = self._complete_lines()
        with self.place.open("a", encoding="utf-8") as file:
            for start in range(done, count, BATCH):
                batch = [image_of(at) for at in range(start, min(start + BATCH, count))]
                for line in _caption_batch(captioner, batch):
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")
                file.flush()
                emit(Progress(done=start + len(batch)))
                workspace.check()

    def _complete_lines(self) -> int:
        """The number of complete lines; a torn one is removed."""
        if not self.place.exists():
            return 0
        data = self.place.read_bytes()
        complete = data[: data.rfind(b"\n") + 1]
        if len(complete) < len(data):
            self.place.write_bytes(complete)
        return complete.count(b"\n")


def run_captioner(
    request: PrepareRequest, staged: StagedImages, remaining: np.ndarray, workspace: Workspace, emit: Emit
) -> CaptionerOutput | None:
    """The output of the request's captioner for the remaining images, None without a captioner."""
    if request.captioner is None:
        return None
    words = (request.captioner, request.identifier, request.class_word)
    name = digest_of([*words, staged.staging.digest(), remaining.tolist()])[:16]
    output = CaptionerOutput(staged.staging.folder / f"spoken-{name}.jsonl")

    def image_of(row: int) -> tuple[Path, str | None]:
        record = staged.record(int(remaining[row]))
        subject = " ".join(filter(None, subject_words(record.fields, request)))
        return staged.staging.pictures / str(record.picture), subject or None

    output.generate(
        len(remaining), image_of, open_captioner(request.captioner, workspace.execution.device), workspace, emit
    )
    return output


def open_captioner(captioner: str, device: str) -> Speaker:
    """A captioner plugin by its name, or the plugin for any model with this model."""
    if captioner in captioners.names():
        return captioners.get(captioner).speaker(None, str(pick_device(device)))
    return captioners.get("model").speaker(captioner, str(pick_device(device)))


def _caption_batch(captioner: Speaker, batch: Sequence[tuple[Path, str | None]]) -> list[dict[str, str]]:
    """The captions and fields of some images; those of one subject are captioned together."""
    images = [Image.open(path).convert("RGB") for path, _ in batch]
    fields, captions = captioner.fields(images), list[str]()
    for words, rows in groupby(range(len(batch)), key=lambda row: batch[row][1]):
        captions += captioner.captions([images[row] for row in rows], words)
    return [{"": caption, **its} for caption, its in zip(captions, fields, strict=True)]
