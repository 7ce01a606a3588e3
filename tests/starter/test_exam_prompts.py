"""The exam's prompts: always the same, never used in pretraining, and true of their scenes."""

from __future__ import annotations

import random

import pytest

from limner.starter.exam.prompts import COUNTS, exam_prompts
from limner.starter.judge import ATTRIBUTES, truth
from limner.starter.painter import Scene, random_scene
from limner.starter.painter.reserved import TABLES, holds_reserved, is_reserved, pairs
from limner.starter.pretrain import drawings
from limner.starter.pretrain.recipe import Recipe


@pytest.fixture(scope="module")
def prompts():
    return exam_prompts()


def test_there_are_512_different_prompts_and_always_the_same(prompts):
    assert len(prompts) == sum(COUNTS.values()) == 512 == len({prompt.text for prompt in prompts})
    assert prompts == exam_prompts()


def test_expected_attributes_are_those_of_the_scene(prompts):
    for prompt in prompts:
        true = truth(prompt.scene)
        assert prompt.expected, prompt.text
        for name, value in prompt.expected.items():
            assert value in ATTRIBUTES[name] and true[name] == value, (prompt.text, name)


def test_expected_attributes_are_in_the_text(prompts):
    for prompt in prompts:
        words = prompt.text
        for name in ("extra", "colour", "extra_colour", "backdrop", "style"):
            value = prompt.expected.get(name)
            if value and value != "none" and not (name == "style" and value == "illustration"):
                assert value in words, prompt
        assert ("without" in words) == (prompt.kind == "without")


def test_combinations_are_reserved(prompts):
    for prompt in prompts:
        if prompt.kind != "one" or "colour" in prompt.expected:
            assert holds_reserved(prompt.scene), prompt.text


def test_every_subject_and_value_is_expected_somewhere(prompts):
    seen = {(name, value) for prompt in prompts for name, value in prompt.expected.items()}
    for name in ("subject", "breed", "place", "extra", "colour", "extra_colour"):
        assert {value for key, value in seen if key == name} == set(ATTRIBUTES[name]) - {"studio"}, name


def test_pretraining_never_shows_a_reserved_pair(monkeypatch):
    monkeypatch.setattr(drawings, "SHARD", 40)
    monkeypatch.setattr(drawings, "paint", lambda scene, look: [[0]])
    scenes = [Scene(**row["scene"]) for row in drawings._render_shard(Recipe(looks=0.5), 0)[0]]
    assert len(scenes) == 40 and not any(map(holds_reserved, scenes))
    rng = random.Random(1)
    share = sum(holds_reserved(random_scene(rng)) for _ in range(1000)) / 1000
    assert 0.1 < share < 0.4


def test_one_pair_in_eight_is_reserved_and_every_value_is_in_some():
    for table, (rows, columns) in TABLES.items():
        chosen = {(row, column) for row in rows for column in columns if is_reserved((table, row, column))}
        assert len(chosen) * 8 == len(rows) * len(columns)
        assert {column for _, column in chosen} == set(columns)


def test_pairs_of_a_scene():
    scene = Scene(subject="dog", breed="corgi", place="beach", extra="scarf", extra_colour="red", style="pixel art")
    assert pairs(scene) == [
        ("place", "corgi", "beach"),
        ("style", "corgi", "pixel art"),
        ("extra", "corgi", "scarf"),
        ("extra_colour", "scarf", "red"),
    ]
    assert pairs(Scene(subject="mug", colour="red", place="studio", backdrop="blue")) == [("colour", "mug", "red")]
