"""Marketing profiles: validation, storing their files, and the requests they give."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from limner.core.accounts import Caller, Role
from limner.core.errors import LimnerError
from limner.core.execution import split_body
from limner.core.requests import AdapterUse, GenerateRequest
from limner.server.profile import Profile, read_profile, store_files
from limner.starter.painter.captions import caption
from limner.starter.painter.scene import Scene
from limner.starter.painter.sectors import SECTORS
from limner.starter.painter.vocabulary import COLOURS, STUDIO
from limner.studio.studio import Studio

PLAIN: dict[str, Any] = {"industries": {"food": {}}, "styles": {"photo": {}}}


def written(tmp_path: Path, **fields: Any) -> Path:
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(PLAIN | fields))
    return file


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"text": {"strength": 0.6}}, "text: strength (0.6) is given without an image"),
        ({"text": {"mask": "a.png"}}, "text: mask (a.png) is given without an image"),
        ({"picture": {"strength": 7}}, "picture: strength '7'"),
        ({"picture": {"prompt": "x"}}, "picture: prompt comes from each request"),
        ({"text": {"image": "a.png"}}, "text: image comes from each request"),
        ({"text": {"kind": "generate"}}, "text: kind comes from each request"),
        ({"industries": {"food": {}, " FOOD": {}}}, "industries: two names differ in case or spaces only"),
        ({"styles": {"photo": {}, "Photo": {}}}, "styles: two names differ in case or spaces only"),
        ({"text": {"stesp": 3}}, "text: unknown field 'stesp'"),
        ({"industries": {}}, "industries"),
        ({"styles": {"photo": {"prompt": "a photo"}}}, "must contain {prompt}"),
    ],
)
def test_invalid_profiles(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(LimnerError) as refused:
        read_profile(written(tmp_path, **fields))
    assert message in str(refused.value) and "\n" not in str(refused.value)


def test_an_existing_folder_is_used_before_a_hub_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    studio, profile = Studio(tmp_path / "home"), read_profile(written(tmp_path, text={"model": "mine/dog"}))
    assert store_files(profile, studio)[0].text.request == {"model": "mine/dog"}, "a model of the hub"
    (tmp_path / "mine" / "dog").mkdir(parents=True)
    (tmp_path / "mine" / "dog" / "weights").write_bytes(b"x")
    assert store_files(profile, studio)[0].text.request["model"].startswith("folder:")
    studio.store.close()


def test_paths_are_replaced_by_references(tmp_path: Path) -> None:
    (tmp_path / "one.safetensors").write_bytes(b"x")
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "a").write_bytes(b"y")
    adapters = [f"{tmp_path}/one.safetensors:0.5", f"{tmp_path}/two"]
    fields = {
        "industries": {"food": {"text": adapters, "picture": adapters[:1]}},
        "picture": {"strength": 0.5, "mask": f"{tmp_path}/two/a", "model": "starter"},
        "text": {"model": f"{tmp_path}/two"},
    }
    studio = Studio(tmp_path / "home")
    profile, used = store_files(read_profile(written(tmp_path, **fields)), studio)
    first, second = profile.adapters("FOOD", None)
    assert first.path.startswith("sha256:") and first.weight == 0.5 and second.path.startswith("folder:")
    assert profile.adapters("food", "an image") == (first,)
    assert profile.text.request == {"model": second.path}
    assert profile.picture.request["strength"] == 0.5 and profile.picture.request["mask"] in used
    assert used == {first.path, second.path, profile.picture.request["mask"]}
    again, _ = store_files(profile, studio)
    assert again == profile
    request = profile.request("x", "food", "photo", adapter=first, seed=5)
    assert (request.adapter, request.seed) == ((first,), 5)


@pytest.mark.parametrize(
    ("name", "message"),
    [("/no/such.safetensors", "which does not exist"), ("sha256:" + "f" * 64, "is not stored here")],
)
@pytest.mark.parametrize("place", ["industry", "model"])
def test_missing_files_are_reported_at_start(tmp_path: Path, name: str, message: str, place: str) -> None:
    fields = {"industries": {"food": {"text": [name]}}} if place == "industry" else {"text": {"model": name}}
    with pytest.raises(LimnerError, match=message):
        store_files(read_profile(written(tmp_path, **fields)), Studio(tmp_path / "home"))


def test_every_caller_may_use_the_files_of_the_profile(tmp_path: Path) -> None:
    (tmp_path / "one.safetensors").write_bytes(b"x")
    studio = Studio(tmp_path / "home")
    fields = {"industries": {"food": {"text": [f"{tmp_path}/one.safetensors"]}}}
    profile, used = store_files(read_profile(written(tmp_path, **fields)), studio)
    request, _ = split_body(profile.request("x", "food", "photo", adapter=profile.adapters("food", None)[0]))
    team = Caller(account="team", role=Role.MAKER)
    assert studio.enqueue(request, caller=team, granted=used).owner == "team"
    with pytest.raises(LimnerError, match="is not yours"):
        studio.enqueue(request, caller=team)


PROFILE = Profile.model_validate(
    {
        "text": {"model": "sdxl", "steps": 9},
        "picture": {"model": "sd15", "strength": 0.5},
        "industries": {
            "Food": {"words": "steam, herbs", "text": ["a.safetensors:0.5"], "picture": ["b.safetensors"]},
            "plain": {},
        },
        "styles": {
            "photo": {"prompt": "a photo of {prompt}, sharp", "negative_prompt": "blurry"},
            "none": {},
            "lens": {"prompt": "{prompt}, {85mm}"},
        },
    }
)


def test_industry_words_and_style_template() -> None:
    request = PROFILE.request("  a red mug ", "food", "PHOTO ", seed=5)
    assert request.prompt == "a photo of a red mug, steam, herbs, sharp" and request.negative_prompt == "blurry"
    assert (request.model, request.steps, request.seed, request.image) == ("sdxl", 9, 5, None)
    plain = PROFILE.request("a {red} mug", "plain", "none", seed=0)
    assert (plain.prompt, plain.negative_prompt, plain.seed) == ("a {red} mug", "", 0)
    assert PROFILE.request("a mug", "plain", "lens").prompt == "a mug, {85mm}", "other braces are text"


def test_base_images_have_their_own_defaults_and_adapters() -> None:
    request = PROFILE.request("a mug", "food", "photo", image="sha256:" + "0" * 64, seed=1)
    assert (request.model, request.strength, request.steps) == ("sd15", 0.5, None)
    assert PROFILE.adapters("FOOD", None) == (AdapterUse(path="a.safetensors", weight=0.5),)
    assert PROFILE.adapters("food", request.image) == (AdapterUse(path="b.safetensors"),)
    assert PROFILE.adapters("plain", None) == ()


def test_the_seed_of_the_profile_takes_precedence() -> None:
    fixed = PROFILE.model_copy(update={"text": PROFILE.text.model_validate({"seed": 7})})
    assert [fixed.request("x", "food", "none", seed=seed).seed for seed in (1, None)] == [7, 7]
    assert len({PROFILE.request("x", "food", "none").seed for _ in range(4)}) == 4, "a random seed for each call"


def test_the_chosen_adapter_is_used() -> None:
    use = AdapterUse(path="c.safetensors", weight=2)
    assert PROFILE.request("x", "food", "none", adapter=use).adapter == (use,)
    assert PROFILE.request("x", "food", "none").adapter == ()


@pytest.mark.parametrize(
    ("industry", "style", "message"), [("sport", "photo", "unknown industry"), ("food", "x", "unknown style")]
)
def test_unknown_industries_and_styles(industry: str, style: str, message: str) -> None:
    with pytest.raises(LimnerError, match=message):
        PROFILE.request("x", industry, style)


def test_names_of_industries_and_styles_are_found_without_case_and_spaces() -> None:
    assert PROFILE.adapters(" FOOD ", None) == PROFILE.adapters("Food", None) != ()
    assert PROFILE.request("x", " Food", "\tLENS ").prompt == "x, steam, herbs, {85mm}"


def test_the_adapter_of_the_industry_takes_the_place_of_the_default_one() -> None:
    with_adapter = PROFILE.text.model_validate({"adapter": ["default.safetensors"]})
    profile = PROFILE.model_copy(update={"text": with_adapter})
    use = AdapterUse(path="c.safetensors")
    assert profile.request("x", "food", "none", adapter=use).adapter == (use,)
    assert [each.path for each in profile.request("x", "food", "none").adapter] == ["default.safetensors"]


def test_a_path_in_the_home_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "one.safetensors").write_bytes(b"x")
    fields = {"industries": {"food": {"text": ["~/one.safetensors"]}}}
    studio = Studio(tmp_path / "home")
    profile, _ = store_files(read_profile(written(tmp_path, **fields)), studio)
    assert profile.adapters("food", None)[0].path == studio.files.save(tmp_path / "one.safetensors")


def test_a_call_without_industry_adds_nothing_and_its_fields_replace_the_profiles() -> None:
    assert PROFILE.request("a mug", None, PROFILE.default_style).prompt == "a photo of a mug, sharp"
    assert PROFILE.adapters(None, None) == ()
    fixed = PROFILE.model_copy(update={"text": PROFILE.text.model_validate({"seed": 7, "width": 512})})
    request = fixed.request("x", None, "none", seed=1, fields={"seed": 3, "count": 2, "width": 64})
    assert (request.seed, request.count, request.width, request.height) == (3, 2, 64, None)


def test_every_industry_of_the_default_profile_has_a_look_that_the_starter_knows() -> None:
    """Its own backdrop: the one thing that changes where the prompt names no place, and gives way where it does."""
    industries = read_profile(None).industries
    walls = [industry.words.removeprefix("against ").split() for industry in industries.values()]
    assert len({words for _, words, _ in walls}) == len(industries) == len(SECTORS) and set(industries) == set(SECTORS)
    for industry, (article, colour, wall) in zip(industries.values(), walls, strict=True):
        assert (article, wall) == ("an" if colour[0] in "aeiou" else "a", "wall") and colour in COLOURS
        scene = Scene(subject="mug", colour="red", place=STUDIO, backdrop=colour, seed=1)
        known = {caption(scene, random.Random(seed)) for seed in range(20)}
        assert any(text.endswith(industry.words) for text in known)


@pytest.mark.slow
def test_industries_look_different_on_the_starter(starter: Path, home: Path, tmp_path: Path) -> None:
    """The image of each has its backdrop at the top; a place that is named stays."""
    profile, studio = read_profile(None), Studio(home)
    names = ("technology", "food", "health")
    prompts = [profile.request("a white mug", name, "photo", seed=5).prompt for name in names]
    prompts.append(profile.request("a white mug on the beach", "food", "photo", seed=5).prompt)
    requests = [GenerateRequest(prompt=prompt, seed=5, batch=4) for prompt in prompts]
    runs = studio.run_batch(requests, tmp_path / "out")
    edges = []
    for run in runs:
        with Image.open(studio.store.artifacts(run.id)[0].path) as image:
            edges.append(np.asarray(image.convert("RGB"), float)[:30].mean((0, 1)))
    nearest = [min(COLOURS, key=lambda name: float(np.linalg.norm(edge - COLOURS[name]))) for edge in edges[:3]]
    assert nearest == ["blue", "orange", "green"]
    assert edges[3][2] > edges[3][0], "the sky"
    studio.store.close()
