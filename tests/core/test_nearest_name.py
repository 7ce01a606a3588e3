"""A mistyped name is recognised by a few typing errors or its start; a name that only shares letters is not."""

from __future__ import annotations

import time

import pytest

from limner.core.nearest_name import nearest_name, typing_errors
from limner.core.text import first_sentence

SCHEDULERS = ("ddim", "ddpm", "dpm++2m", "euler", "euler-a", "heun", "pndm", "unipc")


@pytest.mark.parametrize(
    ("typed", "known", "meant"),
    [
        ("startr", ("starter", "sd15"), "starter"),
        ("satrter", ("starter", "sd15"), "starter"),
        ("STARTER", ("starter",), "starter"),
        ("dmpp2m", SCHEDULERS, "dpm++2m"),
        ("euler_a", SCHEDULERS, "euler-a"),
        ("ddi", SCHEDULERS, "ddim"),
        ("sdx", ("sd", "sdxl"), "sdxl"),
        ("flux", ("flux-schnell", "flux-dev", "sdxl"), "flux-dev"),
        ("--stepz", ("--steps", "--seed"), "--steps"),
        ("nosuch", ("env.sh", "rn.sh", "notes"), None),
        ("--count", ("--until", "--run"), None),
        ("--axis", ("--mask", "--vae"), None),
        ("abcdef", ("abdcfe", "ab"), "abdcfe"),
        ("abcdef", ("badcfe",), None),
        ("x", ("y",), None),
        ("ab", ("abc",), "abc"),
        ("ab", ("abcd",), None),
        ("class_word", ("class", "caption"), "class"),
        ("--steps-count", ("--steps", "--step-size"), "--steps"),
        ("classword", ("class",), None),
        ("a-cat", ("a",), None),
        ("", ("abc",), None),
        ("+++", ("++-", "abc"), "++-"),
    ],
)
def test_the_nearest_name(typed, known, meant):
    assert nearest_name(typed, known) == meant


@pytest.mark.parametrize(
    ("first", "second", "errors"),
    [("abc", "abc", 0), ("abc", "acb", 1), ("abc", "ab", 1), ("ab", "abc", 1), ("abc", "xbc", 1), ("ca", "abc", 3)],
)
def test_typing_errors(first, second, errors):
    assert typing_errors(first, second) == errors


def test_long_names_take_no_time():
    began = time.process_time()
    assert nearest_name("a" * 10**6, ("ab" * 10**5 for _ in range(10**5))) is None
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("An error happened. Please check your connection.", "An error happened"),
        ("model.json is missing\nTraceback", "model.json is missing"),
        ("  a: b; c", "a: b; c"),
        ("no network", "no network"),
        ("word " * 100, "word " * 31 + "word …"),
    ],
)
def test_the_first_sentence_of_a_librarys_error(text, sentence):
    assert first_sentence(text) == sentence
