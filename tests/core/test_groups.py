"""Groups in prompts: what is generated, counted and refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from limner.core.requests import EvaluateRequest, parse_request


def asked(**fields: object) -> EvaluateRequest:
    return EvaluateRequest.model_validate({"target": "starter", **fields})


def test_each_prompt_with_a_place_is_painted_for_each_group() -> None:
    request = asked(prompt=["a {group} with {}", "a tree"], groups="cat, dog", identifier="zwx", class_word="ball")
    assert [(each.prompt, each.template, each.group) for each in request.filled] == [
        ("a cat with {}", "a {group} with {}", "cat"),
        ("a dog with {}", "a {group} with {}", "dog"),
        ("a tree", "a tree", None),
    ]
    assert request.texts == ("a cat with zwx ball", "a dog with zwx ball", "a tree", "zwx", "ball")
    assert request.image_count == 3 * 4
    assert parse_request(request.model_dump_json()) == request


@pytest.mark.parametrize("typed", ["cat,dog", ["cat,dog"], ["cat", "dog"], ("cat", " dog "), "cat , dog"])
def test_groups_as_they_are_typed(typed: object) -> None:
    assert asked(prompt=["a {group}"], groups=typed).groups == ("cat", "dog")


def test_without_groups_all_is_as_it_was() -> None:
    request = asked(prompt=["a {}", "a tree"], class_word="cat")
    assert [each.prompt for each in request.filled] == ["a {}", "a tree"] and request.image_count == 8


def test_a_class_word_is_no_place_for_a_group() -> None:
    request = asked(prompt=["a {group} and {}"], groups="cat,dog", class_word="{group}")
    assert request.texts[0] == "a cat and {group}"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"prompt": ["a {group}"]}, "has a placeholder for groups, and none are given; give --groups"),
        ({"prompt": ["a tree"], "groups": "cat,dog"}, "no prompt has a place for them"),
        ({"groups": "cat,dog"}, "no prompt has a place for them"),
        ({"prompt": ["a {group}"], "groups": "cat"}, "'cat' is the only one"),
        ({"prompt": ["a {group}"], "groups": "cat,dog,cat"}, "'cat' is given twice"),
        ({"prompt": ["a {group}"], "groups": "cat,,dog"}, "a group is empty"),
        ({"prompt": ["a {group}"], "groups": ["cat", "{}"]}, "contains a brace"),
        ({"prompt": ["a {group}"], "groups": ["cat", 5]}, "valid string"),
        ({"prompt": ["a {group}"], "groups": 5}, "valid tuple"),
        ({"prompt": ["a {group}"], "groups": "cat,dog", "count": 1}, "each group has one image"),
        ({"prompt": ["a {group}", "a cat"], "groups": "cat,dog"}, "'a cat' occurs twice"),
        ({"prompt": ["a {group}"], "groups": [str(number) for number in range(65)]}, "at most 64"),
        ({"prompt": ["a {group}"], "groups": ["a" * 201, "b"]}, "at most 200"),
        ({"prompt": ["{group}" * 2800], "groups": ["a" * 200, "b"]}, "more than 20,000"),
        ({"prompt": ["a {group}"], "groups": "cat,dog", "count": 1000}, None),
        ({"prompt": [f"{n} {{group}}" for n in range(11)], "groups": "cat,dog", "count": 1000}, "22000 images"),
        ({"prompt": ["a cat"], "require": ["saturation.gap<=1"]}, "none are given; give --groups"),
        ({"prompt": ["a cat"], "require": ["mistaken<=0.1"]}, "none are given; give --groups"),
        (
            {"prompt": ["a {group}"], "groups": "a,b", "metric": ["clipping"], "require": ["saturation.gap<=1"]},
            "add --metric saturation",
        ),
        ({"prompt": ["a cat"], "influence": True}, "give it by --dataset"),
    ],
)
def test_what_is_refused(fields: dict[str, object], message: str | None) -> None:
    if message is None:
        assert asked(**fields).image_count == 2000
        return
    with pytest.raises(ValidationError, match=message):
        asked(**fields)


def test_a_hostile_wish_is_refused_before_it_is_filled() -> None:
    """Filled, these prompts would be gigabytes."""
    prompts = [f"{number}" + "{group}" * 2800 for number in range(10)]
    with pytest.raises(ValidationError, match="more than"):
        asked(prompt=prompts, groups=[f"{number}" + "a" * 190 for number in range(64)])


def test_what_is_required_of_groups() -> None:
    gap, share = asked(
        prompt=["a {group}"], groups="a,b", metric=["clipping"], require=["clipping.gap<=0.5", "mistaken<=0.1"]
    ).require
    assert (gap.of, gap.of_gap, share.of, share.of_gap) == ("clipping", True, "mistaken", False)
    assert str(gap) == "clipping.gap<=0.5"
