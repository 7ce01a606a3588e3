"""Training captions, and the facts that the text encoder is trained on."""

from __future__ import annotations

import random

import torch

from limner.starter.painter import BREEDS, EXTRAS, Scene, random_scene
from limner.starter.painter.reserved import holds_reserved, unreserved_scenes
from limner.starter.pretrain.text_encoder import FACTS, agreement, facts_of
from limner.starter.pretrain.training_captions import look_caption, training_caption


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


def test_an_animal_with_a_random_look_has_an_identifier_and_no_breed():
    rng, identifiers = random.Random(1), set()
    breeds = {breed for known in BREEDS.values() for breed in known} - {"black"}  # a colour of accessories too
    for _ in range(300):
        scene = random_scene(rng, subject=rng.choice(("cat", "dog")))
        words = look_caption(scene, rng).replace(",", " ").split()
        identifiers.add(word := words[words.index(scene.subject) - 1])
        assert 2 <= len(word) <= 5 and word.isalpha() and word.islower()
        assert not breeds & set(words) and f"black {scene.subject}" not in " ".join(words)
    assert len(identifiers) > 290


def test_training_captions_are_never_empty_and_seldom_have_an_identifier():
    known = {word for _, text in captions_of(300, subject="mug") for word in text.split()}
    texts = [text for _, text in captions_of(2000, subject="mug")]
    assert all(texts) and 0.05 < sum(not set(text.split()) <= known for text in texts) / 2000 < 0.12


def test_facts_are_numbered_from_one():
    mug = Scene(subject="mug", colour="red", place="park", seed=1)
    row = dict(zip(FACTS, facts_of([mug])[0].tolist(), strict=True))
    assert (
        row["breed"] == 0 and FACTS["colour"][row["colour"] - 1] == "red" and FACTS["place"][row["place"] - 1] == "park"
    )


def test_the_text_encoder_sees_no_reserved_pair():
    scenes = unreserved_scenes(random.Random(1), 50)
    assert len(scenes) == 50 and not any(map(holds_reserved, scenes))


def test_equal_texts_are_equally_right():
    own = torch.full((3, 3), -20.0).fill_diagonal_(20.0)
    both = own.clone()
    both[:2, :2] = 20.0
    assert agreement(own, ["a", "b", "c"]) < 1e-3
    assert agreement(both, ["a", "a", "c"]) < 1 < 5 < agreement(own, ["a", "a", "c"])
