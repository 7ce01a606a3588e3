"""One entry -> what is written of it, and its record. Processes carry this out; it imports nothing heavy."""

from __future__ import annotations

import base64
import hashlib
import warnings
from dataclasses import replace
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from limner.core.datasets import Box, Entry, Fault, Finder, Rights, Skipped, TrainingRefused
from limner.core.errors import LimnerError
from limner.data.diversity.scenes import describe_scene
from limner.data.duplicates.signatures import signature
from limner.data.quality.measures import measure_quality, quality_faults, reduce_image
from limner.data.quality.text import text_likelihood
from limner.engine.prepare.plan import Plan
from limner.engine.prepare.record import Record
from limner.imaging import masks
from limner.imaging.crop import crop_and_resize, crop_box, upscale_factor
from limner.imaging.damage import jpeg_damage
from limner.imaging.decode import DecodedImage, read_image
from limner.imaging.formats import damaged_image
from limner.plugins.registry import detectors
from limner.provenance.rights import ImageRights, read_image_rights
from limner.store.files import rename_over

Job = tuple[int, Entry | Skipped, str]
"""The entry's number, itself, and its stamp."""
SUFFIXES = {"jpeg": ".jpg", "png": ".png", "webp": ".webp"}
THUMBNAIL = 256
SURVEYED = 600
"""Entries of which it is told what surrounds the subject; advice is given on no larger sets."""


def prepared(job: Job, plan: Plan) -> Record:
    """Read, judge, cut and write one picture. What is wrong with it is told in its record, never raised."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what decoders find odd and read all the same
        return _prepared(job, plan)


def _prepared(job: Job, plan: Plan) -> Record:
    number, item, stamp = job
    if isinstance(item, Skipped):
        return Record.lost(item)
    record = Record.of(item, stamp)
    try:
        try:
            data = item.place.read()
        except TrainingRefused as refused:
            data, rights = refused.data, Rights(training="refused", said=refused.said)
            record = record.model_copy(update={"rights": rights.over(record.rights)})
        record = record.model_copy(update={"sha256": hashlib.sha256(data).hexdigest(), "source_bytes": len(data)})
        reading = read_image(data, item.place.name, least=_least(plan))
        harm = jpeg_damage(data) if reading.format == "JPEG" else None
        if harm and harm.certain:
            raise damaged_image(data, item.place.name, harm.message)
    except LimnerError as error:
        return record.with_faults(Fault("unreadable", str(error)))
    if harm:
        record = record.with_faults(Fault("damaged", f"perhaps damaged: {harm.message}"))
    return _judged(number, item, record, data, reading, plan)


def crashed(job: Job) -> Record:
    """Of an entry at which a process died."""
    _, item, stamp = job
    if isinstance(item, Skipped):
        return Record.lost(item)
    told = f"{item.place.name!r} makes its decoder crash; save it anew, or remove it"
    return Record.of(item, stamp, Fault("unreadable", told))


def _least(plan: Plan) -> tuple[int, int]:
    """The smallest (width, height) that a picture may be decoded at."""
    shapes = plan.buckets.shapes if plan.buckets else ((plan.size, plan.size),)
    return max(width for width, _ in shapes), max(height for _, height in shapes)


def _judged(number: int, entry: Entry, record: Record, data: bytes, reading: DecodedImage, plan: Plan) -> Record:
    image, glimpse = reading.image, reduce_image(reading.image)
    found = measure_quality(glimpse, reading.size)
    marks = read_image_rights(data)
    rights = record.rights.over(marks.rights).over(plan.rights)
    wrong = [*record.faults, *quality_faults(found, plan.limits), *_odd(reading, marks), *_written_on(glimpse, plan)]
    if rights.training == "refused":
        wrong.append(Fault("refused", f"marked as not to be trained on ({rights.said})"))
    box, shape = _crop(reading.size, plan, None)
    surveyed = number < SURVEYED
    shown = _where(plan, glimpse) if surveyed or box != (0, 0, *reading.size) else None
    box = box if shown is None else _crop(reading.size, plan, shown)[0]
    wrong += _sized(box, shape, plan)
    wrong = [fault for fault in wrong if plan.actions[fault.kind] != "ignore"]
    update = {
        "format": reading.format,
        "size": reading.size,
        "notes": reading.notes,
        "measures": found,
        "rights": rights,
        "located": marks.has_location,
        "box": box,
        "shape": shape,
        "signature": _base64(signature(glimpse)),
        "surroundings": _base64(describe_scene(glimpse, shown).to_row()) if surveyed else "",
        "thumbnail": _write_thumbnail(number, glimpse, plan),
    }
    record = record.model_copy(update=update)
    if not plan.drops(tuple(wrong)):
        written, more = _written(number, entry, record, image, plan)
        record = record if plan.drops(tuple(more)) else written
        wrong += more
    return record.model_copy(update={"faults": tuple(wrong)})


def _base64(values: np.ndarray) -> str:
    return base64.b64encode(values.tobytes()).decode()


def _odd(reading: DecodedImage, marks: ImageRights) -> list[Fault]:
    """What is told by the file, and not by its pixels."""
    found = [Fault("animated", f"of {reading.frames} frames only the first is taken")] if reading.frames > 1 else []
    return found + ([Fault("synthetic", f"made by AI ({marks.generated})")] if marks.generated else [])


def _written_on(glimpse: Image.Image, plan: Plan) -> list[Fault]:
    """Whether letters stand in a picture, a watermark's perhaps."""
    if "text" not in plan.limits or (likely := text_likelihood(glimpse)) <= plan.limits["text"]:
        return []
    return [Fault("text", f"letters in a row, a watermark perhaps (likelihood {likely:.2f})", likely)]


@cache
def finder(name: str, model: str | None) -> Finder:
    """A detector, opened once in each process."""
    return detectors.get(name).finder(model)


def _where(plan: Plan, glimpse: Image.Image) -> np.ndarray | None:
    """How much each place of the picture is the subject's; None where nothing is found, or nobody asks."""
    return finder(*plan.detector)(glimpse, plan.words) if plan.crop == "subject" else None


def _crop(size: tuple[int, int], plan: Plan, shown: np.ndarray | None) -> tuple[Box, tuple[int, int]]:
    """What is cut out of a picture of this (width, height), and the (width, height) that it is brought to."""
    if plan.crop == "none":
        scale = min(1.0, plan.size / min(size))
        return (0, 0, *size), (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
    shape = plan.buckets.nearest(size) if plan.buckets else (plan.size, plan.size)
    return crop_box(size, shape, shown), shape


def _sized(box: Box, shape: tuple[int, int], plan: Plan) -> list[Fault]:
    """Whether the crop is smaller than what is made of it."""
    times = upscale_factor(box, shape)
    told = f"{box[2] - box[0]} x {box[3] - box[1]} pixels become {shape[0]} x {shape[1]}"
    if "small" in plan.limits and times * plan.limits["small"] > 1:
        return [Fault("small", f"too small: {told}", times)]
    if "enlarged" in plan.limits and times > plan.limits["enlarged"]:
        return [Fault("enlarged", f"enlarged {times:.2f} times: {told}", times)]
    return []


def _written(number: int, entry: Entry, record: Record, image: Image.Image, plan: Plan) -> tuple[Record, list[Fault]]:
    """Write the crop, and its mask where there is one."""
    assert record.box is not None and record.shape is not None and record.size is not None
    box = _within(record.box, record.size, image.size)
    name = f"{number:08d}{SUFFIXES[plan.format]}"
    _save(crop_and_resize(image, box, record.shape), plan.folder / name, plan)
    update: dict[str, object] = {"picture": name, "bytes": (plan.folder / name).stat().st_size}
    mask = _mask(entry, image, record.size, plan)
    if isinstance(mask, Image.Image):
        mask = masks.crop_mask(mask, _within(record.box, record.size, mask.size), record.shape)
    if isinstance(mask, Fault):
        return record.model_copy(update=update), [mask]
    if mask is not None:
        update["mask"] = f"{number:08d}.mask.png"
        _save(mask, plan.folder / str(update["mask"]), plan, "png")
    return record.model_copy(update=update), []


def _within(box: Box, size: tuple[int, int], decoded: tuple[int, int]) -> Box:
    """A box of a picture of this (width, height) in the same picture as it was decoded, perhaps smaller."""
    across, down = decoded[0] / size[0], decoded[1] / size[1]
    left, top = min(round(box[0] * across), decoded[0] - 1), min(round(box[1] * down), decoded[1] - 1)
    right, bottom = max(left + 1, round(box[2] * across)), max(top + 1, round(box[3] * down))
    return left, top, min(right, decoded[0]), min(bottom, decoded[1])


def _mask(entry: Entry, image: Image.Image, size: tuple[int, int], plan: Plan) -> Image.Image | Fault | None:
    """The mask that came with a picture, or the one that is made of it where that is asked for."""
    if entry.mask is not None:
        try:
            return masks.read_mask(entry.mask.read(), entry.mask.name, size)
        except LimnerError as error:
            return Fault("mask", str(error))
    return masks.make_mask(image, finder(*plan.detector)(reduce_image(image), plan.words)) if plan.makes_masks else None


def _write_thumbnail(number: int, glimpse: Image.Image, plan: Plan) -> str:
    name, tiny = f"{number:08d}.thumb.jpg", glimpse
    if max(glimpse.size) > THUMBNAIL:
        tiny = glimpse.copy()
        tiny.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.BICUBIC)
    _save(tiny, plan.folder / name, replace(plan, quality=85), "jpeg")
    return name


def _save(image: Image.Image, path: Path, plan: Plan, form: str | None = None) -> None:
    """Write a picture whole, without any metadata of where it is from."""
    form, kept = form or plan.format, BytesIO()
    settings: dict[str, dict[str, int]] = {
        "jpeg": {"quality": plan.quality, "subsampling": 0},
        "png": {"compress_level": 6},
        "webp": {"quality": plan.quality, "method": 4},
    }
    image.info = {}
    image.save(kept, form.upper(), **settings[form])
    partial = path.with_name(f".{path.name}")
    partial.write_bytes(kept.getvalue())
    rename_over(partial, path.name)
