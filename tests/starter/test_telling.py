"""Training captions, and the facts that the text encoder is trained on."""

from __future__ import annotations

import random

import torch

from limner.starter.painter import EXTRAS, Scene, random_scene
from limner.starter.painter.reserved import holds_reserved
from limner.starter.pretrain.text_encoder import FACTS, agreement, facts_of, scenes_at
from limner.starter.pretrain.training_captions import training_caption


def captions_of(count, **fixed):
    rng = random.Random(1)
    scenes = [random_scene(rng, **fixed) for _ in range(count)]
    return [(scene, training_caption(scene, rng)) for scene in scenes]


def test_captions_name_what_is_not_worn_and_never_what_is():
    without = [(scene, text) for scene, text in captions_of(3000) if "without" in text]
    assert 80 < len(without) < 400
    for scene, text in without:
        absent = text.split("without ")[1]
        named = next(
            extra for extra in sorted(EXTRAS, key=len, reverse=True) if absent.removeprefix("a ").startswith(extra)
        )
        assert named != scene.extra


def test_breed_colour_and_backdrop_are_left_out_at_times():
    mugs = [text for _, text in captions_of(400, subject="mug", colour="red", place="park")]
    assert 0.02 < sum("red" not in text for text in mugs) / 400 < 0.25
    cats = [
        text
        for _, text in captions_of(400, subject="cat", breed="siamese", place="studio", backdrop="pink", extra=None)
    ]
    assert 0.1 < sum("siamese" not in text for text in cats) / 400 < 0.45
    assert 0.15 < sum("pink" not in text for text in cats) / 400 < 0.45


def test_no_caption_at_all():
    rng = random.Random(1)
    assert {training_caption(random_scene(rng), rng, dropout=1.0) for _ in range(5)} == {""}


def test_facts_are_numbered_from_one():
    mug = Scene(subject="mug", colour="red", place="park", seed=1)
    row = dict(zip(FACTS, facts_of([mug])[0].tolist(), strict=True))
    assert (
        row["breed"] == 0 and FACTS["colour"][row["colour"] - 1] == "red" and FACTS["place"][row["place"] - 1] == "park"
    )


def test_the_text_encoder_sees_no_reserved_pair():
    assert not any(holds_reserved(scene) for scene in scenes_at(random.Random(1), 50))


def test_equal_texts_are_equally_right():
    own = torch.full((3, 3), -20.0).fill_diagonal_(20.0)
    both = own.clone()
    both[:2, :2] = 20.0
    assert agreement(own, ["a", "b", "c"]) < 1e-3
    assert agreement(both, ["a", "a", "c"]) < 1 < 5 < agreement(own, ["a", "a", "c"])
