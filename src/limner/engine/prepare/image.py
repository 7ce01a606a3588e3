"""Prepares one image: reads, checks, crops and writes it. Runs in worker processes, so it imports nothing heavy."""

from __future__ import annotations

import base64
import hashlib
import warnings
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from limner.core.datasets import Box, Entry, Fault, Finder, Rights, Skipped, TrainingRefused
from limner.core.errors import LimnerError
from limner.data.diversity.scenes import describe_scene
from limner.data.duplicates.signatures import signature
from limner.data.quality.borders import box_without_bars
from limner.data.quality.measures import measure_quality, quality_faults, reduce_image
from limner.data.quality.text import text_likelihood
from limner.engine.prepare.plan import ImagePlan
from limner.engine.prepare.staging import Record
from limner.imaging import masks
from limner.imaging.crop import crop_and_resize, crop_box, upscale_factor
from limner.imaging.damage import jpeg_damage
from limner.imaging.decode import DecodedImage, read_image
from limner.imaging.drawn_masks import DrawnMask
from limner.imaging.formats import damaged_image
from limner.plugins.registry import detectors
from limner.provenance.rights import ImageRights, read_image_rights
from limner.store.files import rename_over

Job = tuple[int, Entry | Skipped, str]
"""The number of an entry, the entry, and its stamp."""
SUFFIXES = {"jpeg": ".jpg", "png": ".png", "webp": ".webp"}
THUMBNAIL, THUMBNAIL_QUALITY = 256, 85
SURVEYED = 600
"""Entries whose backgrounds are measured; there is no advice on larger sets."""


def prepare_image(job: Job, plan: ImagePlan) -> Record:
    """Read, check, crop and write one image. Problems are faults of its record and are never raised."""
    number, item, stamp = job
    record = Record.of(item, stamp)
    if isinstance(item, Skipped):
        return record
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of oddities that decoders read all the same
        try:
            try:
                data = item.data.read()
            except TrainingRefused as refused:
                data, rights = refused.data, Rights(training="refused", statement=refused.statement)
                record = record.model_copy(update={"rights": rights.over(record.rights)})
            record = record.model_copy(update={"sha256": hashlib.sha256(data).hexdigest(), "source_bytes": len(data)})
            reading = read_image(data, item.data.name, least=_smallest_size(plan))
            harm = jpeg_damage(data) if reading.format == "JPEG" else None
            if harm and harm.certain:
                raise damaged_image(data, item.data.name, harm.message)
        except LimnerError as error:
            return record.with_faults(Fault("unreadable", str(error)))
        if harm:
            record = record.with_faults(Fault("damaged", f"may be damaged: {harm.message}"))
        return _check(number, item, record, data, reading, plan)


def crashed_record(job: Job) -> Record:
    """The record of an entry that killed its process."""
    _, item, stamp = job
    if isinstance(item, Skipped):
        return Record.of(item)
    text = f"{item.data.name!r} crashes its decoder; save it again, or remove it"
    return Record.of(item, stamp, Fault("unreadable", text))


def _smallest_size(plan: ImagePlan) -> tuple[int, int]:
    """The smallest (width, height) at which an image may be decoded."""
    shapes = plan.buckets.shapes if plan.buckets else ((plan.size, plan.size),)
    return max(width for width, _ in shapes), max(height for _, height in shapes)


def _check(number: int, entry: Entry, record: Record, data: bytes, reading: DecodedImage, plan: ImagePlan) -> Record:
    """Find the faults of an image, and write it unless they drop it."""
    whole = reduce_image(reading.image)
    found = measure_quality(whole, reading.size)
    part, reduced = _without_bars(reading, whole, found["bars"], plan), whole
    if part.size != reading.size:
        reduced = reduce_image(part.image)
        found = {**measure_quality(reduced, part.size), "bars": found["bars"]}
    marks = read_image_rights(data)
    rights = record.rights.over(marks.rights).over(plan.rights)
    every = [
        *record.faults,
        *quality_faults(found, plan.limits),
        *_file_faults(reading, marks),
        *_text_faults(reduced, plan),
    ]
    if rights.training == "refused":
        every.append(Fault("refused", f"marked as not to be trained on ({rights.statement})"))
    box, shape = _crop(part.size, plan, None)
    surveyed = number < SURVEYED
    subject = _locate(plan, reduced) if surveyed or box != (0, 0, *part.size) else None
    box = box if subject is None else _crop(part.size, plan, subject)[0]
    every = [fault for fault in (*every, *_size_faults(box, shape, plan)) if plan.actions[fault.kind] != "ignore"]
    update = {
        "format": reading.format,
        "size": reading.size,
        "notes": reading.notes,
        "measures": found,
        "rights": rights,
        "located": marks.has_location,
        "box": part.outer(box),
        "shape": shape,
        "signature": _base64(signature(reduced)),
        "surroundings": _base64(describe_scene(reduced, subject).to_row()) if surveyed else "",
        "thumbnail": _write_thumbnail(number, whole, plan),
    }
    record = record.model_copy(update=update)
    if not plan.drops(tuple(every)):
        written, more = _write(number, entry, record, part, box, plan)
        record = record if plan.drops(tuple(more)) else written
        every += more
    return record.model_copy(update={"faults": tuple(every)})


@dataclass(frozen=True, slots=True)
class _Part:
    """An image without its bars. image: perhaps decoded at less than its size. box: in the pixels of the original."""

    image: Image.Image
    box: Box

    @property
    def size(self) -> tuple[int, int]:
        return self.box[2] - self.box[0], self.box[3] - self.box[1]

    def outer(self, box: Box) -> Box:
        """A box of this part in the pixels of the original."""
        left, top = self.box[:2]
        return box[0] + left, box[1] + top, box[2] + left, box[3] + top


def _without_bars(reading: DecodedImage, reduced: Image.Image, bars: float, plan: ImagePlan) -> _Part:
    """The image without its bars, or all of it if the plan does not cut them. bars: their share."""
    image, size = reading.image, reading.size
    if plan.actions["border"] != "cut" or bars <= plan.limits["border"]:
        return _Part(image, (0, 0, *size))
    box = box_without_bars(image, reduced)
    return _Part(image.crop(box), _scaled_box(box, image.size, size))


def _base64(values: np.ndarray) -> str:
    return base64.b64encode(values.tobytes()).decode()


def _file_faults(reading: DecodedImage, marks: ImageRights) -> list[Fault]:
    """Faults that are in the file and not in its pixels."""
    found = [Fault("animated", f"only the first of {reading.frames} frames is used")] if reading.frames > 1 else []
    return found + ([Fault("synthetic", f"made by AI ({marks.generated})")] if marks.generated else [])


def _text_faults(reduced: Image.Image, plan: ImagePlan) -> list[Fault]:
    """Text in an image, which may be a watermark."""
    if "text" not in plan.limits or (likely := text_likelihood(reduced)) <= plan.limits["text"]:
        return []
    return [Fault("text", f"a line of text, perhaps a watermark (likelihood {likely:.2f})", likely)]


def _size_faults(box: Box, shape: tuple[int, int], plan: ImagePlan) -> list[Fault]:
    """Whether the crop is smaller than the written image."""
    times = upscale_factor(box, shape)
    text = f"{box[2] - box[0]} x {box[3] - box[1]} pixels become {shape[0]} x {shape[1]}"
    if "small" in plan.limits and times * plan.limits["small"] > 1:
        return [Fault("small", f"too small: {text}", times)]
    if "enlarged" in plan.limits and times > plan.limits["enlarged"]:
        return [Fault("enlarged", f"enlarged {times:.2f} times: {text}", times)]
    return []


@cache
def finder(name: str, model: str | None) -> Finder:
    """A detector, loaded once in each process."""
    return detectors.get(name).finder(model)


def _locate(plan: ImagePlan, reduced: Image.Image) -> np.ndarray | None:
    """How much each pixel belongs to the subject; None if none is found or the crop does not depend on it."""
    return finder(*plan.detector)(reduced, plan.words) if plan.crop == "subject" else None


def _crop(size: tuple[int, int], plan: ImagePlan, subject: np.ndarray | None) -> tuple[Box, tuple[int, int]]:
    """The crop of an image of this (width, height), and the (width, height) that it is resized to."""
    if plan.crop == "none":
        scale = min(1.0, plan.size / min(size))
        return (0, 0, *size), (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
    shape = plan.buckets.nearest(size) if plan.buckets else (plan.size, plan.size)
    return crop_box(size, shape, subject), shape


def _write(
    number: int, entry: Entry, record: Record, part: _Part, box: Box, plan: ImagePlan
) -> tuple[Record, list[Fault]]:
    """Write the crop and its mask; returns the record and the faults of the mask. box: of the part."""
    assert record.box is not None and record.shape is not None and record.size is not None
    path = plan.folder / f"{number:08d}{SUFFIXES[plan.format]}"
    cropped = crop_and_resize(part.image, _scaled_box(box, part.size, part.image.size), record.shape)
    _save(cropped, path, plan.format, plan.quality)
    update: dict[str, object] = {"picture": path.name, "bytes": path.stat().st_size}
    mask = _mask(entry, record, part, box, plan)
    if isinstance(mask, DrawnMask):
        update["notes"] = (*record.notes, *([f"a mask: {mask.note}"] if mask.note else []))
        mask = masks.crop_mask(mask.image, _scaled_box(record.box, record.size, mask.image.size), record.shape)
    if isinstance(mask, Fault):
        return record.model_copy(update=update), [mask]
    if mask is not None:
        update["mask"] = f"{number:08d}.mask.png"
        _save(mask, plan.folder / str(update["mask"]), "png")
    return record.model_copy(update=update), []


def _scaled_box(box: Box, size: tuple[int, int], decoded: tuple[int, int]) -> Box:
    """A box of an image of this (width, height) in the same image as decoded, which may be smaller."""
    across, down = decoded[0] / size[0], decoded[1] / size[1]
    left, top = min(round(box[0] * across), decoded[0] - 1), min(round(box[1] * down), decoded[1] - 1)
    right, bottom = max(left + 1, round(box[2] * across)), max(top + 1, round(box[3] * down))
    return left, top, min(right, decoded[0]), min(bottom, decoded[1])


def _mask(
    entry: Entry, record: Record, part: _Part, box: Box, plan: ImagePlan
) -> DrawnMask | Image.Image | Fault | None:
    """The drawn mask of an entry, or a cropped one made by the detector if the plan says so. box: of the part."""
    assert record.shape is not None and record.size is not None
    if entry.mask is not None:
        try:
            return masks.read_mask(entry.mask.read(), entry.mask.name, record.size)
        except LimnerError as error:
            return Fault("mask", str(error))
    if not plan.makes_masks:
        return None
    made = masks.make_mask(part.image, finder(*plan.detector)(reduce_image(part.image), plan.words))
    inner = _scaled_box(box, part.size, part.image.size)
    return made if isinstance(made, Fault) else masks.crop_mask(made, inner, record.shape)


def _write_thumbnail(number: int, reduced: Image.Image, plan: ImagePlan) -> str:
    path, thumbnail = plan.folder / f"{number:08d}.thumb.jpg", reduced
    if max(reduced.size) > THUMBNAIL:
        thumbnail = reduced.copy()
        thumbnail.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.BICUBIC)
    _save(thumbnail, path, "jpeg", THUMBNAIL_QUALITY)
    return path.name


def _save(image: Image.Image, path: Path, form: str, quality: int = 0) -> None:
    """Write an image completely or not at all, without any metadata of its source. quality: of JPEG and WebP."""
    settings: dict[str, dict[str, int]] = {
        "jpeg": {"quality": quality, "subsampling": 0},
        "png": {"compress_level": 6},
        "webp": {"quality": quality, "method": 4},
    }
    buffer = BytesIO()
    image.info = {}
    image.save(buffer, form.upper(), **settings[form])
    partial = path.with_name(f".{path.name}")
    partial.write_bytes(buffer.getvalue())
    rename_over(partial, path.name)
