"""Pictures that are painted once, and tiny networks by name."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

import networks
from limner.core.metrics import ScoredImage
from limner.starter.painter import caption, paint, random_scene


@pytest.fixture(scope="session")
def scenes(tmp_path_factory) -> list[ScoredImage]:
    """40 pictures of the painter with their captions, in groups of four. Tests never write beside them."""
    folder = tmp_path_factory.mktemp("scenes")
    rng = random.Random("metrics")
    found = []
    for number in range(40):
        scene = random_scene(rng)
        paint(scene).save(folder / f"{number:02d}.png")
        found.append(ScoredImage(folder / f"{number:02d}.png", caption(scene), f"group {number // 4}"))
    return found


@pytest.fixture(scope="session")
def clip(tmp_path_factory) -> Path:
    return networks.clip(tmp_path_factory.mktemp("networks") / "clip")


@pytest.fixture(scope="session")
def dino(tmp_path_factory) -> Path:
    return networks.dino(tmp_path_factory.mktemp("networks") / "dino")


@pytest.fixture
def changed(tmp_path) -> Callable[[Path, Callable[[Image.Image], Image.Image], str], Path]:
    """Writes a changed copy of a picture."""

    def write(path: Path, change: Callable[[Image.Image], Image.Image], name: str) -> Path:
        with Image.open(path) as picture:
            change(picture.convert("RGB")).save(tmp_path / name)
        return tmp_path / name

    return write
