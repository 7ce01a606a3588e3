"""Training on a prepared dataset: its captions, weights and rights, and its validation part."""

from __future__ import annotations

import json
import shutil
from collections import Counter

import pytest
from PIL import Image, ImageOps
from safetensors import safe_open
from safetensors.torch import load_file

from limner.core.events import Notice
from limner.engine.train.batches import order, uneven, weighted_pass
from limner.engine.train.model_card import rights_table
from limner.models.options import LORA_FILE


def facts(folder):
    with safe_open(folder / LORA_FILE, framework="pt") as file:
        return json.loads(file.metadata()["limner"])


@pytest.fixture
def dataset(painted, tmp_path):
    """Four training images and two validation images, with rights."""
    place, pictures = tmp_path / "set", sorted(painted.glob("*.png"))
    for part, chosen in (("train", pictures[:4]), ("validation", pictures[4:])):
        (place / part).mkdir(parents=True)
        rows = []
        for path in chosen:
            shutil.copy(path, place / part)
            rows.append({"file_name": path.name, "text": f"a photo of sks dog number {path.stem}", "author": "Jane"})
        rows[0] |= {"licence": "CC-BY-4.0", "weight": 3.0}
        rows[1] |= {"noai": True, "training_override": "Jane agreed | by *letter*"}
        (place / part / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return place


def test_header_and_card_carry_the_rights(learn, dataset):
    folder, events = learn(data=str(dataset), held_out=None)
    found = facts(folder)["dataset"]
    assert found["pictures"] == 4
    assert found["rights"] == {
        "licences": {"CC-BY-4.0": 1, "unknown": 3},
        "authors": {"Jane": 4},
        "refused": {"noai beside it": 1},
        "overrides": {"Jane agreed | by *letter*": 1},
    }
    card = (folder / "README.md").read_text()
    assert "| Licences of the images | CC-BY-4.0 (1), unknown (3) |" in card
    assert "| Authors of the images | Jane (4) |" in card
    assert r"| Marked 'no AI training', used nevertheless | 1 (Jane agreed \| by \*letter\*) |" in card
    texts = [event.text for event in events if isinstance(event, Notice)]
    assert any("4 images, 2 more for validation, 4 with a caption" in text for text in texts)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert all(0 < line["held_out_loss"] < 100 for line in lines if line["step"] in (2, 4))


def test_held_out_overrules_the_validation_part(learn, dataset):
    folder, events = learn(data=str(dataset), held_out=0)
    assert "held_out_loss" not in (folder / "metrics.jsonl").read_text()
    assert not any("validation" in event.text for event in events if isinstance(event, Notice))


def test_a_plain_folders_header_and_card_say_nothing_of_rights(learn):
    folder, _ = learn()
    assert set(facts(folder)["dataset"]) == {"sha256", "pictures"}
    assert "of the images" not in (folder / "README.md").read_text()


def test_weights_change_what_is_trained_and_captions_may_lie_anywhere(learn, painted, dataset, tmp_path):
    train, texts = dataset / "train", tmp_path / "plain"
    texts.mkdir()
    rows = [json.loads(line) for line in (train / "metadata.jsonl").read_text().splitlines()]
    for row in rows:
        shutil.copy(train / row["file_name"], texts)
        (texts / row["file_name"]).with_suffix(".txt").write_text(row["text"])

    def trained(out, data):
        folder, _ = learn(out=out, data=str(data), held_out=0, steps=3)
        return {name: value.numpy().tobytes() for name, value in load_file(folder / LORA_FILE).items()}

    weighted = trained("weighted", train)
    (train / "metadata.jsonl").write_text("".join(json.dumps({**row, "weight": 1}) + "\n" for row in rows))
    alike = trained("alike", train)
    assert alike == trained("texts", texts) and alike != weighted


# How often each is drawn


@pytest.mark.parametrize("weights", [(1, 3), (1, 1, 2, 10), (0.001, 5, 5), tuple(range(1, 41)), (7,), (1e-6, 1e6)])
def test_each_is_drawn_by_its_share(weights):
    passes, count = 200, len(weights)
    seen = Counter(index for step in range(passes) for index in order(count, count, step, 42, weights))
    for index, weight in enumerate(weights):
        assert abs(seen[index] - passes * count * weight / sum(weights)) < 2.5
    assert sum(seen.values()) == passes * count


def test_within_one_pass_none_is_drawn_more_than_its_share_rounded_up():
    weights = (1, 2, 3, 6)
    for turn in range(50):
        seen = Counter(weighted_pass(weights, turn, 0.3))
        assert all(abs(seen[index] - weight / 3) < 1 for index, weight in enumerate(weights))


@pytest.mark.parametrize("weight", [1.0, 0.1, 3.3])
def test_equal_weights_change_nothing(weight):
    assert uneven([weight] * 5) is None
    for count in (1, 2, 7, 33):
        assert [order(count, 3, step, 7) for step in range(20)] == [
            order(count, 3, step, 7, [weight] * count) for step in range(20)
        ]


def test_a_step_is_the_same_wherever_training_begins_and_for_its_seed():
    weights = (1, 2, 5, 1)
    found = [order(4, 3, step, 1, weights) for step in range(30)]
    assert [order(4, 3, step, 1, weights) for step in reversed(range(30))] == found[::-1]
    assert found != [order(4, 3, step, 2, weights) for step in range(30)]
    assert [index for step in found for index in step] == [
        index for step in range(90) for index in order(4, 1, step, 1, weights)
    ]


def test_hostile_names_stay_in_their_cell():
    found = rights_table({"authors": {"a|b\n# c <script>[x](y)": 2}, "licences": {}, "overrides": {}})
    assert found == {
        "Licences of the images": "",
        "Authors of the images": r"a\|b \# c \<script\>\[x\](y) (2)",
    }


def test_the_held_out_loss_is_of_the_validation_images(learn, dataset, tmp_path):
    def losses(name):
        folder, _ = learn(data=str(dataset), held_out=None, out=tmp_path / name)
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        return [line["held_out_loss"] for line in lines if "held_out_loss" in line], (folder / LORA_FILE)

    before, first = losses("first")
    for path in (dataset / "validation").glob("*.png"):
        ImageOps.invert(Image.open(path).convert("RGB")).save(path)
    after, second = losses("second")
    trained, again = load_file(first), load_file(second)
    assert all((trained[name] == again[name]).all() for name in trained), "they are not trained on"
    assert before and before != after
