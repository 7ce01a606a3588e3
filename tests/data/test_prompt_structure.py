"""The structure of prompts: pieces by part, of all kinds of prompts, fast and without an error for any text."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hostile import within
from limner.data.prompts.grammar import made_prompts
from limner.data.prompts.lexicon import lexicon
from limner.data.prompts.structure import Structure, structure_of
from limner.data.prompts.words import PARTS

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
MEAN = 0.88
"""Mean F1 of the parts on all labelled prompts that the recogniser must keep."""
LONG = 40_000
"""Characters of a hostile prompt, which may take a second of processor time."""

EXAMPLES = [
    ("subject", "a fluffy corgi running on the beach, oil painting", ["a fluffy corgi running"]),
    ("subject", "Photograph of an old sailor with a pipe. Soft light.", ["an old sailor with a pipe"]),
    ("subject", "photo of sks dog, 8k", ["sks dog"]),
    ("subject", "a castle with a river and a garden, photo", ["a castle with a river and a garden"]),
    ("subject", "a samurai:1.3, ink wash:1.1", ["a samurai"]),
    ("subject", "spiral staircase, low angle", ["spiral staircase"]),
    ("subject", "snowy mountain range, lone hiker in a red coat", ["lone hiker in a red coat"]),
    ("subject", "wolf logo", ["wolf"]),
    ("subject", "butterfly lighting, god rays, a teapot", ["a teapot"]),
    ("subject", 'a sign that says "hello, world", neon', ['a sign that says "hello, world"']),
    ("medium", "Create a movie poster for a story about a clock", ["movie poster"]),
    ("medium", "a fox, shot on Kodak Portra 400, Canon EOS R6", ["shot on Kodak Portra 400", "Canon EOS R6"]),
    ("medium", "highly detailed 3D render of a snail", ["3D render"]),
    ("medium", "a kitten as an oil painting", ["oil painting"]),
    ("style", "an art deco travel poster of a ship", ["art deco"]),
    ("style", "a teapot in the style of art nouveau", ["art nouveau"]),
    ("style", "a teapot, biopunk, mushroomcore, tachometer, dadaism", ["biopunk", "mushroomcore", "dadaism"]),
    ("style", "a chair, 1970s", ["1970s"]),
    ("lighting", "an owl lit from the left by a large window", ["lit from the left by a large window"]),
    ("lighting", "a bridge. The sun is low behind it.", ["The sun is low behind it"]),
    ("lighting", "a hall, long shafts of dusty sunlight, eerie glow", ["long shafts of dusty sunlight", "eerie glow"]),
    ("composition", "a chair seen from directly above", ["from directly above"]),
    ("composition", "a cat, 85mm, f/1.8, close-up", ["85mm", "f/1.8", "close-up"]),
    ("composition", "overhead shot of a table", ["overhead shot"]),
    ("setting", "a heron in a flooded meadow at dawn", ["in a flooded meadow at dawn"]),
    ("setting", "a man in a red coat in Paris", ["in Paris"]),
    ("setting", "a shoe, wet black sand, rain", ["wet black sand", "rain"]),
    ("setting", "a dog. Rolling hills in the distance.", ["Rolling hills in the distance"]),
    ("setting", "a street in the 1950s", ["in the 1950s"]),
    ("colour", "a bowl in navy, copper and ivory, muted tones", ["navy, copper and ivory", "muted tones"]),
    ("colour", "a bowl, shades of blue, neon, turquoise and red", ["shades of blue", "turquoise and red"]),
    ("colour", "a bowl, warm greys, grey tones, gray tones", ["warm greys", "grey tones", "gray tones"]),
    ("style", "A bowl. The mood is solemn.", ["solemn"]),
    ("style", "a bowl, lethargic, plastic, fiddlish", ["lethargic", "fiddlish"]),
    ("subject", "At night a cleaner mops the floor.", ["a cleaner mops the floor"]),
    ("setting", "a bear beside a brazier, a bear with a pan under her arm", ["beside a brazier"]),
    ("lighting", "A bowl. The lighting should be soft and even.", ["soft and even"]),
    ("medium", "Make it a woodcut: a bull. It should look like an old postcard.", ["woodcut", "old postcard"]),
    ("subject", "a glass of tea with mint, a woman in red", ["a glass of tea with mint", "a woman in red"]),
    ("composition", "a cat on a bed oil painting wide shot 4k", ["wide shot"]),
    (
        "quality",
        "masterpiece, a bowl, insanely detailed, 8K, 300dpi",
        ["masterpiece", "insanely detailed", "8K", "300dpi"],
    ),
    ("subject", "In the garden the roses bloom.", ["the roses bloom"]),
    ("subject", "It shows a tiger. The scene takes place in a cave.", ["a tiger"]),
    ("setting", "Inside a tent a fortune teller shuffles cards.", ["Inside a tent"]),
    ("setting", "a bee, the background a smooth blur", ["the background a smooth blur"]),
    ("medium", "a dragon, rendered as a Delft tile", ["Delft tile"]),
    ("style", "a bridge, tense and lonely, very ornamental, musician", ["tense and lonely", "very ornamental"]),
    ("style", "a bridge, steampunk charm, noir thriller, old money", ["steampunk charm", "noir thriller", "old money"]),
    ("lighting", "a bridge, searchlights, flashlight beam", ["searchlights", "flashlight beam"]),
    ("setting", "a bridge, in a brewery, at a birthday party", ["in a brewery", "at a birthday party"]),
    ("artist", "a bowl by Orla Venn and Ilmari Destang", ["Orla Venn", "Ilmari Destang"]),
    ("artist", "a harbour in the manner of J. M. W. Turner, etching", ["J. M. W. Turner"]),
    ("artist", "a bowl, Ilmari Destang, Mucha, oil", ["Ilmari Destang", "Mucha"]),
    ("artist", "a sunflower in van Gogh's style, art by greg nobody", ["van Gogh's", "greg nobody"]),
    ("artist", "a hut by the sea, after the rain", []),
    ("negative", "a hut without people, cars or a fence, photo", ["people", "cars", "fence"]),
    ("negative", "a hut, no people, no one, photo", ["people"]),
    ("negative", "a hut. Avoid logos, text and glare. Soft light.", ["logos", "text", "glare"]),
    ("negative", "She pours tea without looking.", []),
    ("negative", "a hut --ar 4:5 --no people, cars --v 6", ["people", "cars"]),
    ("negative", "a hut\nNegative prompt: (blurry:1.4), text\nSteps: 30, Seed: 4", ["blurry", "text"]),
]
WEIGHTED = "(masterpiece:1.3), ((a red fox)), [[candlelight]], <lora:x_1:0.7> {oil painting}, a (teapot:1.2) on a table"
LABELLED = 'Subject: a falconer\nMedium: egg tempera\n"light": "pale, cold"\nBackground: rolling steppe, fog'
HOSTILE = {
    "brackets": "(" * LONG,
    "nested": "([{" * (LONG // 6) + "}])" * (LONG // 6),
    "commas": "," * LONG,
    "pieces": "a dog, " * (LONG // 7),
    "colours": "red, " * (LONG // 5),
    "spaces": " " * LONG,
    "lines": "\n" * LONG,
    "dots": "." * LONG,
    "colons": ":1 " * (LONG // 3),
    "weights": "(a:1.2" + ")" * LONG,
    "tags": "<" * LONG,
    "quotes": 'say "' + "a," * (LONG // 2),
    "flags": "--no " * (LONG // 5),
    "one word": "x" * LONG,
    "words": "dog " * (LONG // 4),
    "prepositions": "in " * (LONG // 3),
    "hyphens": "a-" * (LONG // 2),
    "keywords": "oil painting of " * (LONG // 16),
    "names": "by Anna " * (LONG // 8),
    "refusals": "without a, b or " * (LONG // 16),
    "labels": "\nstyle: \nsteps: 1" * (LONG // 18),
    "dotted capital I": "İ" * LONG,
    "emoji": "😀, " * (LONG // 3),
}
TOKENS = [
    "(",
    ")",
    ":1.2",
    ",",
    ".",
    "\n",
    "--no ",
    "no ",
    "without ",
    " and ",
    " of ",
    " by ",
    "Anna ",
    "red ",
    "style: ",
]
TOKENS += [
    "dog ",
    "oil painting ",
    "in the ",
    "forest ",
    '"',
    "<lora:a:1>",
    "[",
    "]",
    "BREAK ",
    "Negative prompt:",
    "_",
    "É",
]
prompts = st.one_of(st.text(), st.lists(st.sampled_from(TOKENS), max_size=40).map("".join))


def texts(structure: Structure, part: str) -> list[str]:
    return list(structure.of(part))


@pytest.mark.parametrize(
    "form",
    [
        "{}, a man in a hat, 85mm", "portrait of a woman, {}", "portrait of a woman, giant {} camera left",
        "a vase, {} setup", "a vase with a {}", "a vase, two {}s overhead",
        "A vase. A {} lights it from the left.", "{} portrait of a man",
        "{} product photo of a vase",
    ],
)  # fmt: skip
def test_a_lamp_is_lighting_and_never_the_subject(form):
    for lamp in sorted(lexicon().words["lighting lamps"]):
        found = structure_of(form.format(lamp))
        assert any(lamp in piece for piece in found.of("lighting")), (form, lamp, found.pieces)
        assert not any(lamp in piece for part in PARTS if part != "lighting" for piece in found.of(part))
        subject = found.of("subject") or found.of("setting")
        assert subject and any(word in piece for piece in subject for word in ("man", "vase")), (form, lamp)


@pytest.mark.parametrize(("part", "prompt", "expected"), EXAMPLES)
def test_each_part_is_recognised(part: str, prompt: str, expected: list[str]) -> None:
    assert texts(structure_of(prompt), part) == expected


def test_the_examples_are_of_every_part() -> None:
    assert {part for part, _, _ in EXAMPLES} == set(PARTS)


def test_weights_brackets_and_tags_are_no_part_of_a_piece() -> None:
    found = structure_of(WEIGHTED)
    assert [found.of(part) for part in ("quality", "subject", "lighting", "medium")] == [
        ("masterpiece",),
        ("a red fox", "teapot"),
        ("candlelight",),
        ("oil painting",),
    ]
    assert found.of("setting") == ("on a table",)


def test_labels_name_the_part() -> None:
    found = structure_of(LABELLED)
    assert [found.of(part) for part in ("subject", "medium", "lighting", "setting")] == [
        ("a falconer",),
        ("egg tempera",),
        ("pale", "cold"),
        ("rolling steppe", "fog"),
    ]


@pytest.mark.parametrize(
    "prompt",
    [
        "a red fox oil painting golden hour close-up",
        "red_fox_oil_painting_goldenhour_closeup",
        "a red fox | oil painting | golden hour | close-up",
        "a red fox; oil painting; golden hour; close-up!!!",
        "A RED FOX, OIL PAINTING, GOLDEN HOUR, CLOSE-UP",
        "a red fox\noil painting\ngolden hour\nclose up",
    ],
)
def test_any_punctuation_separates_pieces(prompt: str) -> None:
    assert [piece.part for piece in structure_of(prompt).pieces] == ["subject", "medium", "lighting", "composition"]


def test_british_and_american_spelling_mean_the_same() -> None:
    for one, other in (("colour", "color"), ("harbour", "harbor"), ("grey", "gray"), ("centred", "centered")):
        pairs = [structure_of(f"a dog, {word} tones, misty {word}, {word}").pieces for word in (one, other)]
        assert [piece.part for piece in pairs[0]] == [piece.part for piece in pairs[1]]


@given(prompts)
@settings(max_examples=150, deadline=None)
def test_pieces_are_in_order_inside_the_text_and_apart(prompt: str) -> None:
    end = 0
    for piece in structure_of(prompt).pieces:
        assert end <= piece.start < piece.end <= len(prompt)
        assert piece.part in PARTS
        text = prompt[piece.start : piece.end]
        assert text == text.strip() and any(map(str.isalnum, text))
        end = piece.end


QUICK = ("nested", "pieces", "spaces", "weights", "quotes", "one word", "refusals", "dotted capital I")


@pytest.mark.parametrize(
    "prompt",
    [pytest.param(text, marks=[] if name in QUICK else pytest.mark.slow, id=name) for name, text in HOSTILE.items()],
)
def test_long_prompts_are_read_fast(prompt: str) -> None:
    within(structure_of, prompt)


def test_prompts_of_the_grammar_are_recognised() -> None:
    """All terms of its lists are known: a prompt of one has it in that part."""
    right = {part: 0 for part in ("medium", "style", "lighting", "composition", "colour", "quality", "artist")}
    wanted = dict(right)
    for made in made_prompts(400, seed=5):
        found = structure_of(made.text)
        for part in right.keys() & made.parts.keys():
            wanted[part] += len(made.parts[part])
            pieces = " ".join(found.of(part)).lower()
            right[part] += sum(text.lower() in pieces for text in made.parts[part])
    assert {part: right[part] / wanted[part] > 0.97 for part in right} == dict.fromkeys(right, True)


def test_labelled_prompts_are_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import prompt_structure

    rows = prompt_structure.labelled_prompts()
    assert len(rows) == 200
    assert prompt_structure.measure(rows).mean > MEAN
    sys.modules.pop("prompt_structure")


def test_the_score_of_a_recogniser_that_finds_nothing_is_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import prompt_structure

    monkeypatch.setattr(prompt_structure, "structure_of", lambda prompt: Structure(prompt, ()))
    assert prompt_structure.measure(prompt_structure.labelled_prompts()).mean == 0
    sys.modules.pop("prompt_structure")
