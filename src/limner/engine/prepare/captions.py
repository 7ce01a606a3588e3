"""What is told of each picture that is kept: its caption and its fields, from all that is known of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path, PurePosixPath

from PIL import Image

from limner.core.datasets import Speaker
from limner.core.events import Emit, Progress, Stage
from limner.core.requests import PrepareRequest
from limner.core.templates import Template, default_template
from limner.core.workspace import Workspace
from limner.data.captions.caption_file import CaptionOrigin
from limner.data.captions.trigger_words import apply_trigger_words
from limner.engine.prepare.dataset import Telling
from limner.engine.prepare.record import Record
from limner.models.devices import pick_device
from limner.plugins.registry import captioners

BATCH = 16


def words_of(fields: Mapping[str, str], request: PrepareRequest) -> tuple[str | None, str | None]:
    """Identifier and class word of a picture: its own, or those of all."""
    return fields.get("identifier") or request.identifier, fields.get("class") or request.class_word


def telling(record: Record, spoken: Mapping[str, str], edited: str | None, request: PrepareRequest) -> Telling:
    """The caption and the fields of one picture.

    spoken: what a captioner said of it, its caption under "". edited: what a person wrote, which stands as it is.
    Else the caption is what came with the picture, or of the template that was asked for, which may hold that, or the
    captioner's, or of the usual template, the first of these that there is.
    """
    fields = {**{name: value for name, value in spoken.items() if name}, **record.fields}
    identifier, class_word = words_of(fields, request)
    caption, origin = _caption(record, spoken.get(""), fields, identifier, class_word, request)
    caption = apply_trigger_words(caption, request.trigger, request.ban, identifier, class_word)
    if edited is not None and edited != caption:
        caption, origin = edited, "edited"
    return Telling(record.key, caption, origin, _shown(fields, record))


def _shown(fields: Mapping[str, str], record: Record) -> dict[str, str]:
    """The fields of a picture, among them the folder that it was in."""
    folder = {"folder": record.folder} if record.folder else {}
    return {**folder, **fields}


def _caption(
    record: Record,
    said: str | None,
    fields: Mapping[str, str],
    identifier: str | None,
    class_word: str | None,
    request: PrepareRequest,
) -> tuple[str, CaptionOrigin]:
    values = {
        "caption": (record.caption if request.written else None) or said or "",
        "folder": PurePosixPath(record.folder).name.replace("_", " "),
        **fields,
        "identifier": identifier or "",
        "class": class_word or PurePosixPath(record.folder).name.replace("_", " "),
    }
    template = None if request.caption is None else Template.read(request.caption)
    if template is not None and not all(values.get(name) for name in template.needs):
        template = None
    around = template is not None and "caption" in template.names
    if request.written and record.caption and not around:
        return record.caption, "written"
    if template is not None:
        return template.fill(values), "template"
    if said:
        return said, "captioner"
    plain = default_template(bool(identifier), bool(values["class"]))
    return ("", "none") if plain is None else (Template.read(plain).fill(values), "template")


class Spoken:
    """What a captioner said, kept in a file line by line; what is in the file already is not said again."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def lines(self) -> Iterator[dict[str, str]]:
        if self.place.exists():
            with self.place.open(encoding="utf-8") as file:
                for line in file:
                    yield json.loads(line)

    def fill(
        self,
        count: int,
        job: Callable[[int], tuple[Path, str | None]],
        request: PrepareRequest,
        workspace: Workspace,
        emit: Emit,
    ) -> None:
        """Have `count` pictures captioned. job: where the i-th is, and what its subject is called."""
        assert request.captioner is not None
        emit(Stage(name="captioning", total=count))
        speaker = speaker_of(request.captioner, workspace.execution.device)
        done = self._kept()
        with self.place.open("a", encoding="utf-8") as file:
            for start in range(done, count, BATCH):
                part = [job(at) for at in range(start, min(start + BATCH, count))]
                for line in _said(speaker, part):
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")
                file.flush()
                emit(Progress(done=start + len(part)))
                workspace.check()

    def _kept(self) -> int:
        """How many whole lines there are; a torn one goes."""
        if not self.place.exists():
            return 0
        data = self.place.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            self.place.write_bytes(whole)
        return whole.count(b"\n")


def speaker_of(captioner: str, device: str) -> Speaker:
    """A captioner by its name, or the one that takes any model, with this one."""
    if captioner in captioners.names():
        return captioners.get(captioner).speaker(None, str(pick_device(device)))
    return captioners.get("model").speaker(captioner, str(pick_device(device)))


def _said(speaker: Speaker, part: Sequence[tuple[Path, str | None]]) -> list[dict[str, str]]:
    """The captions and the fields of some pictures; those of one subject are captioned together."""
    opened = [Image.open(path).convert("RGB") for path, _ in part]
    fields, captions = speaker.fields(opened), list[str]()
    for words, rows in groupby(range(len(part)), key=lambda row: part[row][1]):
        captions += speaker.captions([opened[row] for row in rows], words)
    return [{"": caption, **told} for caption, told in zip(captions, fields, strict=True)]
