"""What an earlier version made (commit 205e7b2) works in this one: its database, images, adapters and dataset."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from limner.core.requests import TrainRequest
from limner.core.runs import Status
from limner.models.loading import resolve
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


def test_an_image_is_generated_again_with_the_weights_of_now(made, limner):
    """The starter has had other weights since."""
    done = limner("run", made / "images" / "0002.png", "--out", made / "again")
    assert done.code == 0 and "'starter' has other weights now, so the image will differ" in done.err
    (again,) = (made / "again").glob("*.png")
    assert pixels(again).shape == pixels(made / "images" / "0002.png").shape


@pytest.mark.parametrize("adapter", ["adapter", "word"])
def test_an_adapter_for_the_earlier_starter_is_refused(made, limner, adapter):
    done = limner("generate", "a photo of sks cat", "--adapter", made / adapter, "--out", made / "new")
    assert done.code == 2 and not (made / "new").exists()
    assert f"adapter '{adapter}' was trained on an earlier version of 'starter'" in done.err
    assert "train it again" in done.err


def test_an_adapter_is_read(made, limner, starter):
    """The word fits today's starter too, whose text encoder is the same. Only its header must name today's weights."""
    (file,) = (made / "word").glob("*.safetensors")
    with safe_open(file, "pt") as opened:
        header = opened.metadata()
    facts = json.loads(header["limner"])
    facts["base"]["fingerprint"] = sorted(resolve("starter").fingerprints())[0]
    save_file(load_file(file), file, header | {"limner": json.dumps(facts)})
    done = limner("generate", "a photo of sks cat", "--adapter", file, "--steps", 1, "--out", made / "new")
    assert done.code == 0, done.err


def test_a_dataset_trains(made, limner):
    flags = ("--class", "cat", "--steps", 1, "--batch", 1, "--rank", 1, "--no-prior")
    done = limner("train", made / "set", *flags, "--out", made / "trained")
    assert done.code == 0, done.err
    assert "3 pictures" in done.err + done.out or "3 images" in done.err + done.out
