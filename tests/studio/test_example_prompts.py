"""The library of prompts that Limner makes itself."""

import pytest

from limner.core.unknown_words import unknown_words
from limner.data.prompts.grammar import made_prompts
from limner.data.prompts.structure import structure_of
from limner.models import loading
from limner.models.known_words import known_words
from limner.moderation.moderator import Moderator
from limner.moderation.policy import read_policy
from limner.studio import discover, example_images
from limner.studio.example_images import EXAMPLE_COUNT


def test_a_command_adds_them_once(limner, monkeypatch, tmp_path):
    monkeypatch.setattr(discover, "EXAMPLE_COUNT", 30)
    monkeypatch.setattr(example_images, "ARCHIVE", tmp_path / "none.zip")
    for _ in range(2):
        assert limner("discover", "examples").out == "library 'examples': 30 prompts\n"
    assert "examples" in limner("discover", "list").out
    first = next(iter(made_prompts(30))).text
    assert first in " ".join(limner("discover", first).out.split())


@pytest.fixture(scope="module")
def made():
    return list(made_prompts(EXAMPLE_COUNT))


def test_prompts_are_always_the_same_and_differ_from_each_other(made):
    assert made[:300] == list(made_prompts(300)) != list(made_prompts(300, seed=1))
    assert len({prompt.text for prompt in made}) == EXAMPLE_COUNT == 20_000
    assert {prompt.world for prompt in made} == {"starter", "portrait", "animals", "product", "places", "imagined"}


def test_the_starter_knows_all_words_of_its_prompts(made):
    known = known_words(loading.resolve("starter"))
    own = [prompt.text for prompt in made if prompt.world == "starter"]
    assert len(own) > 5000 and {word for text in own for word in unknown_words(text, known)} == set()


def test_no_prompt_is_refused_by_the_policy(made):
    moderator = Moderator(read_policy())
    assert all(moderator.judge_texts([prompt.text], "").refusal is None for prompt in made[::20])


def test_the_parts_of_a_prompt_are_recognised(made):
    right = total = 0
    for prompt in made[:2000]:
        found = structure_of(prompt.text)
        for part in ("medium", "style", "lighting", "composition", "colour", "quality"):
            for piece in prompt.parts.get(part, ()):
                total += 1
                right += any(piece.casefold() in text.casefold() for text in found.of(part))
    assert right / total > 0.95
