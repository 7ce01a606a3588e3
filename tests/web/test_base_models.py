"""Base models on the forms of Create: what this machine cannot run is last, and what is missing is said at once."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from limner.studio.library import StudioLibrary
from limner.studio.studio import Studio
from pages import PART, site_of, text_of, tree


def model(name: str, gigabytes: float, memory: float, place: str | None = None):
    return SimpleNamespace(name=name, gigabytes=gigabytes, memory=memory, place=place and Path(place))


MODELS = [model("starter", 0, 0), model("sd15", 2.8, 0), model("sdxl", 6.9, 8), model("z-image", 33.7, 24, "/z")]


@pytest.fixture
def models(monkeypatch):
    monkeypatch.setattr(Studio, "models", lambda studio: MODELS)
    lacks = staticmethod(lambda each: "this machine has no GPU" if each.memory else "")
    monkeypatch.setattr(StudioLibrary, "lacks", lacks)


def groups(page) -> dict[str, list[str]]:
    found = page.xpath("//select[@name='model']/optgroup")
    return {each.get("label"): [text_of(option) for option in each] for each in found}


@pytest.mark.parametrize("place", ["/create", "/create/pets"])
def test_what_this_machine_cannot_run_is_marked_and_last(site, models, place):
    found = groups(site.page(place))
    assert list(found) == ["Base models", "Not for this machine: this machine has no GPU"]
    here, blocked = found.values()
    assert here[-2:] == ["sd15: download of 2.8 GB", "z-image: this machine has no GPU, so it is slow or fails"]
    assert blocked == ["sdxl: download of 6.9 GB"]


FORMS = [("/create", {"prompt": "a cat"}), ("/create/pets", {"species": "dog"})]


@pytest.mark.parametrize("headers", [{}, PART])
@pytest.mark.parametrize(("place", "form"), FORMS)
@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("sd15", "download it in the Library first (2.8 GB)"),
        ("sdxl", "choose another one; this one would not run here, as this machine has no GPU"),
    ],
)
def test_a_model_that_is_missing_is_refused_at_its_field(site, models, place, form, headers, name, remedy):
    response = site.client.post(place, data={**form, "model": name}, headers=headers)
    (field,) = tree(response).xpath("//*[@data-field='model']")
    (problem,) = field.xpath(".//*[@role='alert']")
    assert response.status_code == 422 and not site.studio.runs.list()
    assert text_of(problem) == f"the base model '{name}' is not on this machine; {remedy}"
    assert field.xpath(".//a/@href") == (["/library/models"] if "Library" in remedy else [])
    assert field.xpath(".//option[@selected]/@value") == [name]


def test_a_model_on_disk_is_used_though_it_is_slow_here(site, models):
    assert site.client.post("/create", data={"prompt": "a cat", "model": "z-image"}).status_code == 303
    assert site.studio.runs.list(1)[0].request.model == "z-image"


def test_a_server_without_workers_does_not_know_the_machines_of_others(home, models):
    site = site_of(home, workers=0)
    assert site.client.post("/create", data={"prompt": "a cat", "model": "sd15"}).status_code == 303
    site.studio.close()


def test_another_model_is_typed_and_stays(site, models):
    form = {"prompt": "a cat", "model": ["sd15", "someone/model"], "steps": "0"}
    page = tree(site.client.post("/create", data=form))
    assert page.xpath("//input[@name='model']/@value") == ["someone/model"]
    assert page.xpath("//details[.//input[@name='model'] and @open]")


def test_marketing_says_what_its_model_lacks(site, models, monkeypatch):
    monkeypatch.setitem(site.client.app.state.server.profile.text.request, "model", "sd15")
    response = site.client.post("/create/marketing", data={"prompt": "a mug"})
    assert response.status_code == 422 and "download it in the Library first" in tree(response).text_content()
    assert not site.studio.runs.list()
