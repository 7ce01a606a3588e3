"""What an earlier version made (commit 205e7b2) works in this one: its database, images, adapters and dataset."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from limner.core.requests import TrainRequest
from limner.core.runs import Status
from limner.studio import Studio
from working import execute_queue

MADE = Path(__file__).with_name("made_by_0.1.zip")
FOLDER = "/srv/old"
"""Where the earlier version kept these files."""
QUEUED, INTERRUPTED = "261129-170304-jkub", "261129-170310-k4nz"


@pytest.fixture
def made(home, starter, tmp_path):
    """The unpacked files; the home holds the earlier database, whose artifacts lie in this folder."""
    folder = tmp_path / "made"
    with ZipFile(MADE) as archive:
        archive.extractall(folder)
    shutil.move(folder / "limner.db", home / "limner.db")
    with closing(sqlite3.connect(home / "limner.db")) as database, database:
        database.execute("update artifacts set path = replace(path, ?, ?)", (FOLDER, str(folder)))
    return folder


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def test_the_database_migrates(made, limner):
    listed = limner("runs")
    assert listed.code == 0, listed.err
    assert all(run in listed.out for run in (QUEUED, INTERRUPTED))
    assert limner("history", "--search", "dog").out.count("a dog on the beach") == 1


def test_a_queued_run_is_executed(made, home):
    studio = Studio(home)
    execute_queue(studio)
    assert studio.store.get(QUEUED).status is Status.DONE
    studio.store.close()


def test_an_interrupted_run_is_found_on_another_device(made, home):
    request = TrainRequest.model_validate(
        {
            "data": f"{FOLDER}/set",
            "class_word": "cat",
            "identifier": "sks",
            "steps": 400,
            "batch": 2,
            "seed": 4,
            "prior": False,
            "checkpoint_every": 2,
            "flip": True,
            "options": {"rank": 1, "targets": "to_q,to_v"},
        }
    )
    studio = Studio(home)
    assert [run.id for run in studio.store.unfinished(request.digest)] == [INTERRUPTED]
    studio.store.close()


@pytest.mark.parametrize("name", ["0001.png", "0002.png"])
def test_an_image_is_reproduced(made, limner, name):
    done = limner("run", made / "images" / name, "--out", made / "again")
    assert done.code == 0, done.err
    (again,) = (made / "again").glob("*.png")
    # Processors round differently, and a watermark depends on every pixel below it.
    assert np.abs(pixels(again) - pixels(made / "images" / name)).mean() < 2


@pytest.mark.parametrize("adapter", ["adapter", "word"])
def test_an_adapter_loads(made, limner, adapter):
    done = limner("generate", "a photo of sks cat", "--adapter", made / adapter, "--steps", 1, "--out", made / "new")
    assert done.code == 0, done.err


def test_a_dataset_trains(made, limner):
    flags = ("--class", "cat", "--steps", 1, "--batch", 1, "--rank", 1, "--no-prior")
    done = limner("train", made / "set", *flags, "--out", made / "trained")
    assert done.code == 0, done.err
    assert "3 pictures" in done.err + done.out or "3 images" in done.err + done.out
