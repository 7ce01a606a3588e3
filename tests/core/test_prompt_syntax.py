"""A1111's prompt syntax: weights are parsed, adapters are taken, and what is read as text is named."""

from __future__ import annotations

import time

import pytest
from pydantic import ValidationError

from limner.core.errors import LimnerError
from limner.core.prompt_syntax import notices_of, parse_weights, split_parts_of, take_adapters


@pytest.mark.parametrize(
    ("prompt", "pieces"),
    [
        ("a cat", [("a cat", 1)]),
        ("a (red:1.3) cat", [("a ", 1), ("red", 1.3), (" cat", 1)]),
        ("(a (b:1.2):1.5)", [("a ", 1.5), ("b", 1.8)]),
        ("a cat (sitting)", [("a cat (sitting)", 1)]),
        (r"a \(b\) (c:.5)", [("a (b) ", 1), ("c", 0.5)]),
        ("((a:2)", [("(", 1), ("a", 2)]),
        ("a:1.2)", [("a:1.2)", 1)]),
        ("(a: b:1.4)", [("a: b", 1.4)]),
        ("(a:99)", [("a", 10)]),
        ("(:1.2)", []),
    ],
)
def test_weights_are_parsed_like_in_a1111(prompt, pieces):
    assert [text for text, _ in parse_weights(prompt)] == [text for text, _ in pieces]
    assert [weight for _, weight in parse_weights(prompt)] == pytest.approx([weight for _, weight in pieces])


@pytest.mark.parametrize(
    ("prompt", "text", "uses"),
    [
        ("a cat", "a cat", []),
        ("a  cat ", "a  cat ", []),
        ("a <lora:rex:0.8> cat", "a cat", [("rex", 0.8)]),
        ("a cat<lora:rex>", "a cat", [("rex", 1.0)]),
        ("<lora:a/rex v2:-1><lyco:max:0.5:0.5> cat", "cat", [("a/rex v2", -1.0), ("max", 0.5)]),
        ("<hypernet:x:1> cat", "<hypernet:x:1> cat", []),
        ("a <rex> cat <3 <lora:> <LORA:x:1>", "a <rex> cat <3 <lora:> <LORA:x:1>", []),
    ],
)
def test_adapters_are_taken_out_of_a_prompt(prompt, text, uses):
    found, adapters = take_adapters(prompt)
    assert found == text and [(use.path, use.weight) for use in adapters] == uses


@pytest.mark.parametrize("tag", ["<lora:rex:0.8:0.5>", "<lora:rex:much>", "<lora:rex:>", "<lora:rex:0.8:lbw=1,0>"])
def test_other_weights_are_refused(tag):
    with pytest.raises(LimnerError, match=r"does not have one weight; write it like <lora:rex:0\.8>"):
        take_adapters(f"a cat {tag}")


@pytest.mark.parametrize("weight", ["5", "inf", "nan"])
def test_a_weight_has_the_limits_of_an_adapter(weight):
    with pytest.raises(ValidationError):
        take_adapters(f"<lora:rex:{weight}>")


@pytest.mark.parametrize(
    ("prompt", "shown", "reason"),
    [
        ("a [red] cat", "[red]", "write (words:0.9) for less weight"),
        ("a [[red]] cat", "[red]", "write (words:0.9) for less weight"),
        ("a [cat|dog]", "[cat|dog]", "words that alternate between steps are not supported"),
        ("a [cat:dog:0.5]", "[cat:dog:0.5]", "words that change between steps are not supported"),
        ("a [dog:10]", "[dog:10]", "words that change between steps are not supported"),
        ("a ((red)) cat", "((red))", "write (words:1.2) for more weight"),
        ("a cat <lora:rex:1>", "<lora:rex:1>", "name adapters in the field adapter"),
        ("a cat <hypernet:rex:1>", "<hypernet:rex:1>", "hypernetworks are not supported"),
        ("a cat AND a dog", "AND", "prompts cannot be composed"),
    ],
)
def test_what_is_read_as_text_is_named(prompt, shown, reason):
    assert notices_of(prompt, weighted=True) == [f"{shown!r} in the prompt is read as text: {reason}"]


@pytest.mark.parametrize(
    "prompt",
    ["a cat", "a (red) cat", "a (red:1.2) cat", r"\[x\]", "a cat BREAK a dog", "[]", "((red):1.2)", "SAND and"],
)
def test_what_is_read_as_it_is_meant_is_not(prompt):
    assert notices_of(prompt, weighted=True) == []


def test_a_model_without_weights_and_parts():
    lines = notices_of("a [red] ((cat)) BREAK dog, [blue]", weighted=False)
    assert [line.partition(": ")[2] for line in lines] == [
        "this model supports no weights",
        "this model does not read a prompt in parts",
    ]


def test_parts():
    assert split_parts_of("a BREAK b,BREAK") == ["a ", " b,", ""]
    assert split_parts_of("BREAKFAST break DAYBREAK BREAK_") == ["BREAKFAST break DAYBREAK BREAK_"]


@pytest.mark.parametrize("part", ["[", "((", "<lora:", "<lora:x:", ":1", " ", "[a|", "BREAK ", "<lora:x:1:1:1:1"])
def test_a_hostile_prompt_is_read_in_linear_time(part):
    prompt = part * (20_000 // len(part))
    begun = time.monotonic()
    notices_of(prompt, weighted=False)
    take_adapters(prompt)
    split_parts_of(prompt)
    assert time.monotonic() - begun < 1
