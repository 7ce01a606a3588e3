"""The page of pets: with and without JavaScript."""

from __future__ import annotations

import pytest

from pages import PART, text_of, tree

HOSTILE = (
    "</textarea><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }}",
    "../../etc/passwd",
    "\x00\u202e\ud7ff",
    "a" * 5000,
    "sha256:" + "0" * 64,
)
DOG = {"species": "dog", "breed": "corgi", "background": "beach", "extras": "scarf", "colour": "red"}
PROMPT = "a photo of a corgi dog wearing a red scarf on the beach"
TAGS = {"species": "dog", "breed": "corgi", "background": "beach", "extras": "red scarf", "style": "illustration"}


def prompt_of(page) -> str:
    return page.xpath("//textarea[@name='prompt']")[0].text_content().strip()


def run_of(site, response):
    assert response.status_code == 303, response.text
    return site.studio.runs.get(response.headers["location"].rpartition("/")[2])


def test_the_form_shows_what_the_model_can_draw(site):
    page = site.page("/create/pets")
    assert len(page.xpath("//h1")) == 1
    assert page.xpath("//input[@name='species']/@value") == ["cat", "dog"]
    assert "siamese" in page.xpath("//input[@name='breed']/@value")
    for source in page.xpath("//label[contains(@class, 'card')]/img/@src"):
        drawing = site.client.get(source)
        assert drawing.headers["content-type"] == "image/png" and drawing.content.startswith(b"\x89PNG")
    assert page.xpath("//input[@name='extras']/@type")[0] == "radio", "the starter draws one extra"
    assert "immutable" in drawing.headers["cache-control"]


def test_without_javascript_the_form_leads_to_the_job(site):
    run = run_of(site, site.client.post("/create/pets", data=DOG | {"count": "2", "seed": "7"}))
    assert (run.request.prompt, run.request.count, run.request.seed) == (PROMPT, 2, 7)
    assert run.tags == TAGS


def test_without_javascript_the_prompt_is_shown_by_a_button(site):
    page = tree(site.client.post("/create/pets/prompt", data=DOG))
    assert prompt_of(page) == PROMPT and page.xpath("//h1")
    assert page.xpath("//input[@name='breed'][@checked]/@value") == ["corgi"]
    assert page.xpath("//input[@name='extras'][@checked]/@value") == ["scarf"]
    assert page.xpath("//select[@name='colour']/option[@selected]/@value") == ["red"]
    assert not site.studio.runs.list()


def test_with_htmx_only_the_prompt_comes_back(site):
    page = tree(site.client.post("/create/pets/prompt", data=DOG, headers=PART))
    assert prompt_of(page) == PROMPT and not page.xpath("//h1") and not page.xpath("//form")


def test_another_species_has_other_breeds(site):
    page = tree(site.client.post("/create/pets/species", data=DOG | {"species": "cat"}, headers=PART))
    assert prompt_of(page) == "a photo of a cat wearing a red scarf on the beach", "no cat is a corgi"
    breeds = page.xpath("//hx-partial[@hx-target='#pet-breeds']//input[@name='breed']/@value")
    assert "siamese" in breeds and "corgi" not in breeds


def test_another_model_has_another_catalogue(site):
    page = tree(site.client.post("/create/pets/model", data=DOG | {"model": "sdxl"}, headers=PART))
    assert "rabbit" in page.xpath("//input[@name='species']/@value")
    assert len(page.xpath("//select[@name='breed']/option")) > 60
    assert page.xpath("//input[@name='extras']/@type")[0] == "checkbox"


def test_an_edited_prompt_stays_and_can_be_given_up(site):
    edited = DOG | {"prompt": "a happy corgi", "made": PROMPT}
    page = tree(site.client.post("/create/pets/prompt", data=edited, headers=PART))
    assert prompt_of(page) == "a happy corgi" and PROMPT in text_of(page)
    (kept,) = page.xpath("//hx-partial[@hx-target='#pet-kept']")
    assert "choices no longer change it" in text_of(kept) and kept.xpath(".//button/@name") == ["reset"]
    again = tree(site.client.post("/create/pets/prompt", data=edited | {"reset": "true"}, headers=PART))
    assert prompt_of(again) == PROMPT
    assert not text_of(again.xpath("//hx-partial[@hx-target='#pet-kept']")[0])
    run = run_of(site, site.client.post("/create/pets", data=edited))
    assert run.request.prompt == "a happy corgi" and run.tags == TAGS


@pytest.mark.slow
def test_a_prompt_that_was_not_edited_follows_the_choices(site):
    form = DOG | {"prompt": "a photo of a cat", "made": "a photo of a cat"}
    assert run_of(site, site.client.post("/create/pets", data=form)).request.prompt == PROMPT


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("species", "dgo", "did you mean 'dog'"),
        ("breed", "corgy", "did you mean 'corgi'"),
        ("background", "garden", "did you mean 'park'"),
        ("extras", "skarf", "did you mean 'scarf'"),
        ("style", "watercolor", "did you mean 'watercolour'"),
        ("count", "0", "use 1 or more"),
        ("size", "huge", "is not a size"),
        ("adapter", "nosuch", "nosuch"),
    ],
)
def test_what_is_wrong_stands_at_its_field(site, field, value, text):
    for headers in ({}, PART):
        response = site.client.post("/create/pets", data=DOG | {field: value}, headers=headers)
        assert response.status_code == 422 and not site.studio.runs.list()
        place = tree(response).xpath(f"//*[@data-field='{field}']//*[@role='alert']")
        assert len(place) == 1 and text in text_of(place[0]), headers


@pytest.mark.parametrize("field", [*DOG, "style", "adapter", "prompt", "model"])
def test_hostile_values_are_shown_as_text(site, field):
    """Each text is sent to one of the three places, the markup to all."""
    places = ("GET", "/create/pets"), ("POST", "/create/pets/prompt"), ("POST", "/create/pets/species")
    for number, text in enumerate(HOSTILE):
        for method, path in places if "<" in text else [places[number % 3]]:
            values = {"params" if method == "GET" else "data": DOG | {field: text}}
            response = site.client.request(method, path, **values)
            assert response.status_code == 200, response.text
            page = tree(response)
            assert not page.xpath("//script[not(@src)]"), (path, text)
            assert not page.xpath("//img[not(starts-with(@src, '/create/pets/'))]"), (path, text)


def test_the_address_fills_in_the_form(site):
    page = site.page("/create/pets", params={"species": "dog", "extras": "red scarf"})
    assert prompt_of(page) == "a photo of a dog wearing a red scarf"
    assert page.xpath("//select[@name='colour']/option[@selected]/@value") == ["red"]


def test_drawings_of_unknown_pets_do_not_exist(site):
    for path in ("starter/dog/siamese", "starter/cow/corgi", "sdxl/dog/corgi", "nosuch/dog/corgi"):
        assert site.client.get(f"/create/pets/drawings/{path}").status_code == 404, path


def test_jobs_of_pets_are_listed_alone(site):
    site.client.post("/create", data={"prompt": "a mug"})
    site.client.post("/create/pets", data=DOG)
    (job,) = site.page("/create/pets").xpath("//article")
    assert PROMPT in text_of(job)
