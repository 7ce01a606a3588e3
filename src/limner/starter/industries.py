"""An adapter of the starter for each industry, trained on the painter's images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from limner.core.errors import LimnerError
from limner.core.requests import TrainRequest
from limner.data.sets.album import write_album
from limner.models.loading import resolve
from limner.starter.exam.model import Listener, Stop
from limner.starter.painter import paint
from limner.starter.painter.sectors import SECTORS, scenes, sector_caption
from limner.store.files import atomic_file, atomic_folder, make_folder
from limner.store.locks import with_output_lock
from limner.studio.studio import Studio

PROFILE, SEED = "marketing.yaml", 1
LEAST_IMAGES, MOST_IMAGES = 8, 10_000


@with_output_lock
def train_industries(
    out: Path,
    names: Sequence[str],
    training: Mapping[str, object],
    images: int,
    profile: Callable[[Mapping[str, Path]], str],
    listener: Listener,
    stop: Stop,
) -> Path:
    """Train an adapter for each named industry on `images` images with captions; returns the path of a profile.

    training: fields of TrainRequest that differ from the defaults. An adapter that is in `out` is not trained again.
    profile: the profile's text for the adapters by industry: these, and others that are in `out`.
    """
    if unknown := set(names) - set(SECTORS):
        raise LimnerError(f"unknown industry {min(unknown)!r}", f"choose one of: {', '.join(SECTORS)}")
    if not LEAST_IMAGES <= images <= MOST_IMAGES:
        raise LimnerError(f"images is {images}", f"use {LEAST_IMAGES} to {MOST_IMAGES} images")
    resolve(str(training["model"]))  # refused now, and not after the drawing
    make_folder(out)
    studio, folders = Studio(), {name: out / name.replace(" ", "-") for name in SECTORS}
    for name in names:
        adapter = folders[name] / "adapter"
        if adapter.exists():
            continue
        fields = {"data": str(folders[name] / "images"), "class_word": "product", "identifier": None, "prior": False}
        request = TrainRequest.model_validate({**fields, **training})
        mine = (scene for other, scene in scenes(images, SEED) if other == name)
        with atomic_folder(folders[name] / "images") as partial:  # replaces those of an earlier, stopped command
            write_album(partial, ((paint(scene), sector_caption(name, scene)) for scene in mine))
        studio.run(request, adapter, listener=listener, stop=stop)
    adapters = {name: folder / "adapter" for name, folder in folders.items() if (folder / "adapter").exists()}
    with atomic_file(out / PROFILE) as partial:
        partial.write_text(profile(adapters), encoding="utf-8")
    return out / PROFILE
