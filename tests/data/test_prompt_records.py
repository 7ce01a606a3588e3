"""Rows of tables as records of prompts: names of columns, and values that cannot be used."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hostile import within
from limner.core.errors import LimnerError
from limner.core.prompt_records import LONGEST_PROMPT, PromptRecord
from limner.data.prompts.records import LIMITS, check_columns, record_of, used_columns

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.datetimes()
    | st.decimals(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def field(name, value, **more):
    return getattr(record_of({"prompt": "a cat", name: value} | more), name)


def problem(row, columns=None) -> str:
    with pytest.raises(LimnerError) as raised:
        record_of(row, columns)
    assert raised.value.remedy and "\n" not in str(raised.value) and len(str(raised.value)) < 300
    return str(raised.value)


def test_diffusiondb_rows():
    when = datetime(2022, 8, 10, 12, tzinfo=UTC)
    row = {
        "image_name": "a.png", "prompt": " a cat ", "part_id": 1, "seed": 2**32 - 1, "step": 50, "cfg": 7.0,
        "sampler": 8, "width": 512, "height": 704, "user_name": "somebody", "timestamp": when, "image_nsfw": 0.1,
        "prompt_nsfw": 0.2,
    }  # fmt: skip
    expected = PromptRecord(
        "a cat",
        image="a.png",
        sampler="k_lms",
        width=512,
        height=704,
        steps=50,
        guidance=7.0,
        seed=2**32 - 1,
        created=when,
    )
    assert record_of(row) == expected
    assert "somebody" not in repr(record_of(row))
    assert record_of(row | {"image_nsfw": 2.0}) == expected.marked() == record_of(row | {"prompt_nsfw": 0.5})
    part = {"p": "a cat", "se": 1, "c": 7, "st": 20, "sa": "k_euler", "ts": "2022-08-10 12:00+00:00", "image": "b.png"}
    assert record_of(part) == PromptRecord(
        "a cat", image="b.png", sampler="k_euler", steps=20, guidance=7, seed=1, created=when
    )


def test_names_of_columns():
    assert record_of({"Positive Prompt": "a", "CFG Scale": "7"}).guidance == 7
    row = {"My Prompt": "a cat", "Text": "no"}
    assert record_of(row, {"prompt": "my prompt"}).prompt == record_of(row, {"prompt": "My Prompt"}).prompt == "a cat"
    assert record_of({"prompt": None, "text": "second"}).prompt == "second"
    assert record_of({"prompt": "a", "rating": "safe"}).stars is None, "ratings are of many kinds"
    assert problem({"x": 1}) == "there is no prompt; name its column: --columns prompt=NAME"
    assert problem({"prompt": " "}) == "there is no prompt; fill it in" == problem({"prompt": float("nan")})
    assert used_columns(["Prompt", "user_name", "seed", "image_nsfw"], {}) == ["Prompt", "seed", "image_nsfw"]
    assert used_columns(["a", "prompt"], {"prompt": "A"}) == ["a"]


@pytest.mark.parametrize(
    ("names", "columns", "expected"),
    [
        (["a", "b"], {}, "t has no column of prompts (it has: a, b); name it: --columns prompt=NAME"),
        (["prompt", "b"], {"seed": "zahl"}, "t has no column 'zahl'; it has: prompt, b"),
        (["Prompt", "prompt "], {}, "t has two columns 'prompt'; rename one of them"),
        (["prompt", "Seed", "seed"], {}, "t has two columns 'seed'; rename one of them"),
        (["prompt", "x", "x"], {}, ""),
        (["prompt", "x", "x"], {"model": "X"}, "t has two columns 'x'; rename one of them"),
        (["prompt", "text", "prompt"], {"prompt": "text"}, ""),
        ([f"c{number}" for number in range(5000)], {}, "t has no column of prompts (it has: c0, c1"),
    ],
)
def test_columns_of_a_table_are_checked_once(names, columns, expected):
    if not expected:
        check_columns(names, columns, "t")
        return
    with pytest.raises(LimnerError) as raised:
        check_columns(names, columns, "t")
    assert str(raised.value).startswith(expected) and len(str(raised.value)) < 400


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("seed", 0, 0),
        ("seed", "0", 0),
        ("seed", 2**64 - 1, 2**64 - 1),
        ("seed", str(2**64 - 1), 2**64 - 1),
        ("seed", 3.0, 3),
        ("seed", -1, None),
        ("width", 0, None),
        ("steps", "20.0", 20),
        ("steps", " 20 ", 20),
        ("steps", "NaN", None),
        ("guidance", float("nan"), None),
        ("guidance", 0, 0),
        ("guidance", Decimal("7.5"), 7.5),
        ("guidance", "", None),
        ("model", 1.5, "1.5"),
        ("model", float("nan"), ""),
        ("sampler", 1, "ddim"),
        ("sampler", 9.0, "others"),
        ("sampler", 12, "12"),
        ("created", "2022-08-10T00:00:00Z", datetime(2022, 8, 10, tzinfo=UTC)),
        ("created", "2022-08-10", datetime(2022, 8, 10, tzinfo=UTC)),
        ("created", date(2022, 8, 10), datetime(2022, 8, 10, tzinfo=UTC)),
        ("created", 1660089600, datetime(2022, 8, 10, tzinfo=UTC)),
        ("created", "1660089600000", datetime(2022, 8, 10, tzinfo=UTC)),
        ("created", "20220810", datetime(2022, 8, 10, tzinfo=UTC)),
        ("created", datetime(2022, 8, 10, 2, tzinfo=timezone(timedelta(hours=2))), datetime(2022, 8, 10, tzinfo=UTC)),
        ("unsafe", "NSFW", True),
        ("unsafe", "Soft", True),
        ("unsafe", "0.7", True),
        ("unsafe", float("inf"), True),
        ("unsafe", True, True),
        ("unsafe", "None", False),
        ("unsafe", "", False),
        ("unsafe", 0.49, False),
        ("unsafe", float("nan"), False),
    ],
)  # fmt: skip
def test_values(name, value, expected):
    assert field(name, value) == expected


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"prompt": "x" * (LONGEST_PROMPT + 1)}, "prompt has 20,001 characters; use at most 20,000"),
        ({"prompt": "a\0b"}, "prompt has bytes that are no text ('a\\x00b'); save the file as UTF-8"),
        ({"prompt": "a\ud800"}, "prompt has bytes that are no text"),
        ({"prompt": ["a", "b"]}, "prompt is a list, which is no text; give text"),
        ({"prompt": {"a": 1}}, "prompt is an object, which is no text"),
        ({"prompt": 7}, "prompt is 7, which is no text"),
        ({"prompt": b"a"}, "prompt is b'a', which is no text"),
        ({"negative_prompt": {}}, "negative is an object"),
        ({"image": {"bytes": b""}}, "image is an object"),
        ({"width": 70000}, "width is 70000; use 0 to 65,535"),
        ({"width": -1}, "width is -1; use 0 to 65,535"),
        ({"width": 512.5}, "width is 512.5, which is no whole number"),
        ({"steps": "many"}, "steps is 'many', which is no number"),
        ({"steps": True}, "steps is True, which is no number"),
        ({"steps": [20]}, "steps is a list, which is no number"),
        ({"steps": "9" * 5000}, "steps is '9999"),
        ({"guidance": float("inf")}, "guidance is inf; use 0 to 1,000"),
        ({"guidance": "-inf"}, "guidance is '-inf'; use 0 to 1,000"),
        ({"seed": 2**64}, "seed is 18446744073709551616; use 0 to 18,446,744,073,709,551,615"),
        ({"seed": "1" * 100_000}, "seed is '1111"),
        ({"stars": 6}, "stars is 6; use 0 to 5"),
        ({"created": "yesterday"}, "the time is 'yesterday'; write it as 2026-01-31T12:00:00"),
        ({"created": "2022-13-01"}, "the time is '2022-13-01'"),
        ({"created": "0001-01-01T00:00:00+23:00"}, "the time is '0001-01-01T00:00:00+23:00'"),
        ({"created": {}}, "the time is an object"),
        ({"created": 7}, "the time is 7"),
        ({"created": True}, "the time is True"),
        ({"nsfw": "perhaps"}, "unsafe is 'perhaps', which is no such mark; use true, false, or a score from 0 to 1"),
        ({"image_nsfw": [1]}, "unsafe_image is a list"),
        ({"model": "m" * 401}, "model has 401 characters"),
        ({"model": ["m"]}, "model is a list"),
    ],
)  # fmt: skip
def test_values_that_cannot_be_used(row, expected):
    assert problem({"prompt": "a cat"} | row).startswith(expected)


def test_values_nested_deeply_are_not_printed():
    nested: object = 1
    for _ in range(100_000):
        nested = [nested]
    assert within(problem, {"prompt": nested}).startswith("prompt is a list")
    assert within(problem, {"prompt": "a", "seed": nested}).startswith("seed is a list")
    while isinstance(nested, list):  # taken apart here: freeing it at once would recurse
        nested = nested.pop()


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["prompt", "p", "image", "sampler", "created", "nsfw", *LIMITS]) | st.text(), VALUES
    )
)
def test_any_row_is_a_record_or_one_line(row):
    try:
        record = record_of(row)
    except LimnerError as error:
        assert error.remedy and len(str(error).splitlines()) == 1
        return
    assert record.prompt.strip() and record.prompt.encode() and "\0" not in record.prompt
    assert json.dumps([record.seed, record.width, record.steps, record.sampler, record.model, record.image])
    assert record.seed is None or 0 <= record.seed < 2**64
    assert record.created is None or record.created.tzinfo is UTC
