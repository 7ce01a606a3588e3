"""Encoded images: pixels from -1 to 1, mirrored, masked, each with its caption."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from limner.data.sets.pixels import Crops
from limner.engine.train.examples import encode
from limner.models.conditioning import conditioning

COMPONENTS = SimpleNamespace(device=torch.device("cpu"))


class Family:
    """Latents are the pixels at half the size; a text is encoded as its length."""

    facts = SimpleNamespace(embeddings=())

    def __init__(self):
        self.seen, self.read = [], []

    def encode_images(self, components, pixels, rng):
        self.seen.append(len(pixels))
        assert pixels.min() >= -1 and pixels.max() <= 1
        return torch.nn.functional.avg_pool2d(pixels, 2)

    def encode_text(self, components, prompts):
        self.read += prompts
        return {"length": torch.tensor([[float(len(prompt))] for prompt in prompts])}

    def conditioning(self, components, prompts, negatives):
        self.read.append(tuple(prompts))
        assert negatives == ["no"] * len(prompts)
        return {"prompt_embeds": torch.tensor([[float(len(p))] for p in prompts]), "prompt": list(prompts)}


def pictures(count=2, masks=False):
    pixels = np.zeros((count, 4, 4, 3), np.uint8)
    pixels[:, :, :2], pixels[:, 0, 0, 1] = 255, 51
    mask = np.zeros((count, 4, 4), np.uint8)
    mask[:, :, 0] = 255
    return Crops(pixels, np.tile(np.arange(6), (count, 1)), mask if masks else None)


def encoded(given, captions, flip=False, extra=(), family=None):
    return encode(family or Family(), COMPONENTS, given, captions, flip, torch.Generator(), extra)


def test_levels_reach_from_minus_one_to_one():
    found = encoded(pictures(1), ["a"]).latents
    assert found.shape == (1, 1, 3, 2, 2)
    assert found[0, 0, 0].tolist() == [[1, -1], [1, -1]]
    assert found[0, 0, 1, 0, 0].item() == pytest.approx((3 * 1 + (51 / 127.5 - 1)) / 4)


def test_the_mirror_image_is_the_second_view():
    found = encoded(pictures(masks=True), ["a", "b"], flip=True)
    assert torch.equal(found.latents[:, 1], found.latents[:, 0].flip(-1))
    assert found.masks[0, 0, 0].tolist() == [[0.5, 0], [0.5, 0]] and found.masks[0, 1, 0].tolist() == [[0, 0.5]] * 2
    assert found.frames.tolist() == [list(range(6))] * 2
    batch = found.batch([1, 0], [1, 0], {})
    assert torch.equal(batch.latents[0], found.latents[1, 1]) and torch.equal(batch.mask[1], found.masks[0, 0])


def test_each_caption_is_encoded_once_and_belongs_to_its_images():
    family = Family()
    found = encoded(pictures(3), ["bb", "a", "bb"], extra=("",), family=family)
    assert found.captions == ("bb", "a", "") and family.read == ["bb", "a", ""]
    assert found.captions_for([0, 1, 2]) == [0, 1, 0]
    assert found.captions_for([0, 1, 2], [False, True, True]) == [0, 2, 2]
    assert found.text_of([1, 0, 2])["length"].flatten().tolist() == [1, 2, 0]


@pytest.mark.parametrize("count", [1, 8, 9, 20])
def test_pictures_and_captions_go_by_eights_and_none_is_lost(count):
    family = Family()
    found = encoded(pictures(count), [f"{i:02d}" for i in range(count)], family=family)
    assert len(found) == count == sum(family.seen) and max(family.seen) <= 8
    assert found.text["length"].shape == (count, 1) and found.caption_of == tuple(range(count))


def test_images_are_read_by_eights_and_never_all_at_once():
    class Files:
        """Images that are read when they are asked for."""

        def __init__(self):
            self.read = []

        def __len__(self):
            return 20

        def __getitem__(self, part):
            self.read.append(len(range(20)[part]))
            return pictures(20, masks=True)[part]

    files = Files()
    found = encoded(files, ["a"] * 20, flip=True)
    assert files.read == [8, 8, 4] * 2, "once more for the mirror images"
    whole = encoded(pictures(20, masks=True), ["a"] * 20, flip=True)
    assert torch.equal(found.latents, whole.latents) and torch.equal(found.masks, whole.masks)
    assert found.frames.shape == (20, 6) and torch.equal(found.frames, whole.frames)


@pytest.mark.parametrize("count", [1, 2, 64, 65, 130])
def test_prompts_are_encoded_once_each_and_stand_in_their_order(count):
    family = Family()
    prompts = ["x" * (i + 1) for i in range(count)]
    found = conditioning(family, COMPONENTS, [*prompts, prompts[0]], "no")
    assert [len(each) for each in family.read] == [min(64, count - start) for start in range(0, count, 64)]
    if count == 1:
        assert len(found["prompt"]) == 1, "one row stands for all"
    else:
        assert found["prompt"] == [*prompts, prompts[0]]
        assert found["prompt_embeds"].flatten().tolist() == [*map(len, prompts), 1]
