"""The library: trained adapters and models with the facts in their headers, and the disk space for base models."""

from __future__ import annotations

import builtins
import json
import os
import shutil
import stat
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TypedDict, cast

from limner.core.adapter_names import NAME_TAG
from limner.core.errors import LimnerError
from limner.core.events import ArtifactKind
from limner.core.execution import parse_body
from limner.core.files import expand_home, short_line
from limner.core.improve import ERASED_TAG
from limner.core.kinds import MAKE_ADAPTERS
from limner.core.requests import ImproveRequest, TrainRequest
from limner.core.runs import CHECKPOINT, Artifact, Run, Status
from limner.store.blobs import REFERENCE
from limner.store.runs import Store
from limner.store.trained import TrainedName, made_name, trained_names
from limner.studio.adapter_files import AdapterFile, describe_adapter, tensor_header
from limner.studio.files import StudioFiles
from limner.studio.runs import QUEUE, StudioRuns

REMOVED_TAG = "removed"
"""The tag of a run whose result is left out of the library."""
LONGEST_NAME = 80
SEARCHED_UPLOADS = 500
"""Newest uploads of an account that are searched for adapters."""
KEPT = 512
"""Results whose facts are kept in memory."""
MADE = (ArtifactKind.ADAPTER, ArtifactKind.MODEL)
DOWN = ("lora_A.weight", "lora_down.weight", "lora.down.weight")
"""Endings of the names of tensors whose first dimension is the rank."""
RIGHTS = (
    ("licences", "Licences of the images"),
    ("authors", "Authors of the images"),
    ("sources", "Sources of the images"),
    ("consent", "Consent of the people in them"),
    ("overrides", "Marked 'no AI training', used nevertheless"),
)


@dataclass(frozen=True)
class ImprovedFacts:
    """What the header of an improved adapter says of its improvement. feedback: hash of the feedback used. pairs,
    ratings: how many it was trained on. lesson: how it learnt from them. of_model: whether it improves a model and was
    taught no subject.
    """

    feedback: str = ""
    pairs: int | None = None
    ratings: int | None = None
    lesson: str = ""
    of_model: bool = False


@dataclass(frozen=True)
class HeaderFacts:
    """What the header of a result says. rank: None if it has none. images: number of training images.
    training: the request that it was trained by. improved: of an adapter that learnt from feedback.

    rights: title -> licences, authors and so on of the training images, each with its count.
    """

    method: str = ""
    base: str = ""
    licence: str = ""
    rank: int | None = None
    images: int | None = None
    rights: Mapping[str, str] = field(default_factory=dict[str, str])
    training: TrainRequest | None = None
    improved: ImprovedFacts | None = None


@dataclass(frozen=True)
class TrainedResult:
    """An adapter, or a fine-tuned model, that a training or an improvement made.

    reference: of the adapter in use; "" for one that was trained on the command line and is not stored yet. step: of
    the checkpoint that somebody chose to use; None for the adapter that the training saved. others: references of its
    other adapters, with their steps. path: where it was written. name: that its owner gave it, or of the subject.
    file_name: for a download. say: the prompt that it was trained on. bytes: on disk; None if its files are missing.
    header: without one, it says only what was requested. preview: reference of the newest preview. model: the base
    model. erased: whether it learnt from feedback that was erased meanwhile.
    """

    run: Run
    kind: ArtifactKind
    reference: str
    path: Path
    name: str
    file_name: str
    trigger_words: tuple[str, ...]
    class_word: str
    say: str
    created: datetime
    bytes: int | None
    header: HeaderFacts
    preview: str | None
    model: str
    erased: bool = False
    step: int | None = None
    others: Mapping[str, int | None] = field(default_factory=dict[str, int | None])


@dataclass(frozen=True)
class UploadedAdapter:
    """An adapter that was uploaded as a file. says: what its header says. created: when it was uploaded."""

    reference: str
    says: AdapterFile
    bytes: int
    created: datetime


@dataclass(frozen=True)
class DiskUse:
    """Bytes that Limner uses. others: photos and all other files. models: the cache of the hub. caches: what can be
    made again, and the working folders of runs.
    """

    images: int
    adapters: int
    others: int
    models: int
    caches: int


class _Words(TypedDict):
    """The words of a result's subject."""

    trigger_words: tuple[str, ...]
    class_word: str
    say: str


class StudioLibrary:
    """What trainings and improvements have made, those of the queue and those of the command line."""

    def __init__(self, store: Store, files: StudioFiles, runs: StudioRuns) -> None:
        self._store, self._files, self._runs = store, files, runs
        self._known: dict[str, tuple[int, HeaderFacts | None]] = {}
        self._described: dict[str, AdapterFile | None] = {}

    def list(
        self,
        limit: int,
        owner: str | None = None,
        before: str | None = None,
        *,
        removed: bool | None = False,
    ) -> builtins.list[TrainedResult]:
        """Results of finished trainings and improvements, newest first. Runs of the command line belong to no owner.

        before: id of a run; only older ones. removed: those that were taken off the list, instead of those on it; None
        for both. Those that are deleted, and can still be put back, are left out.
        """
        found: builtins.list[TrainedResult] = []
        queue = None if owner is None else QUEUE
        while len(found) < limit:
            runs = self._store.list(limit, MAKE_ADAPTERS, Status.DONE, before, queue, owner)
            artifacts = self._store.artifacts_of(run.id for run in runs)
            shown = (run for run in runs if removed in (None, REMOVED_TAG in run.tags))
            found += [result for run in shown if (result := self._result(run, artifacts[run.id])) is not None]
            if len(runs) < limit:
                break
            before = runs[-1].id
        return found[:limit]

    def get(self, run: Run) -> TrainedResult:
        """What a training or an improvement made. Raises LimnerError if that is nothing, or is deleted."""
        if run.deleted:
            raise LimnerError(f"what run {run.id} made is deleted", "put it back on the page Library")
        result = self._result(run, self._store.artifacts(run.id)) if run.status is Status.DONE else None
        if result is None:
            raise LimnerError(f"run {run.id} made no adapter", "choose one that the page Library lists")
        return result

    def names(self, owner: str | None) -> builtins.list[TrainedName]:
        """The names of all adapters that an account, or anybody (None), trained, newest first."""
        with self._store.session() as session:
            return trained_names(session, owner)

    def rename(self, run: Run, name: str) -> Run:
        """Give the result of a run another name; an empty one removes it. Raises LimnerError if too long."""
        line = short_line(name.encode("utf-8", "replace").decode().replace("\0", ""), 4 * LONGEST_NAME)
        if len(line) > LONGEST_NAME:
            raise LimnerError(
                f"the name has {len(line)} characters", f"write at most {LONGEST_NAME}, such as Comet the dog"
            )
        return self._store.tag(run.id, NAME_TAG, line)

    def remove(self, run: Run, removed: bool = True) -> Run:
        """Leave the result of a run out of the lists, or put it back; its files and images stay."""
        return self._store.tag(run.id, REMOVED_TAG, "yes" if removed else "")

    def keep(self, run: Run) -> TrainedResult:
        """Store what a run of the command line made, so that requests can name it by its reference.

        Raises LimnerError if its files are missing.
        """
        result = self.get(run)
        if result.reference:
            return result
        if result.bytes is None:
            raise LimnerError(f"{str(result.path)!r} is missing", "put it back, or train it again")
        artifacts = self._store.artifacts(run.id)
        previews = [each for each in artifacts if each.kind == ArtifactKind.PREVIEW and Path(each.path).is_file()]
        for each in (*previews[:1], next(each for each in artifacts if each.kind in MADE)):
            details = {**each.details, "reference": self._files.save(Path(each.path))}
            self._store.add_artifact(run.id, each.kind, each.path, each.sha256, details)
        return self.get(run)

    def uploaded(self, owner: str | None, made: Collection[str] = ()) -> builtins.list[UploadedAdapter]:
        """Adapters among the newest files that an account uploaded, or any (None). made: references to leave out."""
        found: dict[str, UploadedAdapter] = {}
        uploads = [each for each in self._files.grants.list(owner) if each.giver is None]
        for grant in uploads[:SEARCHED_UPLOADS]:
            kind, _, sha256 = grant.reference.partition(":")
            if kind != "sha256" or grant.reference in made or grant.reference in found:
                continue
            if (adapter := self._describe(sha256)) is not None:
                found[grant.reference] = UploadedAdapter(grant.reference, adapter, grant.bytes, grant.created)
        return [*found.values()]

    def _describe(self, sha256: str) -> AdapterFile | None:
        """What a stored file says of itself; None if it is no adapter. Its content never changes."""
        if sha256 not in self._described:
            if len(self._described) >= 4 * KEPT:
                self._described.clear()
            self._described[sha256] = describe_adapter(self._files, sha256)
        return self._described[sha256]

    def disk(self) -> DiskUse:
        """What Limner uses on the disks of this machine, and of the store of its files."""
        from huggingface_hub.constants import HF_HUB_CACHE

        sizes = {blob.sha256: blob.bytes for blob in self._files}
        images = {each.sha256 for each in self._store.artifacts(kind=ArtifactKind.IMAGE)} & sizes.keys()
        trained: set[str] = set()
        for kind in MADE:
            references = {str(each.details.get("reference", "")) for each in self._store.artifacts(kind=kind)}
            trained |= self._files_of(references) & sizes.keys()
        trained -= images
        home = self._store.home
        return DiskUse(
            images=sum(sizes[each] for each in images),
            adapters=sum(sizes[each] for each in trained),
            others=sum(sizes.values()) - sum(sizes[each] for each in images | trained),
            models=folder_bytes(expand_home(HF_HUB_CACHE).absolute()),
            caches=sum(folder_bytes(home / name) for name in ("cache", "thumbnails", "runs")),
        )

    def _files_of(self, references: Collection[str]) -> set[str]:
        """The hashes of files, and of the files of folders."""
        found = {each.partition(":")[2] for each in references if REFERENCE.fullmatch(each)}
        folders = {each.partition(":")[2] for each in references if each.startswith("folder:")} & found
        return found.union(*self._files.folder_hashes(folders).values())

    def free_gigabytes(self) -> float:
        """Free disk space where base models are stored on this machine."""
        from huggingface_hub.constants import HF_HUB_CACHE

        cache = expand_home(HF_HUB_CACHE).absolute()
        return shutil.disk_usage(next(folder for folder in (cache, *cache.parents) if folder.exists())).free / 1e9

    def page(self, model: Any) -> str:
        """The address of a base model's page on the hub, where its licence is."""
        from limner.models.hub import page_of

        return page_of(model.reference)

    def lacks(self, model: Any) -> str:
        """What this machine lacks to generate images with a base model; "" if nothing."""
        from limner.models.catalog import Machine

        gpu = Machine.this().gpu
        if not model.memory or gpu >= model.memory:
            return ""
        return f"the GPU of this machine has {gpu:.1f} GB" if gpu else "this machine has no GPU"

    def _result(self, run: Run, artifacts: builtins.list[Artifact]) -> TrainedResult | None:
        """The result of a run; None if it made none, or none that is stored."""
        results = [each for each in artifacts if each.kind in MADE]
        made = next((each for each in results if CHECKPOINT not in each.details), None)
        request = run.request
        if made is None or not isinstance(request, TrainRequest | ImproveRequest):
            return None
        used = results[0]  # the newest one
        others = {str(each.details.get("reference", "")): each.details.get(CHECKPOINT) for each in results[1:]}
        reference = str(used.details.get("reference", ""))
        if REFERENCE.fullmatch(reference) is not None:
            size, header = self._facts(reference)
        elif run.queue is None:
            reference = ""
            size, header = local_facts(Path(made.path))
        else:
            return None
        previews = (each.details.get("reference") for each in artifacts if each.kind == ArtifactKind.PREVIEW)
        training = request if isinstance(request, TrainRequest) else None
        header = header or _without_header(training, made)
        return TrainedResult(
            run=run,
            kind=ArtifactKind(made.kind),
            reference=reference,
            path=Path(made.path),
            step=used.details.get(CHECKPOINT),
            others={each: step for each, step in others.items() if REFERENCE.fullmatch(each)},
            name=self.name_of(run),
            file_name=_file_name(request, header),
            **_words(training or header.training, made, header.improved),
            created=made.created,
            bytes=size,
            header=header,
            model=_base_of(made, header) if training is None else training.model,
            erased=ERASED_TAG in run.tags,
            preview=next((each for each in previews if each and REFERENCE.fullmatch(str(each))), None),
        )

    def name_of(self, run: Run) -> str:
        """The name of what a run makes: the one that its owner gave it, or of its subject. "" for other runs."""
        with self._store.session() as session:
            return made_name(session, run.request, run.tags, run.owner)

    def _facts(self, reference: str) -> tuple[int | None, HeaderFacts | None]:
        """Size and header of a stored result; the content of a reference never changes."""
        if reference not in self._known:
            try:
                found = self._files.bytes(reference), self._read_header(reference)
            except LimnerError:
                return None, None
            if len(self._known) >= KEPT:
                self._known.clear()
            self._known[reference] = found
        return self._known[reference]

    def _read_header(self, reference: str) -> HeaderFacts | None:
        """The first header of Limner in the files of a reference; None if there is none."""
        kind, _, sha256 = reference.partition(":")
        files = [sha256] if kind == "sha256" else self._files.manifest(sha256)
        named = files if isinstance(files, list) else [files[name] for name in sorted(files) if _is_weights(name)]
        return _first_facts(partial(self._files.read, each) for each in named)


def _file_name(request: TrainRequest | ImproveRequest, header: HeaderFacts) -> str:
    """The name of a result's download."""
    if isinstance(request, TrainRequest) or header.training is None or header.improved is None:
        return request.folder_name
    return request.folder_name if header.improved.of_model else f"{header.training.folder_name}-{request.folder_name}"


def _without_header(training: TrainRequest | None, made: Artifact) -> HeaderFacts:
    """What is known of a result whose header cannot be read."""
    return HeaderFacts(base=_base_of(made)) if training is None else HeaderFacts(training.method, training.model)


def _base_of(made: Artifact, header: HeaderFacts | None = None) -> str:
    """The base model of an improved adapter, as its user calls it."""
    return _text(made.details.get("base")) or (header.base if header else "")


def _words(training: TrainRequest | None, made: Artifact, improved: ImprovedFacts | None) -> _Words:
    """The words of a result's subject: of its training, or, where that is not known, of what the run said."""
    if training is None or (improved is not None and improved.of_model):
        listed = made.details.get("trigger_words")
        words = tuple(map(_text, listed)) if isinstance(listed, list) else ()
        return {"trigger_words": words, "class_word": "", "say": _text(made.details.get("say"))}
    say = training.instance_prompt
    return {"trigger_words": training.trigger_words, "class_word": training.class_word, "say": say}


def folder_bytes(folder: Path) -> int:
    """Bytes of the files below a folder; links do not count. 0 without the folder."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                status = os.lstat(os.path.join(place, name))
                total += status.st_size if stat.S_ISREG(status.st_mode) else 0
    return total


def local_facts(place: Path) -> tuple[int | None, HeaderFacts | None]:
    """Size and header of a file or folder on this machine; None if it is missing."""
    try:
        files = sorted(place.rglob("*")) if place.is_dir() else [place]
        size = sum(file.stat().st_size for file in files if file.is_file())
        weights = [file for file in files if file == place or _is_weights(file.name)]
        return size, _first_facts(partial(_read_bytes, file) for file in weights)
    except OSError:
        return None, None


def _read_bytes(file: Path, first: int, end: int) -> bytes:
    with file.open("rb") as opened:
        opened.seek(first)
        return opened.read(end - first)


def _first_facts(files: Iterable[Callable[[int, int], bytes]]) -> HeaderFacts | None:
    """The first header of Limner in .safetensors files. files: reads bytes from a place to another one."""
    return next((facts for read in files if (facts := header_facts(tensor_header(read))) is not None), None)


def _is_weights(name: str) -> bool:
    return name.endswith(".safetensors")


def header_facts(header: Mapping[str, Any]) -> HeaderFacts | None:
    """The facts in the header of a .safetensors file that Limner wrote; None if it did not. Its content may be forged,
    so each value is checked.
    """
    try:
        ours: Any = json.loads(_table(header.get("__metadata__"))["limner"])
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    ours = _table(ours)
    base, dataset = _table(ours.get("base")), _table(ours.get("dataset"))
    shapes = (_table(value).get("shape") for name, value in header.items() if name.endswith(DOWN))
    ranks = {shape[0] for shape in shapes if isinstance(shape, list) and shape and isinstance(shape[0], int)}
    images, rights = dataset.get("pictures"), _table(dataset.get("rights"))
    training = ours.get("request")
    return HeaderFacts(
        method=_text(ours.get("method")),
        base=_text(base.get("reference")),
        licence=_text(ours.get("licence")),
        rank=max(ranks, default=None),
        images=images if isinstance(images, int) else None,
        rights={title: _counted(rights[name]) for name, title in RIGHTS if isinstance(rights.get(name), dict)},
        training=_training(training) if isinstance(training, dict) else None,
        improved=_improved(_table(ours["improved"]), images == 0) if isinstance(ours.get("improved"), dict) else None,
    )


def _training(body: dict[str, Any]) -> TrainRequest | None:
    try:
        request, _ = parse_body(body)
    except (ValueError, TypeError, RecursionError):
        return None
    return request if isinstance(request, TrainRequest) else None


def _improved(found: Mapping[str, Any], of_model: bool) -> ImprovedFacts:
    pairs, ratings = (value if type(value) is int else None for value in map(found.get, ("pairs", "ratings")))
    feedback, lesson = _text(found.get("feedback")), _text(found.get("lesson"))
    return ImprovedFacts(feedback, pairs, ratings, lesson, of_model)


def _table(value: Any) -> dict[str, Any]:
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return short_line(value, 200) if isinstance(value, str) else ""


def _counted(counts: Mapping[str, Any]) -> str:
    """Values with their counts: "CC-BY-4.0 (10), unknown (2)"."""
    return ", ".join(f"{short_line(str(name), 200)} ({short_line(str(count), 20)})" for name, count in counts.items())
