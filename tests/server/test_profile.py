"""What a profile says is checked when it is read, and made ready when the service starts."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from limner.core.accounts import Caller, Role
from limner.core.errors import LimnerError
from limner.core.execution import split_body
from limner.server.prepared import settled
from limner.server.profile import read_profile
from limner.studio.studio import Studio

PLAIN: dict[str, Any] = {"industries": {"food": {}}, "styles": {"photo": {}}}


def written(tmp_path: Path, **told: Any) -> Path:
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(PLAIN | told))
    return file


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"text": {"strength": 0.6}}, "text: strength (0.6) is given without an image"),
        ({"text": {"mask": "a.png"}}, "text: mask (a.png) is given without an image"),
        ({"picture": {"strength": 7}}, "picture: strength '7'"),
        ({"picture": {"prompt": "x"}}, "picture: prompt comes with each call"),
        ({"text": {"stesp": 3}}, "text: unknown field 'stesp'"),
        ({"industries": {}}, "industries"),
        ({"styles": {"photo": {"prompt": "a photo"}}}, "must hold {prompt}"),
    ],
)
def test_profiles_that_are_refused(tmp_path: Path, told: dict[str, Any], said: str) -> None:
    with pytest.raises(LimnerError) as refused:
        read_profile(written(tmp_path, **told))
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_a_folder_of_a_models_name_is_meant_where_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    studio, profile = Studio(tmp_path / "home"), read_profile(written(tmp_path, text={"model": "mine/dog"}))
    assert settled(profile, studio)[0].text.request == {"model": "mine/dog"}, "one of the hub"
    (tmp_path / "mine" / "dog").mkdir(parents=True)
    (tmp_path / "mine" / "dog" / "weights").write_bytes(b"x")
    assert settled(profile, studio)[0].text.request["model"].startswith("folder:")
    studio.store.close()


def test_paths_become_references(tmp_path: Path) -> None:
    (tmp_path / "one.safetensors").write_bytes(b"x")
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "a").write_bytes(b"y")
    adapters = [f"{tmp_path}/one.safetensors:0.5", f"{tmp_path}/two"]
    told = {
        "industries": {"food": {"text": adapters}},
        "picture": {"strength": 0.5, "mask": f"{tmp_path}/two/a", "model": "starter"},
        "text": {"model": f"{tmp_path}/two"},
    }
    studio = Studio(tmp_path / "home")
    profile, used = settled(read_profile(written(tmp_path, **told)), studio)
    first, second = profile.adapters("FOOD", None)
    assert first.path.startswith("sha256:") and first.weight == 0.5 and second.path.startswith("folder:")
    assert profile.text.request == {"model": second.path}
    assert profile.picture.request["strength"] == 0.5 and profile.picture.request["mask"] in used
    assert used == {first.path, second.path, profile.picture.request["mask"]}
    again, _ = settled(profile, studio)
    assert again == profile
    request = profile.request("x", "food", "photo", adapter=first, seed=5)
    assert (request.adapter, request.seed) == ((first,), 5)


@pytest.mark.parametrize(
    ("name", "said"),
    [("/no/such.safetensors", "where there is nothing"), ("sha256:" + "f" * 64, "is not kept here")],
)
@pytest.mark.parametrize("place", ["industry", "model"])
def test_what_is_not_there_is_named_at_start(tmp_path: Path, name: str, said: str, place: str) -> None:
    told = {"industries": {"food": {"text": [name]}}} if place == "industry" else {"text": {"model": name}}
    with pytest.raises(LimnerError, match=said):
        settled(read_profile(written(tmp_path, **told)), Studio(tmp_path / "home"))


def test_what_the_profile_names_is_for_all_who_call(tmp_path: Path) -> None:
    (tmp_path / "one.safetensors").write_bytes(b"x")
    studio = Studio(tmp_path / "home")
    told = {"industries": {"food": {"text": [f"{tmp_path}/one.safetensors"]}}}
    profile, used = settled(read_profile(written(tmp_path, **told)), studio)
    request, _ = split_body(profile.request("x", "food", "photo", adapter=profile.adapters("food", None)[0]))
    team = Caller(account="team", role=Role.MAKER)
    assert studio.enqueue(request, caller=team, granted=used).owner == "team"
    with pytest.raises(LimnerError, match="is not yours"):
        studio.enqueue(request, caller=team)
