"""Prompts rewritten by their structure: only what is replaced changes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.data.prompts.grammar import made_prompts
from limner.data.prompts.rewriting import replaced, style_of, with_subject
from limner.data.prompts.structure import structure_of
from limner.data.prompts.words import PARTS

CORGI = "photo of a fluffy corgi running on the beach, (golden hour:1.2), film grain, by Ada Venn --ar 4:5"
TOKENS = ["(", ")", ":1.2", ", ", ". ", "\n", " --no ", "no ", " and ", " of ", " by ", "Anna", "red tones", "style: "]
TOKENS += ["a dog", "oil painting", " in the forest", "soft light", '"', "<lora:a:1>", "[", "]", "Negative prompt:"]
prompts = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(TOKENS), max_size=25).map("".join))


@pytest.mark.parametrize(
    ("part", "text", "expected"),
    [
        ("subject", "a cat", CORGI.replace("a fluffy corgi running", "a cat")),
        ("medium", "gouache", CORGI.replace("photo", "gouache")),
        ("lighting", "fog", CORGI.replace("golden hour", "fog")),
        ("lighting", "", CORGI.replace(", (golden hour:1.2)", "")),
        ("setting", "in Paris", CORGI.replace("on the beach", "in Paris")),
        ("setting", "", CORGI.replace(" on the beach", "")),
        ("quality", "", CORGI.replace(", film grain", "")),
        ("artist", "Bo Lund", CORGI.replace("Ada Venn", "Bo Lund")),
        ("artist", "", CORGI.replace(", by Ada Venn", "")),
        ("medium", "", CORGI.replace("photo of ", "")),
        ("colour", "muted tones", CORGI.replace(" --ar", ", muted tones --ar")),
        ("colour", "", CORGI),
        ("negative", "people", f"{CORGI} --no people"),
    ],
)
def test_a_part_is_replaced_added_and_removed(part: str, text: str, expected: str) -> None:
    assert replaced(CORGI, part, text) == expected


@pytest.mark.parametrize(
    ("prompt", "part", "text", "expected"),
    [
        ("a dog runs. Soft light, film grain.", "lighting", "", "a dog runs. film grain."),
        ("a dog runs. Soft light. Oil painting.", "lighting", "", "a dog runs. Oil painting."),
        ("a dog runs. Oil painting.", "lighting", "soft light", "a dog runs. Oil painting, soft light."),
        ("a dog, fog, rain, photo", "setting", "on a hill", "a dog, on a hill, photo"),
        ("a dog, photo", "setting", "on a hill", "a dog on a hill, photo"),
        ("a dog, photo", "setting", "wet sand", "a dog, wet sand, photo"),
        ("a dog, photo", "artist", "Ada Venn", "a dog, photo, by Ada Venn"),
        ("a dog\nSteps: 20, Seed: 1", "negative", "text", "a dog\nNegative prompt: text\nSteps: 20, Seed: 1"),
        ("a dog\nNegative prompt: text, cars", "negative", "fog", "a dog\nNegative prompt: fog"),
        ("(soft light:1.2)", "subject", "a dog", "a dog, (soft light:1.2)"),
        ("", "subject", "a dog", "a dog"),
        ("", "subject", "", ""),
    ],
)
def test_sentences_and_negative_prompts_stay_whole(prompt: str, part: str, text: str, expected: str) -> None:
    assert replaced(prompt, part, text) == expected


def test_a_part_that_does_not_exist_is_refused() -> None:
    with pytest.raises(
        ValueError, match=re.escape("'color' is no part of a prompt; use one of subject, medium, style")
    ):
        replaced("a dog", "color", "red")


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        (CORGI, "photo of {}, (golden hour:1.2), film grain, by Ada Venn --ar 4:5"),
        ("a dog, a ball, fog, oil painting", "{}, oil painting"),
        ("(a dog:1.3), oil painting", "({}:1.3), oil painting"),
        ("fog over a hill. A dog sleeps. Film grain.", "{}. Film grain."),
        ("oil painting, moody", "{}, oil painting, moody"),
        ("", "{}"),
    ],
)
def test_the_style_is_a_template_for_other_subjects(prompt: str, expected: str) -> None:
    assert style_of(prompt) == expected


@pytest.mark.parametrize(
    ("prompt", "class_word", "expected"),
    [
        ("a fluffy corgi running on the beach", "dog", "sks dog running on the beach"),
        ("photo of two sleepy puppies and a cat", "dog", "photo of sks dog and a cat"),
        ("a girl with her black labrador's ball at night", "dog", "a girl with sks dog's ball at night"),
        ("boy holding cat, oil painting", "cat", "boy holding sks cat, oil painting"),
        ("a knight and an old woman in a forest", "person", "a knight and sks person in a forest"),
        ("an old woman in a forest", "man", "sks man in a forest"),
        ("(1girl:1.2), red dress", "girl", "(sks girl:1.2), red dress"),
        ("my red backpack on a rock", "backpack", "sks backpack on a rock"),
        ("a steaming bowl of soup on a table", "teapot", "sks teapot on a table"),
        ("a weathered lighthouse keeper in a sweater", "dog", "sks dog in a sweater"),
        ("sks dog in a forest", "dog", "sks dog in a forest"),
        ("oil painting\nNegative prompt: dog", "dog", "sks dog, oil painting\nNegative prompt: dog"),
        ("", "dog", "sks dog"),
    ],
)
def test_the_subject_of_an_adapter_takes_the_place_of_its_class(prompt: str, class_word: str, expected: str) -> None:
    assert with_subject(prompt, "sks", class_word) == expected


def test_more_words_for_a_class_can_be_given() -> None:
    assert with_subject("a bear and a rusty zorglub", "sks", "robot", ["zorglub"]) == "a bear and sks robot"


@given(prompts, st.sampled_from(PARTS))
@settings(max_examples=100, deadline=None)
def test_other_pieces_stay(prompt: str, part: str) -> None:
    new = replaced(prompt, part, "XX")
    assert "XX" in new
    place = 0
    for piece in structure_of(prompt).pieces:
        if piece.part != part:
            text = prompt[piece.start : piece.end]
            place = new.index(text, place) + len(text)


@given(prompts, st.sampled_from(PARTS))
@settings(max_examples=100, deadline=None)
def test_replaced_pieces_alone_change(prompt: str, part: str) -> None:
    """With one piece of a part, all characters before and after it stay."""
    pieces = [piece for piece in structure_of(prompt).pieces if piece.part == part]
    if len(pieces) == 1:
        assert replaced(prompt, part, "XX") == f"{prompt[: pieces[0].start]}XX{prompt[pieces[0].end :]}"


@given(prompts)
def test_no_prompt_raises_an_error(prompt: str) -> None:
    assert "{}" in style_of(prompt)
    assert "sks dog" in with_subject(prompt, "sks", "dog")


def test_a_removed_part_is_gone() -> None:
    for made in made_prompts(80, seed=2):
        for part in ("lighting", "style", "composition", "setting", "colour", "quality", "artist"):
            without = replaced(made.text, part, "")
            assert len(without) <= len(made.text) and "  " not in without and ", ," not in without
            for text in structure_of(made.text).of(part):
                assert without.count(text) < made.text.count(text)


def test_long_prompts_are_rewritten() -> None:
    prompt = "a dog, soft light, " * 1500
    assert replaced(prompt, "lighting", "fog").count("fog") == 1
    assert style_of(prompt).count("{}") == 1
