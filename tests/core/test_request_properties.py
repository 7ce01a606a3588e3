"""What a request says of itself: texts that are moderated, images and pixels that are limited, names and summaries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from limner import (
    CompareRequest,
    EvaluateRequest,
    GenerateRequest,
    ImproveRequest,
    InfluenceRequest,
    PrepareRequest,
    SweepRequest,
    TrainRequest,
)
from limner.core.errors import invalid
from limner.core.moderation import ModelReference
from limner.core.requests import absolute_paths, replace_references
from limner.core.requests.evaluate import PLAIN
from limner.core.requests.prepare import Limit, Shares
from limner.core.requests.request import MAX_FIELDS, MAX_PROMPT, MAX_TEXT, Request, check_lengths
from limner.core.requests.sweep import MAX_SWEEP_IMAGES
from limner.core.requests.trial import MAX_IMAGES


def refused(kind: type[Request], **fields: Any) -> str:
    """What is wrong with these fields."""
    with pytest.raises(ValidationError) as caught:
        kind.model_validate(fields)
    return str(invalid(caught.value))


def prepare(**fields: Any) -> PrepareRequest:
    return PrepareRequest.model_validate({"sources": ("a", "b.zip")} | fields)


def train(**fields: Any) -> TrainRequest:
    return TrainRequest.model_validate({"data": "photos", "class_word": "big cat"} | fields)


def evaluate(**fields: Any) -> EvaluateRequest:
    return EvaluateRequest.model_validate({"target": "who/model"} | fields)


def compare(**fields: Any) -> CompareRequest:
    return CompareRequest.model_validate({"contestants": ("a", "b"), "prompt": ("a cat", "a dog")} | fields)


def sweep(**fields: Any) -> SweepRequest:
    return SweepRequest.model_validate({"prompt": ("a cat",), "axis": ("steps=1,2,3",)} | fields)


def improve(**fields: Any) -> ImproveRequest:
    return ImproveRequest.model_validate({"target": "rex"} | fields)


def influence(**fields: Any) -> InfluenceRequest:
    return InfluenceRequest.model_validate({"adapter": "rex"} | fields)


@pytest.mark.parametrize(
    ("request_", "texts"),
    [
        (GenerateRequest(prompt="a cat", negative_prompt="the worst"), ("a cat",)),
        (prepare(), ()),
        (
            prepare(identifier="sks", class_word="cat", caption="a {class}", trigger=("t1", "sks", "t2")),
            ("sks", "cat", "a {class}", "t1", "t2"),
        ),
        (
            train(preview_prompt=("{identifier} in {class} {x}", "a cat"), keep="best", trial_prompt=("{} at sea",)),
            (
                "a photo of sks big cat",
                "a photo of big cat",
                "sks",
                "big cat",
                "sks in big cat {x}",
                "a cat",
                "sks big cat at sea",
            ),
        ),
        (train(identifier=None, prior=False, prompt="{identifier} {class}"), ("big cat",)),
        (
            evaluate(prompt=("a {group} and {}", "{}"), groups="cat,dog", identifier="sks", class_word="cow"),
            ("a cat and sks cow", "a dog and sks cow", "sks cow", "sks", "cow"),
        ),
        (evaluate(class_word="cow"), ("cow",)),
        (compare(), ("a cat", "a dog")),
        (sweep(), ("a cat",)),
        (sweep(prompt=("a cat", "a dog")), ("a cat", "a dog")),
        (sweep(prompt=(), axis=("steps=1,2", "prompt=a cow,a pig")), ("a cow", "a pig")),
        (improve(), ()),
        (improve(prompt=("a cat", "a dog")), ("a cat", "a dog")),
        (influence(prompt="a cat"), ("a cat",)),
        (influence(prompt=" "), ()),
        (influence(), ()),
    ],
)
def test_the_texts_are_all_that_describe_what_is_generated(request_: Request, texts: tuple[str, ...]) -> None:
    assert request_.texts == texts


@pytest.mark.parametrize(
    ("request_", "name", "summary"),
    [
        (GenerateRequest(prompt="a cat"), "pictures", "a cat"),
        (prepare(), "dataset", "a, b.zip"),
        (train(), "sks-big-cat", "photos as a photo of sks big cat"),
        (train(identifier="<s/k>s", class_word="../.. ..."), "sks", "photos as a photo of <s/k>s ../.. ..."),
        (train(identifier="/", class_word="?"), "taught", "photos as a photo of / ?"),
        (evaluate(target="who/model+rex:0.5"), "evaluation", "who/model+rex:0.5"),
        (compare(contestants=("a", "b+rex", "rex:0.5")), "pictures", "a against b+rex against rex:0.5"),
        (sweep(), "sweep", "steps of a cat"),
        (sweep(prompt=("a cat", "a dog")), "sweep", "prompt x steps of a cat"),
        (improve(), "improved", "rex by ratings and pairs"),
        (improve(target="m+rex", source="pairs"), "improved", "m+rex by pairs"),
        (influence(), "pictures", "rex: its training images"),
        (influence(picture=("1.png", "2.png")), "pictures", "rex: 1.png, 2.png"),
    ],
)
def test_the_folder_and_the_summary_name_what_was_asked(request_: Request, name: str, summary: str) -> None:
    assert (request_.folder_name, request_.summary) == (name, summary)


@pytest.mark.parametrize(
    ("request_", "images", "pixels"),
    [
        (GenerateRequest(prompt="a cat"), 1, 0),
        (GenerateRequest(prompt="a cat", count=7, width=64), 7, 64 * 64),
        (GenerateRequest(prompt="a cat", height=32, hires=2), 1, 64 * 64),
        (GenerateRequest(prompt="a cat", width=64, height=32, hires=1.5), 1, 64 * 32 * 2.25),
        (prepare(size=128), 0, 128 * 128),
        (train(), 0, 0),
        (train(resolution=96), 0, 96 * 96),
        (compare(contestants=("a", "b", "c"), count=5, width=64), 3 * 2 * 5, 64 * 64),
        (compare(height=32, width=64), 2 * 2 * 4, 64 * 32),
        (evaluate(prompt=("a cat", "a dog"), count=3), 6, 0),
        (evaluate(prompt=("a {group}", "a pig"), groups="cat,dog,cow", count=3, height=32), 12, 32 * 32),
        (evaluate(target="m+rex", prompt=("a cat",), count=3), (1 + 2 * len(PLAIN)) * 3, 0),
        (evaluate(target="m+rex", prompt=("a cat",), count=3, metric=("class_drift",)), (1 + 2 * len(PLAIN)) * 3, 0),
        (evaluate(target="m+rex", prompt=("a cat",), count=3, metric=("sharpness",)), 3, 0),
        (evaluate(target="m+rex"), 0, 0),
        (sweep(seeds=2), 6, 0),
        (sweep(prompt=("a cat", "a dog"), seeds=2, axis=("width=32,96,64", "height=64,32")), 24, 96 * 64),
        (improve(), 2 * 24 * 4, 0),
        (improve(prompt=("a", "b"), most_prompts=5, count=3), 2 * (2 + 5) * 3, 0),
        (influence(), 0, 0),
    ],
)
def test_images_and_pixels_are_those_it_will_generate(request_: Request, images: int, pixels: float) -> None:
    assert (request_.image_count, request_.pixels) == (images, pixels)
    assert request_.shares_folder == (request_.kind == "generate")


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (GenerateRequest(prompt="a cat"), ()),
        (compare(), ()),
        (compare(contestants=("a", "rex:0.5")), ("model",)),
        (compare(contestants=("a", "rex:0.5"), model="m"), ()),
        (compare(contestants=("a", "sha256:" + "a" * 64)), ("model",)),
        (compare(contestants=("a", "folder:" + "a" * 64)), ("model",)),
        (evaluate(prompt=("a cat",)), ()),
        (evaluate(target="rex:0.5"), ("model",)),
        (evaluate(target="m+rex"), ()),
        (evaluate(target="m+rex", prompt=("a cat",), class_word="cat"), ("identifier",)),
        (evaluate(target="sha256:" + "a" * 64, prompt=("a cat",)), ("model", "identifier", "class_word")),
        (improve(target="m"), ()),
        (improve(target="m+rex"), ()),
        (improve(target="sha256:" + "a" * 64), ("model",)),
        (improve(target="folder:" + "a" * 64, model="m"), ()),
        (influence(), ("model", "data")),
        (influence(model="m"), ("data",)),
        (influence(data="photos"), ("model",)),
    ],
)
def test_what_an_adapters_header_would_fill_in_is_unresolved(request_: Request, fields: tuple[str, ...]) -> None:
    assert request_.unresolved == fields


def test_the_seeds_of_a_sweep_are_the_images_of_each_cell() -> None:
    cells = sweep(seeds=3, guidance=2, seed=9).cells
    assert [cell.values for cell in cells] == [("1",), ("2",), ("3",)]
    assert [cell.request for cell in cells] == [
        GenerateRequest(prompt="a cat", count=3, guidance=2, seed=9, steps=steps) for steps in (1, 2, 3)
    ]


def test_limits_of_images_are_the_most_that_are_possible() -> None:
    assert compare(prompt=tuple(map(str, range(10))), count=1000).image_count == MAX_IMAGES
    assert "are more than 20000" in refused(
        CompareRequest, contestants=("a", "b"), prompt=[str(number) for number in range(67)], count=150
    )
    most = [f"steps={','.join(map(str, range(1, 101)))}"]
    assert sweep(axis=most, seeds=100).image_count == MAX_SWEEP_IMAGES
    assert "10,100 images, and the limit is 10,000" in refused(SweepRequest, prompt=["a"], axis=most, seeds=101)


def test_rescaling_has_no_effect_with_projected_guidance() -> None:
    said = "guidance_rescale (0.7) has no effect with apg; leave one of them out"
    assert refused(GenerateRequest, prompt="a", guidance_method="apg", guidance_rescale=0.7) == said
    assert GenerateRequest(prompt="a", guidance_method="apg", guidance_rescale=0).guidance_rescale == 0
    assert GenerateRequest(prompt="a", guidance_rescale=0.7).guidance_rescale == 0.7


@pytest.mark.parametrize("prompt", ["a {", "a }", "{class!r}", "{class:>9}", "{}", "{0}", "{other}"])
def test_a_caption_has_no_other_placeholders_than_identifier_and_class(prompt: str) -> None:
    said = f"prompt {prompt!r} may contain only {{identifier}} and {{class}}"
    assert said in refused(TrainRequest, data="a", class_word="cat", prompt=prompt)


def test_shares_that_do_not_add_up_are_refused() -> None:
    assert Shares(train=0.5, validation=0.25, test=0.25).parts == (0.5, 0.25, 0.25)
    assert Shares.model_validate("6/3/1").parts == pytest.approx((0.6, 0.3, 0.1))
    said = "the shares 50/25/20 do not add up to 100"
    shares = {"train": 0.5, "validation": 0.25, "test": 0.2}
    assert said in refused(PrepareRequest, sources=["a"], split=shares)


def test_each_fault_has_one_action_that_can_be_taken() -> None:
    for action, other in (("drop", "flag"), ("drop", "ignore"), ("flag", "ignore")):
        twice = {action: ["blurred"], other: ["blurred"]}
        assert "blurred is given for several actions" in refused(PrepareRequest, sources=["a"], **twice)
    for action in ("flag", "ignore"):
        assert "unreadable images cannot be used" in refused(PrepareRequest, sources=["a"], **{action: ["unreadable"]})
        assert "only with a reason; give --despite" in refused(PrepareRequest, sources=["a"], **{action: ["refused"]})
    assert prepare(drop=("unreadable", "refused")).drop == ("unreadable", "refused")
    assert str(Limit.model_validate("blurred=60.5")) == "blurred=60.5"


def test_a_trigger_word_or_the_identifier_is_not_banned() -> None:
    for fields in ({"identifier": "Sks Two"}, {"trigger": ["ohwx", "sks two"]}):
        said = refused(PrepareRequest, sources=["a"], ban=["dog", "two"], **fields)
        assert "the banned word 'two' is in" in said and "which captions must contain" in said
        assert prepare(ban=("tw",), **fields).ban == ("tw",)


def test_placeholders_count_with_what_replaces_them() -> None:
    check_lengths(["{}" + "a" * (MAX_PROMPT - 4)], {"{}": "abcd"})
    with pytest.raises(ValueError, match="more than 20,000 characters when filled in"):
        check_lengths(["{}" + "a" * (MAX_PROMPT - 3)], {"{}": "abcd"})
    check_lengths(["{}" + "a" * (MAX_PROMPT - 2)], {"{}": "a"})
    count = MAX_TEXT // MAX_PROMPT
    check_lengths(["{}" + "a" * (MAX_PROMPT - 4)] * count, {"{}": "abcd"})
    with pytest.raises(ValueError, match="the prompts have more than 4,000,000"):
        check_lengths(["{}" + "a" * (MAX_PROMPT - 4)] * count + ["a"], {"{}": "abcd"})


@pytest.mark.parametrize("field", ["prompt", "preview_prompt", "trial_prompt"])
def test_every_prompt_of_a_training_is_limited_with_its_words_filled_in(field: str) -> None:
    text = "{}" * 9000 if field == "trial_prompt" else "{class}" * 2500
    fields = {field: text if field == "prompt" else [text], "keep": "best", "class_word": "c" * 40}
    assert "more than 20,000 characters when filled in" in refused(TrainRequest, data="photos", **fields)


def test_a_request_has_no_more_fields_than_any_model() -> None:
    many = {f"f{number}": 1 for number in range(MAX_FIELDS)}
    assert "unknown field 'f0'" in refused(GenerateRequest, **many)
    said = refused(GenerateRequest, **many, more=1)
    assert "it has 201 fields; give at most 200" in said


def test_a_changed_request_remembers_which_fields_were_given() -> None:
    request = GenerateRequest(prompt="a cat", seed=7).changed(steps=3)
    assert request == GenerateRequest(prompt="a cat", seed=7, steps=3)
    assert request.model_fields_set == {"prompt", "seed", "steps"}
    moved = train(vae="v").with_references(lambda kind, value: f"{kind}:{value}")
    assert (moved.data, moved.vae, moved.model) == ("pictures:photos", "model:v", "model:starter")
    assert moved.model_fields_set == {"data", "class_word", "vae", "model"}


@pytest.mark.parametrize(("field", "value"), [("prior_target", "model"), ("prior_dropout", 0.0), ("class_pictures", 4)])
def test_fields_of_prior_preservation_need_it(field: str, value: object) -> None:
    assert getattr(train(**{field: value}), field) == value
    said = f"{field} ({value}) is given without prior preservation; leave one of them out"
    assert said in refused(TrainRequest, data="a", class_word="cat", prior=False, **{field: value})


@pytest.mark.parametrize(
    ("field", "value"), [("balance", 0.0), ("trial_prompt", ["{}"]), ("patience", 2), ("encoder", "who/clip")]
)
def test_fields_of_scoring_need_the_best_checkpoint(field: str, value: object) -> None:
    assert train(keep="best", **{field: value}).keep == "best"
    assert f"{field} (" in refused(TrainRequest, data="a", class_word="cat", **{field: value})


def test_influence_needs_the_training_images_only_where_it_is_asked_for() -> None:
    assert evaluate(influence=False).influence is False and evaluate(influence=True, dataset="photos").influence
    assert "influence needs the folder of the training images" in refused(EvaluateRequest, target="a", influence=True)


def test_each_group_has_two_images_of_one_prompt_or_of_several() -> None:
    assert evaluate(prompt=("a {group}",), groups="cat,dog", count=2).image_count == 4
    assert evaluate(prompt=("a {group}", "the {group}"), groups="cat,dog", count=1).image_count == 4
    for prompt in (["a {group}"], ["a {group}", "a pig"]):
        said = refused(EvaluateRequest, target="a", prompt=prompt, groups="cat,dog", count=1)
        assert "each group has one image; ask for more by --count" in said


def test_prompts_are_limited_with_groups_and_subject_filled_in() -> None:
    groups = [f"g{number:02}" for number in range(64)]
    prompts = [f"{number}{{group}}{{}}{'a' * 15_490}" for number in range(4)]
    assert evaluate(prompt=prompts, groups=groups, count=1).image_count == 256
    words = {"identifier": "i" * 200, "class_word": "c" * 200}
    said = refused(EvaluateRequest, target="a", prompt=prompts, groups=groups, count=1, **words)
    assert "the prompts have more than 4,000,000 characters when filled in" in said


def test_a_contestant_has_at_most_eight_adapters() -> None:
    adapters = [f"a{number}:0.5" for number in range(9)]
    (first, _) = compare(contestants=("+".join(["m", *adapters[:8]]), "b")).contestants
    assert first.model == "m" and [str(adapter) for adapter in first.adapter] == adapters[:8]
    (first, _) = compare(contestants=("+".join(adapters[:8]), "b")).contestants
    assert first.model is None and [str(adapter) for adapter in first.adapter] == adapters[:8]
    for many in (["m", *adapters], adapters):
        assert "at most 8 items" in refused(CompareRequest, contestants=["+".join(many), "b"], prompt=["a"])


def test_a_path_is_made_absolute_unless_it_is_the_name_of_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in ("photos", "starter", "mine"):
        (tmp_path / name).mkdir()
    asked = train(model="starter", vae="~/mine", encoder="nowhere", keep="best")
    found = absolute_paths(asked, {"starter", "flux"})
    assert (found.data, found.vae) == (str(tmp_path / "photos"), str(tmp_path / "mine"))
    assert (found.model, found.encoder) == ("starter", "nowhere")
    assert absolute_paths(asked).model == str(tmp_path / "starter")
    moved = replace_references(asked, "place:{}".format, "model:{}".format)
    assert (moved.data, moved.model, moved.vae) == ("place:photos", "model:starter", "model:~/mine")
    assert replace_references(asked, "place:{}".format).model == "place:starter"


def test_a_model_of_a_policy_means_the_same_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "clip").mkdir()
    monkeypatch.chdir(tmp_path)
    adapter = TypeAdapter[str](ModelReference)
    assert [adapter.validate_python(name) for name in ("clip", "./clip", "who/clip")] == [
        *[str(tmp_path / "clip")] * 2,
        "who/clip",
    ]
