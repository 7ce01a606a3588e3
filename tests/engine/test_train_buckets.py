"""Training on a dataset in aspect-ratio buckets: every image in its own shape, and exact resume."""

from __future__ import annotations

import json
import shutil
from itertools import count

import pytest
from PIL import Image
from safetensors.torch import load_file

from limner import Studio
from limner.core.errors import Interrupted
from limner.core.events import Notice
from limner.engine.train import encoding
from limner.engine.train.denoising import Denoising
from limner.models.options import LORA_FILE

SIZES = ((64, 64), (48, 80), (80, 48), (48, 80), (64, 64), (80, 48))


@pytest.fixture
def dataset(painted, tmp_path):
    """Six images of three sizes, as `limner prepare --buckets` writes them, each with a mask of its upper half."""
    folder = tmp_path / "set"
    (folder / "masks").mkdir(parents=True)
    rows = []
    for path, size in zip(sorted(painted.glob("*.png")), SIZES, strict=True):
        with Image.open(path) as image:
            image.convert("RGB").resize(size).save(folder / path.name)
        mask = Image.new("L", size)
        mask.paste(255, (0, 0, size[0], size[1] // 2))
        mask.save(folder / "masks" / path.name)
        rows.append({"file_name": path.name, "text": f"a photo of sks dog {path.stem}"})
        rows[-1] |= {"width": size[0], "height": size[1], "mask_file_name": f"masks/{path.name}"}
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture
def encoded(monkeypatch):
    """The sets that are encoded, in order."""
    sets, real = [], encoding.encode
    monkeypatch.setattr(encoding, "encode", lambda *given: sets.append(real(*given)) or sets[-1])
    return sets


def tensors(folder):
    return {name: value.numpy().tobytes() for name, value in load_file(folder / LORA_FILE).items()}


def test_every_image_is_trained_in_its_own_shape(learn, dataset, encoded):
    _, events = learn(data=str(dataset), masked=True, held_out=2, steps=6, checkpoint_every=6)
    sizes = [tuple(each.size[1:]) for each in encoded]
    assert sizes == [(8, 8), (8, 8), (10, 6), (6, 10), (8, 8), (6, 10)], "class images, four, and two held out"
    assert [len(each) for each in encoded[1:]] == [1, 2, 1, 1, 1]
    for each in encoded[1:]:
        height, width = (8 * side for side in each.size[1:])
        assert each.frames.tolist() == [[height, width, 0, 0, height, width]] * len(each)
        assert each.masks[:, 0, 0, 0].min() == 1 and each.masks[:, 0, 0, -1].max() == 0
    assert [text for each in encoded[1:] for text in each.captions] == [
        f"a photo of sks dog {index}" for index in (0, 1, 3, 2, 4, 5)
    ]
    assert any("at 64 px in 3 sizes" in event.text for event in events if isinstance(event, Notice))


def test_a_batch_has_one_size_and_each_image_its_own_frame(learn, dataset, tiny_folder, monkeypatch):
    """SDXL is conditioned on each image's size and crop."""
    batches, real = [], Denoising._batch

    def looking(self, picks):
        batches.append(real(self, picks))
        return batches[-1]

    monkeypatch.setattr(Denoising, "_batch", looking)
    learn(data=str(dataset), model=str(tiny_folder("sdxl")), resolution=64, steps=12, prior=False)
    assert {tuple(batch.latents.shape[2:]) for batch in batches} == {(8, 8), (10, 6), (6, 10)}
    for batch in batches:
        height, width = (8 * side for side in batch.latents.shape[2:])
        assert batch.frames.tolist() == [[height, width, 0, 0, height, width]] * 2


def test_a_folder_without_a_table_is_trained_as_squares(learn, dataset, encoded):
    (dataset / "metadata.jsonl").unlink()
    _, events = learn(data=str(dataset), prior=False)
    assert [(tuple(each.size[1:]), len(each)) for each in encoded] == [((8, 8), 6)]
    assert not any("sizes" in event.text for event in events if isinstance(event, Notice))


@pytest.mark.slow
@pytest.mark.parametrize("stop_after", [1, 4])
def test_an_interrupted_run_ends_in_the_same_weights(request_of, dataset, tmp_path, stop_after):
    request = request_of(data=str(dataset), steps=7, ema=0.9, caption_dropout=0.2)
    Studio().run(request, tmp_path / "whole")
    asked = count()
    with pytest.raises(Interrupted):
        Studio().run(request, tmp_path / "stopped", stop=lambda: next(asked) >= stop_after)
    Studio().run(request, tmp_path / "stopped", resume=True)
    assert tensors(tmp_path / "whole") == tensors(tmp_path / "stopped")


def test_weights_of_the_table_hold_across_sizes(learn, dataset, monkeypatch):
    rows = [json.loads(line) for line in (dataset / "metadata.jsonl").read_text().splitlines()]
    table = "".join(json.dumps({**row, "weight": 1 + (index in (0, 4))}) + "\n" for index, row in enumerate(rows))
    (dataset / "metadata.jsonl").write_text(table)
    found, real = [], encoding.DatasetEncoder.encode_files
    monkeypatch.setattr(
        encoding.DatasetEncoder,
        "encode_files",
        lambda *given, **named: found.append(real(*given, **named)) or found[-1],
    )
    learn(data=str(dataset), prior=False)
    subject, held_out = found
    assert [each.weights for each in subject] == [(2.0, 2.0), (1.0, 1.0), (1.0, 1.0)] and held_out == ()


def test_squares_of_a_prepared_set_are_trained_as_a_plain_folder(learn, painted, tmp_path):
    """The table's sizes change nothing where all images are squares."""
    for name in ("plain", "prepared"):
        (tmp_path / name).mkdir()
        for path in painted.glob("*.png"):
            shutil.copy(path, tmp_path / name)
    rows = [{"file_name": path.name, "width": 128, "height": 128} for path in painted.glob("*.png")]
    (tmp_path / "prepared" / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    one, other = (learn(f"by-{name}", data=str(tmp_path / name))[0] for name in ("plain", "prepared"))
    assert tensors(one) == tensors(other)
