"""Drafts of trainings as surfaces use them: images are added, checked and trained on."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from threading import BoundedSemaphore, Lock
from typing import Any

from PIL import Image
from pydantic import ValidationError

from limner.core.accounts import Caller
from limner.core.drafts import MAX_CAPTION, MAX_IMAGES, MAX_NAME, Draft, DraftImage
from limner.core.errors import LimnerError, Unavailable, invalid
from limner.core.events import ArtifactKind
from limner.core.execution import parse_body
from limner.core.files import read_file
from limner.core.image_faults import FAULTS
from limner.core.requests import PrepareRequest
from limner.core.runs import Run, Status
from limner.core.text import clean_line
from limner.data.captions.caption_file import read_captions
from limner.data.entries.sidecars import METADATA
from limner.imaging.decode import PIXEL_CAP, read_image
from limner.imaging.formats import SUFFIXES, media_type
from limner.imaging.thumbnails import SIDES, thumbnail
from limner.store.drafts import DraftStore
from limner.store.files import atomic_file
from limner.store.manifests import is_safe_name, write_manifest
from limner.store.runs import Store
from limner.studio.files import StudioFiles
from limner.studio.runs import QUEUE, StudioRuns

THUMBNAIL, PREVIEW = SIDES[1], 1280
"""Longest sides of copies of an image, for tiles and for choosing a crop, in pixels."""
CAPTIONS = "captions.csv"
MIN_CROP = 64
"""The least side of a crop, in pixels."""
NO_PIP = ("image/heic", "image/avif")
"""Formats that need a package, which a visitor of the pages cannot install."""
FLAGGED = tuple(name for name, kind in FAULTS.items() if kind.action == "drop" and not kind.certain)
_decoding = BoundedSemaphore(2)
Submit = Callable[..., Run]


@dataclass(frozen=True)
class AddedImage:
    """An image that was added to a draft. known: whether the draft had it already."""

    draft: Draft
    image: DraftImage
    known: bool


class StudioDrafts(DraftStore):
    """The drafts of all accounts. `list`, `get`, `add` and `change` read and write them.

    submit: queues a request.
    """

    def __init__(self, store: Store, files: StudioFiles, runs: StudioRuns, submit: Submit) -> None:
        super().__init__(store)
        self._files, self._runs, self._submit = files, runs, submit
        self._following = Lock()

    def add_image(
        self, caller: Caller, draft: str, path: Path, name: str, caption: str = "", pixels: int | None = None
    ) -> AddedImage:
        """Store an image and add it to a draft; one that the draft has already is shown again.

        pixels: the most that it may have. Raises LimnerError for a file that is no image that can be decoded.
        """
        self.get(caller.account, draft)
        data = read_file(path)
        size = self._examine(data, name, pixels)
        reference = self._files.upload(path, caller)
        sha256 = reference.partition(":")[2]
        self._write_thumbnail(sha256, data, name)
        return self._put(caller, draft, sha256, name, size, caption)

    def add_known(self, caller: Caller, draft: str, sha256: str, name: str) -> AddedImage | None:
        """Add an image that the account stored before, without sending it again; None if there is none."""
        self.get(caller.account, draft)
        reference = f"sha256:{sha256}"
        if not self._files.may_use(caller, reference) or sha256 not in self._files:
            return None
        data = self._files.read(sha256, 0, self._files.size(sha256))
        size = self._examine(data, name, None)
        self._files.grants.add(caller, reference, len(data))
        self._write_thumbnail(sha256, data, name)
        return self._put(caller, draft, sha256, name, size, "")

    def _put(
        self, caller: Caller, draft: str, sha256: str, name: str, size: tuple[int, int], caption: str
    ) -> AddedImage:
        known = False

        def add(before: Draft) -> Draft:
            nonlocal known
            if (found := before.image(sha256)) is not None:
                known = not found.removed
                return before.with_image(sha256, removed=False)
            if len(before.images) >= MAX_IMAGES:
                raise LimnerError(f"{name[:80]!r} is one image more than {MAX_IMAGES:,}", "delete others first")
            image = DraftImage(
                sha256=sha256,
                name=free_name(name, [each.name for each in before.images]),
                width=size[0],
                height=size[1],
                caption=clean_line(caption, MAX_CAPTION),
                version=before.version + 1,
            )
            return before.model_copy(update={"images": (*before.images, image)})

        after = self.change(caller.account, draft, add)
        image = after.image(sha256)
        assert image is not None
        return AddedImage(after, image, known)

    def thumbnail(self, draft: Draft, sha256: str, side: int = THUMBNAIL) -> Path:
        """A small copy of an image of a draft, as WebP. Raises LimnerError for an image that the draft has not."""
        image = draft.image(sha256)
        if image is None:
            raise LimnerError(f"the draft has no image {sha256[:12]}", "add it first")
        place = self._files.thumbnail_path(sha256, side)
        if not place.exists():
            data = self._files.read(sha256, 0, self._files.size(sha256))
            self._write_thumbnail(sha256, data, image.name, side)
        return place

    def found_crop(self, draft: Draft, sha256: str) -> tuple[int, int, int, int]:
        """The square crop that is found for an image where nobody chose one: around its subject, or the centre.

        Raises LimnerError for an image that the draft has not.
        """
        from limner.imaging.crop import crop_box
        from limner.plugins.registry import detectors

        image = draft.image(sha256)
        with Image.open(self.thumbnail(draft, sha256, PREVIEW)) as copy:
            small = copy.convert("RGB")
        assert image is not None
        how = draft.text("crop", "subject")
        if how == "none":
            return 0, 0, image.width, image.height
        words = draft.text("class_word")
        found = detectors.get("saliency").finder(None)(small, words) if how == "subject" else None
        return crop_box((image.width, image.height), (1, 1), found)

    def cropped_thumbnail(self, draft: Draft, sha256: str) -> bytes:
        """A small copy of the part of an image that its crop leaves, as WebP."""
        image = draft.image(sha256)
        if image is None or image.crop is None:
            raise LimnerError(f"the draft has no crop of an image {sha256[:12]}", "choose one first")
        with Image.open(self.thumbnail(draft, sha256, PREVIEW)) as copy:
            across, down = copy.width / image.width, copy.height / image.height
            left, top, right, bottom = image.crop
            west, north = round(left * across), round(top * down)
            box = (west, north, max(west + 1, round(right * across)), max(north + 1, round(bottom * down)))
            part = copy.crop(box)
        part.thumbnail((THUMBNAIL, THUMBNAIL))
        out = io.BytesIO()
        part.save(out, "WEBP", quality=82)
        return out.getvalue()

    def _examine(self, data: bytes, name: str, pixels: int | None) -> tuple[int, int]:
        """(width, height) of an image, upright. Raises LimnerError if it cannot be decoded."""
        kind = media_type(data)
        try:
            with _decoding:
                return read_image(data, name, min(PIXEL_CAP, pixels or PIXEL_CAP), (THUMBNAIL, THUMBNAIL)).size
        except LimnerError as error:
            if kind in NO_PIP and "pip install" in error.remedy:
                remedy = "save it as JPEG; an iPhone does so with Settings, Camera, Formats, Most Compatible"
                raise LimnerError(f"{error.problem}, which this server cannot read", remedy) from error
            raise

    def _write_thumbnail(self, sha256: str, data: bytes, name: str, side: int = THUMBNAIL) -> None:
        place = self._files.thumbnail_path(sha256, side)
        if place.exists():
            return
        with _decoding:
            made = thumbnail(read_image(data, name, least=(side, side)).image, side)
        with atomic_file(place) as partial:
            partial.write_bytes(made)

    def crop(self, draft: Draft, sha256: str, crop: tuple[int, int, int, int] | None) -> Draft:
        """Set the crop of an image: left, top, right and bottom in pixels; None for the one that is found for it.

        Raises LimnerError for a crop that is too small, or that leaves the image.
        """
        image = draft.image(sha256)
        if image is None:
            raise LimnerError(f"the draft has no image {sha256[:12]}", "add it first")
        if crop is not None:
            left, top, right, bottom = crop
            if not (0 <= left < right <= image.width and 0 <= top < bottom <= image.height):
                problem = f"the crop from {left}, {top} to {right}, {bottom} leaves the image"
                raise LimnerError(problem, f"stay within its {image.width} x {image.height} pixels")
            if min(right - left, bottom - top) < min(MIN_CROP, image.width, image.height):
                problem = f"the crop has {right - left} x {bottom - top} pixels"
                raise LimnerError(problem, f"use at least {MIN_CROP} on each side")
        return self.change(draft.owner, draft.id, lambda before: before.with_image(sha256, crop=crop))

    def folder_of(self, caller: Caller, images: Sequence[DraftImage]) -> str:
        """The reference of a folder with these images and their captions, which are not copied.

        An image with a crop of its own is stored again, cropped.
        """
        hashes: dict[str, str] = {}
        rows: list[dict[str, str]] = []
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            for image in images:
                name, sha256 = image.name, image.sha256
                if image.crop is not None:
                    sha256 = self._files.put(self._cropped(image, folder))
                hashes[name] = sha256
                if image.caption:
                    rows.append({"file_name": name, "text": image.caption})
            if rows:
                table = folder / METADATA[0]
                table.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
                hashes[METADATA[0]] = self._files.put(table)
            reference = f"folder:{self._files.put(write_manifest(hashes, folder / 'files.json'))}"
        self._files.grants.add(caller, reference, 0)
        return reference

    def _cropped(self, image: DraftImage, folder: Path) -> Path:
        data = self._files.read(image.sha256, 0, self._files.size(image.sha256))
        with _decoding:
            whole = read_image(data, image.name).image
        place = folder / f"{image.sha256}.png"
        whole.crop(image.crop).save(place, "PNG")
        return place

    def check(self, caller: Caller, draft: Draft, granted: Collection[str], checked: str, **fields: Any) -> Run:
        """Queue a check of a draft's images, which leaves none of them out. fields: of the request to prepare them.

        checked: the digest of what is checked. Raises LimnerError as `enqueue` does.
        """
        request = self._prepare_request(caller, draft.shown, fields)
        run = self._submit(request, caller=caller, granted=granted)

        def note(before: Draft) -> Draft:
            return before.with_choices(check=run.id, checked=checked)

        self.change(caller.account, draft.id, note)
        return run

    def caption(
        self, caller: Caller, draft: Draft, granted: Collection[str], captioner: str, *, everything: bool = False
    ) -> Run:
        """Queue a captioner for the images without a caption that somebody typed. everything: for all images.

        Raises LimnerError as `enqueue` does, and if every caption was typed.
        """
        images = [image for image in draft.shown if everything or not typed_caption(draft, image)]
        if not images:
            raise LimnerError("all captions were written by hand", "choose to replace these too, or empty some")
        bare = [image.model_copy(update={"caption": ""}) for image in images]
        fields = {"captioner": captioner, "written": False, "crop": "none", "size": MIN_CROP}
        request = self._prepare_request(caller, bare, fields)
        run = self._submit(request, caller=caller, granted=granted)
        noted = {"captioning": run.id, "recaption": everything}
        self.change(caller.account, draft.id, lambda before: before.with_choices(**noted))
        return run

    def take_captions(self, draft: Draft) -> Draft:
        """The draft with the captions that its captioner wrote, once it has ended; those typed meanwhile stay."""
        run = self.run(draft.choices.captioning)
        if not draft.choices.captioning or (run is not None and not run.status.ended):
            return draft
        found = {} if run is None or run.status is not Status.DONE else self._captions(run)

        def take(before: Draft) -> Draft:
            if before.choices.captioning != draft.choices.captioning:
                return before
            free = [each for each in before.shown if before.choices.recaption or not typed_caption(before, each)]
            old = {each.sha256: each.caption for each in free}
            texts = {each.sha256: clean_line(found.get(each.name, ""), MAX_CAPTION) for each in free}
            new = {sha256: text for sha256, text in texts.items() if text and text != old[sha256]}
            images = tuple(
                each.model_copy(update={"caption": new[each.sha256], "version": before.version + 1})
                if each.sha256 in new
                else each
                for each in before.images
            )
            choices = {"captioning": "", "captioned": {**before.choices.captioned, **new}}
            undo = {name: old[name] for name in new} or before.choices.undo
            return before.model_copy(update={"images": images}).with_choices(**choices, undo=undo)

        return self.change(draft.owner, draft.id, take)

    def _captions(self, run: Run) -> dict[str, str]:
        """The captions in the dataset that a run made, by file name."""
        for artifact in self._runs.artifacts(run.id, ArtifactKind.DATASET):
            files = self._files.manifest(str(artifact.details.get("reference", "")).removeprefix("folder:"))
            with tempfile.TemporaryDirectory() as place:
                table = Path(place) / CAPTIONS
                sha256 = files[CAPTIONS]
                table.write_bytes(self._files.read(sha256, 0, self._files.size(sha256)))
                return read_captions(table)
        return {}

    def start(
        self,
        caller: Caller,
        draft: Draft,
        images: Sequence[DraftImage],
        body: dict[str, Any],
        granted: Collection[str],
        **fields: Any,
    ) -> Run:
        """Queue the preparation of images; their training follows by `follow`. Returns the run of the preparation.

        body: of the training, without its data. fields: of the request to prepare. Raises LimnerError as `enqueue`
        does, and if a training of the draft is under way.
        """
        draft = self.get(caller.account, draft.id)
        if self.under_way(draft):
            raise _under_way()
        request = self._prepare_request(caller, images, fields)
        parse_body({**body, "data": request.sources[0]})
        run = self._submit(request, caller=caller, granted=granted)
        known = draft.choices

        def note(before: Draft) -> Draft:
            earlier = before.choices
            if (earlier.prepare, earlier.train) != (known.prepare, known.train):
                raise _under_way()
            trainings = (*earlier.trainings, earlier.train) if earlier.train else earlier.trainings
            return before.with_choices(prepare=run.id, train="", body=body, by=caller, trainings=trainings, problem="")

        try:
            self.change(caller.account, draft.id, note)
        except LimnerError:
            self._runs.withdraw(run.id)
            raise
        return run

    def _prepare_request(self, caller: Caller, images: Sequence[DraftImage], fields: dict[str, Any]) -> PrepareRequest:
        if not images:
            raise LimnerError("there are no images", "add some first")
        given = {name: value for name, value in fields.items() if value not in (None, "")}
        flagged = [name for name in FLAGGED if name != "refused"]
        values = {"sources": [self.folder_of(caller, images)], "flag": flagged, **given}
        try:
            return PrepareRequest.model_validate(values)
        except ValidationError as error:
            raise invalid(error) from error

    def under_way(self, draft: Draft) -> bool:
        """Whether a training of a draft is prepared, waits or runs."""
        choices = draft.choices
        if choices.waits:
            return True
        run = self.run(choices.train)
        return run is not None and not run.status.ended

    def run(self, run_id: str) -> Run | None:
        """A run of a draft; None if there is none, or if it was erased."""
        if not run_id:
            return None
        try:
            return self._runs.get(run_id)
        except Unavailable:
            raise
        except LimnerError:
            return None

    def follow(self, draft: Draft, granted: Collection[str] = ()) -> Draft:
        """Queue the training of a draft whose dataset is prepared. Does so once, however often it is called.

        A preparation that failed, or a training that cannot be queued, is recorded as the draft's problem.
        """
        if not draft.choices.waits:
            return draft
        with self._following:
            draft = self.get(draft.owner, draft.id)
            prepared = self.run(draft.choices.prepare)
            if not draft.choices.waits or (prepared is not None and not prepared.status.ended):
                return draft
            train, problem = "", "the dataset was erased; start again"
            if prepared is not None and prepared.status is not Status.DONE:
                problem = prepared.error or "the preparation of the images was stopped"
            elif prepared is not None:
                try:
                    train, problem = self._queue_training(draft, prepared, granted).id, ""
                except Unavailable:
                    raise
                except (LimnerError, ValidationError) as error:
                    problem = str(invalid(error) if isinstance(error, ValidationError) else error)
            return self.change(
                draft.owner, draft.id, lambda before: before.with_choices(train=train, problem=problem[:2000])
            )

    def _queue_training(self, draft: Draft, prepared: Run, granted: Collection[str]) -> Run:
        """The training of a prepared dataset; the one that was queued already, if the server ended just then."""
        for run in self._runs.list(50, "train", None, None, QUEUE, draft.owner):
            if run.parent == prepared.id:
                return run
        dataset = next(iter(self._runs.artifacts(prepared.id, ArtifactKind.DATASET)), None)
        reference = "" if dataset is None else str(dataset.details.get("reference", ""))
        if not reference:
            raise LimnerError("the dataset was erased", "start again")
        request, execution = parse_body({**draft.choices.body, "data": reference})
        caller = draft.choices.by or Caller(account=draft.owner)
        return self._submit(request, parent=prepared.id, caller=caller, granted=granted, execution=execution)


def _under_way() -> LimnerError:
    return LimnerError("a training of this draft is under way", "stop it first, or wait until it has ended")


def typed_caption(draft: Draft, image: DraftImage) -> bool:
    """Whether somebody typed the caption of an image, or changed the one that a captioner wrote."""
    return bool(image.caption.strip()) and image.caption != draft.choices.captioned.get(image.sha256)


def free_name(name: str, taken: Collection[str]) -> str:
    """A file name for a folder: safe on every system, ending like an image, and different from those that are taken."""
    plain = "".join(letter for letter in name.replace("\\", "/") if not "\ud800" <= letter <= "\udfff")
    plain = clean_line(PurePosixPath(plain).name, MAX_NAME).replace(":", "_")
    stem, _, end = plain.rpartition(".")
    suffix = f".{end}"
    if suffix.lower() not in SUFFIXES:
        stem, suffix = plain, ".jpg"
    stem = stem.strip(". ").encode()[: MAX_NAME - 20].decode(errors="ignore") or "image"
    if not is_safe_name(stem + suffix):
        stem = "image"
    lower, number, found = {each.lower() for each in taken}, 1, stem + suffix
    while found.lower() in lower:
        number += 1
        found = f"{stem} ({number}){suffix}"
    return found
