"""Templates of captions: fields, optional parts, escapes, and errors of malformed ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.core.errors import LimnerError
from limner.core.requests.prepare import PrepareRequest
from limner.core.templates import Template, default_template
from limner.core.text import article, clean_line, fix_punctuation

LONG = "a photo of {identifier} {class}[, {a breed}][ in the {background}][ with {extras}]"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"identifier": "sks", "class": "dog"}, "a photo of sks dog"),
        (
            {"identifier": "sks", "class": "dog", "breed": "akita", "background": "park", "extras": "a hat"},
            "a photo of sks dog, an akita in the park with a hat",
        ),
        ({"class": "dog", "breed": " ", "extras": "a\x00\nhat"}, "a photo of dog with a hat"),
        ({}, "a photo of"),
    ],
)
def test_a_template_is_filled(values, expected):
    template = Template.read(LONG)
    assert template.fill(values) == expected
    assert template.needs == {"identifier", "class"}
    assert template.names == {"identifier", "class", "breed", "background", "extras"}


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("{{x}} [[y]] {z}", {"z": "1"}, "{x} [y] 1"),
        ("{{{z}}}", {"z": "1"}, "{1}"),
        ("a[ b {c}[ d {e}]]", {"c": "1", "e": "2"}, "a b 1 d 2"),
        ("a[ b {c}[ d {e}]]", {"c": "1"}, "a b 1"),
        ("a[ b {c}[ d {e}]]", {"e": "2"}, "a"),
        ("a[ b {c} ]] d]", {"c": "1"}, "a b 1 ] d"),
        ("a[ b {c} ]] d]", {}, "a"),
        ("a[ {c}]]]", {"c": "1"}, "a 1]"),
        ("a[ b [[{c}] d", {"c": "1"}, "a b [1 d"),
        ("[a[ b[ c[ d]]]]", {}, "a b c d"),
        ("[{a}], [{b}], {c} , {d}.", {"c": "x", "d": "y"}, "x, y."),
        ("[{x}], [{y}], {z} , {w}.", {"x": "1", "w": "2"}, "1, 2."),
        ("[always]", {}, "always"),
        ("{extra features}", {"extra features": "a {class}[ y]"}, "a {class}[ y]"),
        ("{ an  breed }", {"breed": "hound"}, "a hound"),
        ("{a}", {"a": "x"}, "x"),
        ("f/1.8 :) {x} .5", {"x": "1"}, "f/1.8 :) 1 .5"),
    ],
)
def test_escapes_and_punctuation(text, values, expected):
    assert Template.read(text).fill(values) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a {b", "opens a brace that is not closed at character 3, '{b'; close it, or write {{"),
        ("a } b", "closes a brace that is not open at character 3, '} b'; write }}"),
        ("a [b", "opens a bracket that is not closed at character 3"),
        ("a [b [c]", "opens a bracket that is not closed at character 3, '[b [c]'; close it, or write [["),
        ("a [b [c", "opens a bracket that is not closed at character 6, '[c'"),
        ("a [b] ] c", "closes a bracket that is not open at character 7, '] c'; write ]]"),
        ("a] b", "closes a bracket that is not open at character 2"),
        ("{}", "has no field name at character 1"),
        ("{a.b!r:>10}", "has no field name"),
        ("{b{c}}", "has no field name"),
        ("[ [ [ [ [ x]]]]]", "nests more than 4 brackets at character 9"),
    ],
)
def test_malformed_templates_are_refused_in_one_line(text, message):
    with pytest.raises(LimnerError) as caught:
        Template.read(text)
    assert message in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="caption template"):
        PrepareRequest(sources=("x",), caption=text)


def test_a_request_says_what_contradicts_itself():
    with pytest.raises(ValueError, match="banned word 'dog' is in 'sks Dog'"):
        PrepareRequest(sources=("x",), trigger=("sks Dog",), ban=("dog",))
    with pytest.raises(ValueError, match="banned word 'SKS' is in 'sks'"):
        PrepareRequest(sources=("x",), identifier="sks", ban=("SKS",))
    assert PrepareRequest(sources=("x",), trigger=("sks",), ban=("sk",), caption=LONG).caption == LONG


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("husky", "a"),
        ("Akita", "an"),
        ("orange ball", "an"),
        ("unicorn", "a"),
        ("uninvited guest", "an"),
        ("umbrella", "an"),
        ("European cat", "a"),
        ("hourglass", "an"),
        ("one-eyed cat", "a"),
        ("used car", "a"),
        ("", "a"),
    ],
)
def test_articles_sound_right(phrase, expected):
    assert article(phrase) == expected


def test_the_usual_template_is_of_what_is_known():
    values = {"identifier": "sks", "class": "owl", "background": "park"}
    defaults = [
        default_template(identifier, class_word) for identifier in (True, False) for class_word in (True, False)
    ]
    assert defaults.pop() is None
    assert [Template.read(text or "").fill(values) for text in defaults] == [
        "a photo of sks owl in the park",
        "a photo of sks in the park",
        "a photo of an owl in the park",
    ]


TEXTS = st.text(alphabet=st.one_of(st.sampled_from("{}[]ab ,.\n"), st.characters()), max_size=40)


@given(TEXTS, st.dictionaries(st.sampled_from("ab"), TEXTS))
def test_any_text_is_a_template_or_told(text, values):
    try:
        template = Template.read(text)
    except LimnerError as error:
        assert "caption template" in str(error)
        return
    caption = template.fill(values)
    assert caption == " ".join(caption.split()) and template.needs <= template.names


@given(TEXTS)
def test_what_was_cleaned_or_punctuated_stays(text):
    assert clean_line(clean_line(text)) == clean_line(text)
    assert fix_punctuation(fix_punctuation(clean_line(text))) == fix_punctuation(clean_line(text))
