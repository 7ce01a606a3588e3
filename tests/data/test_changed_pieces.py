"""Single pieces of a prompt replaced or removed."""

from __future__ import annotations

import pytest

from limner.data.prompts.grammar import made_prompts
from limner.data.prompts.rewriting import with_pieces
from limner.data.prompts.structure import structure_of

CORGI = "a photo of a corgi on a beach, soft light, by Greg Rutkowski"
MEDIUM, SUBJECT, SETTING, LIGHT, ARTIST = range(5)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ({}, CORGI),
        ({LIGHT: "neon light"}, "a photo of a corgi on a beach, neon light, by Greg Rutkowski"),
        ({LIGHT: ""}, "a photo of a corgi on a beach, by Greg Rutkowski"),
        ({MEDIUM: "large oil painting", LIGHT: ""}, "a large oil painting of a corgi on a beach, by Greg Rutkowski"),
        ({MEDIUM: "map", SETTING: "", ARTIST: "", SUBJECT: "a town"}, "a map of a town, soft light"),
        ({99: "nothing"}, CORGI),
    ],
)  # fmt: skip
def test_pieces_are_replaced_and_removed_by_their_number(texts, expected):
    assert with_pieces(CORGI, texts) == expected


def test_of_several_pieces_of_a_part_one_is_changed():
    prompt = "a castle, soft light, golden hour, fog"
    pieces = structure_of(prompt).pieces
    assert [piece.part for piece in pieces].count("lighting") >= 2
    number = next(number for number, piece in enumerate(pieces) if prompt[piece.start : piece.end] == "golden hour")
    assert with_pieces(prompt, {number: ""}) == "a castle, soft light, fog"


@pytest.mark.parametrize(
    "prompt", [made.text for made in made_prompts(40, seed=5)] + ["", "((a cat:1.2)), [dog] , ,", "!?"]
)
def test_what_is_not_changed_stays(prompt):
    pieces = structure_of(prompt).pieces
    texts = [prompt[piece.start : piece.end] for piece in pieces]
    assert with_pieces(prompt, dict(enumerate(texts))) == prompt
    for number in range(len(pieces)):
        changed = with_pieces(prompt, {number: "zebra"})
        assert changed == prompt[: pieces[number].start] + "zebra" + prompt[pieces[number].end :]
        removed = with_pieces(prompt, {number: ""})
        for other, text in enumerate(texts):
            assert other == number or text in removed, (number, text, removed)
