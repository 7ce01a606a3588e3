"""What the forms of Create say before they are sent: words that the model does not know, subjects that do not fit."""

from __future__ import annotations

import pytest

from pages import PART, adapter_file, teach, text_of, tree

PLACES = ("/create", "/create/pets", "/create/marketing")
SAID = "starter does not know 'birthday', 'card' (nearest: 'car')"
HASH = "0123456789abcdef" * 4


def hints(site, place, **form):
    response = site.client.post(f"{place}/hints", data=form, headers=PART)
    assert response.status_code == 200, response.text
    return tree(response)


@pytest.mark.parametrize("place", PLACES)
def test_unknown_words_are_named_while_the_prompt_is_typed(site, place):
    page = hints(site, place, prompt="a birthday card with a corgi", industry="", words_of="")
    assert SAID in text_of(page) and not site.studio.runs.list()
    (link,) = page.xpath("//p[@class='remedy']/a/@href")
    assert "corgi" in text_of(site.page(link).xpath("//main")[0])
    known = hints(site, place, prompt="a photo of a corgi on the beach")
    assert "does not know" not in text_of(known) and not known.xpath("//p[@class='remedy']")


@pytest.mark.parametrize("place", PLACES)
def test_the_page_names_them_at_once(site, place):
    (hint,) = site.page(place, params={"prompt": "a birthday card"}).xpath("//form//p[contains(@class, 'hint')]")
    assert text_of(hint).startswith(SAID)
    assert not site.page(place).xpath("//form//p[contains(@class, 'hint')]")


@pytest.mark.parametrize("place", PLACES)
def test_the_prompt_asks_for_them_by_itself(site, place):
    page = site.page(place)
    (prompt,) = page.xpath("//textarea[@name='prompt']")
    (asks,) = prompt.xpath(f"ancestor-or-self::*[@hx-post='{place}/hints']")
    assert "delay" in asks.get("hx-trigger")
    for target in hints(site, place, prompt="a cat").xpath("//hx-partial/@hx-target"):
        assert page.xpath(f"//*[@id='{target[1:]}'][@aria-live]")


@pytest.mark.parametrize(("place", "field"), [("/create", "subject"), ("/create/pets", "adapter")])
def test_words_of_a_chosen_adapter_are_known_and_it_is_called_by_its_name(site, place, field):
    reference = teach(site)
    form = {"prompt": "a photo of sks cat with a card", "made": "x"}
    assert "does not know 'sks', 'card'" in text_of(hints(site, place, **form))
    text = text_of(hints(site, place, **form, **{field: reference}))
    assert "starter does not know 'card' (nearest: 'car'), unless sks cat learned them" in text
    assert reference[-64:] not in text


def test_models_of_any_words_say_nothing(site):
    for model in ("sdxl", "nosuch", HASH, "../x"):
        assert "does not know" not in text_of(hints(site, "/create", prompt="a birthday card", model=model))


MISFIT = "sks cat was taught for starter, not for {0}; choose starter as the base model, or untick sks cat"


@pytest.mark.parametrize("model", ["sdxl", "sd15"])
def test_a_subject_that_does_not_fit_the_model_is_said_before_and_refused_after(site, monkeypatch, model):
    monkeypatch.setattr("limner.web.pages.create.require_model", lambda *given: None)  # they are not downloaded
    reference = teach(site)
    form = {"prompt": "a photo of sks cat", "subject": reference, "model": model}
    (part,) = hints(site, "/create", **form).xpath("//hx-partial[@hx-target='#create-misfit']")
    assert text_of(part) == MISFIT.format(model)
    before = len(site.studio.runs.list())
    response = site.client.post("/create", data=form, headers=PART)
    assert response.status_code == 422 and len(site.studio.runs.list()) == before
    page = tree(response)
    assert text_of(page.xpath("//*[@data-field='adapter']//*[@role='alert']")[0]) == MISFIT.format(model)
    assert page.xpath("//input[@name='subject'][@checked]") and not text_of(page.xpath("//*[@id='create-misfit']")[0])


@pytest.mark.parametrize("model", ["", "starter"])
def test_a_subject_that_fits_is_used_without_a_word(site, model):
    form = {"prompt": "a photo of sks cat", "subject": teach(site), "model": model}
    (part,) = hints(site, "/create", **form).xpath("//hx-partial[@hx-target='#create-misfit']")
    assert not text_of(part)
    assert site.client.post("/create", data=form).status_code == 303


def test_two_subjects_of_different_models_do_not_fit_each_other(site):
    taught = teach(site)
    files = {"adapter.file": ("m", adapter_file(limner='{"trigger_words": ["rex"], "base": {"reference": "sd15"}}'))}
    site.client.post("/create/files", files=files, headers=PART)
    listed = site.page("/create").xpath("//input[@name='subject']/@value")
    assert taught in listed and len(listed) == 2
    text = text_of(hints(site, "/create", prompt="a cat", subject=listed))
    assert "rex was made for sd15, not for starter; choose sd15 as the base model, or untick rex" in text


def test_an_adapter_for_a_model_of_the_same_family_is_left_to_try(site, monkeypatch):
    monkeypatch.setattr("limner.web.pages.create.require_model", lambda *given: None)
    files = {"adapter.file": ("m", adapter_file(limner='{"trigger_words": ["rex"], "base": {"reference": "sd15"}}'))}
    site.client.post("/create/files", files=files, headers=PART)
    listed = site.page("/create").xpath("//input[@name='subject']/@value")
    form = {"prompt": "a cat", "subject": listed, "model": "realistic-vision"}
    assert "not for" not in text_of(hints(site, "/create", **form))
