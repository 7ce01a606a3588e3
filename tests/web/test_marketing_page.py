"""The page of marketing images: what it shows of the profile, with and without JavaScript."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from PIL import Image

from limner.core.requests import AdapterUse
from limner.server.profile import Industry, Profile, Style
from pages import PART, teach, text_of, tree

MUG = {"prompt": "a red mug", "industry": "food", "style": "watercolour", "count": "2", "seed": "7"}
TAGS = {"industry": "food", "style": "watercolour"}


def png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(out, "PNG")
    return out.getvalue()


def run_of(site, response):
    assert response.status_code == 303, response.text
    return site.studio.runs.get(response.headers["location"].rpartition("/")[2])


def test_the_form_lists_what_the_profile_has(site):
    page = site.page("/create/marketing")
    listed = site.client.get("/industries").json()
    assert page.xpath("//select[@name='industry']/option/@value") == ["", *listed["industries"]]
    assert page.xpath("//select[@name='style']/option/@value")[1:] == listed["styles"][1:]
    assert len(page.xpath("//h1")) == 1


@pytest.mark.slow
def test_without_javascript_the_form_leads_to_the_job(site):
    run = run_of(site, site.client.post("/create/marketing", data=MUG))
    assert run.request.prompt == "a watercolour painting of a red mug, against an orange wall"
    assert (run.request.count, run.request.seed, run.tags) == (2, 7, TAGS)


def test_it_makes_the_same_request_as_the_api(site):
    form = run_of(site, site.client.post("/create/marketing", data=MUG | {"size": "64x64"})).request
    made = site.client.app.state.server.profile.request(
        "a red mug", "food", "watercolour", seed=7, fields={"count": 2, "width": 64, "height": 64}
    )
    assert form == type(form).model_validate(made.model_dump(include={*type(form).model_fields}))


def test_a_base_image_is_stored_and_kept_while_the_form_is_corrected(site):
    files = {"base_image_url.file": ("mug.png", png(), "image/png")}
    wrong = tree(site.client.post("/create/marketing", data=MUG | {"count": "0"}, files=files))
    (reference,) = wrong.xpath("//input[@name='base_image_url']/@value")
    assert reference.startswith("sha256:")
    run = run_of(site, site.client.post("/create/marketing", data=MUG | {"base_image_url": reference}))
    assert run.request.image == reference and run.request.strength == 0.6


def test_with_htmx_the_job_appears_beside_the_form(site):
    page = tree(site.client.post("/create/marketing", data=MUG, headers=PART))
    (job,) = page.xpath("//hx-partial[@hx-target='#results']//article")
    assert "a red mug" in text_of(job) and page.xpath("//form[@id='marketing']")


@pytest.mark.parametrize("headers", [{}, PART])
@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("prompt", "", "prompt is missing"),
        ("industry", "fod", "unknown industry 'fod'"),
        ("style", "<b>", "unknown style '<b>'"),
        ("count", "11", "use 10 or less"),
        ("size", "9", "is not a size"),
        ("seed", "-1", "use 0 or more"),
    ],
)
def test_what_is_wrong_stands_at_its_field(site, headers, field, value, text):
    response = site.client.post("/create/marketing", data=MUG | {field: value}, headers=headers)
    assert response.status_code == 422 and not site.studio.runs.list()
    (place,) = tree(response).xpath(f"//*[@data-field='{field}']//*[@role='alert']")
    assert text in text_of(place)


@pytest.mark.parametrize("headers", [{}, PART])
def test_adapters_of_the_industry_are_shown_with_their_ratings(site, headers, monkeypatch):
    names = ["sha256:" + digit * 64 for digit in "abc"]
    uses = tuple(AdapterUse(path=name) for name in names)
    profile = Profile(industries={"Food": Industry(text=uses[:2], picture=uses[2:])}, styles={"photo": Style()})
    state = site.client.app.state.server
    object.__setattr__(state, "profile", profile)
    asked = []
    summary = [SimpleNamespace(name=names[1], ratings=3, mean=4.5)]
    monkeypatch.setattr(site.studio.feedback, "summary", lambda *given: asked.append(given[1:]) or summary)
    page = tree(site.client.post("/create/marketing/adapters", data={"industry": "Food"}, headers=headers))
    rows = [[text_of(cell) for cell in row] for row in page.xpath("//table//tbody/tr")]
    assert rows == [
        ["Adapter aaaaaaaa", "from a prompt", "none yet", "0"],
        ["Adapter bbbbbbbb", "from a prompt", "4.5", "3"],
        ["Adapter cccccccc", "from an image", "none yet", "0"],
    ]
    assert asked == [("adapter", "food")]


def test_an_industry_without_adapters_says_so(site):
    page = tree(site.client.post("/create/marketing/adapters", data={"industry": "food"}, headers=PART))
    text = text_of(page)
    assert "Nothing has been taught for food here, so starter makes the images by itself" in text
    assert "adapter" not in text and "service" not in text


def test_an_adapter_of_an_industry_is_called_by_its_name(site):
    reference = teach(site)
    profile = Profile(industries={"Pets": Industry(text=(AdapterUse(path=reference),))}, styles={"photo": Style()})
    object.__setattr__(site.client.app.state.server, "profile", profile)
    form = {"industry": "Pets", "prompt": "a zebra"}
    page = tree(site.client.post("/create/marketing/adapters", data=form, headers=PART))
    assert text_of(page.xpath("//table//tbody/tr/td")[0]) == "sks cat" and reference[-64:] not in text_of(page)
    assert "starter does not know 'zebra', unless sks cat learned them" in text_of(page)


def test_the_words_of_an_industry_are_shown_and_can_be_changed_or_left_out(site):
    page = tree(site.client.post("/create/marketing/adapters", data=MUG, headers=PART))
    assert page.xpath("//input[@name='words']/@value") == ["against an orange wall"]
    assert "a watercolour painting of a red mug, against an orange wall" in text_of(page)
    shown = MUG | {"words_of": "food", "words": "against an orange wall"}
    for words in ("against an orange wall", "on a table", ""):
        end = f", {words}" if words else ""
        run = run_of(site, site.client.post("/create/marketing", data=shown | {"words": words}))
        assert run.request.prompt == f"a watercolour painting of a red mug{end}"
        hints = tree(site.client.post("/create/marketing/hints", data=shown | {"words": words}, headers=PART))
        assert f"a watercolour painting of a red mug{end}”" in text_of(hints)


def test_words_of_another_industry_do_not_count(site):
    """Without JavaScript the words of the industry before still stand in the form."""
    old = MUG | {"industry": "travel", "words_of": "food", "words": "on a table"}
    assert run_of(site, site.client.post("/create/marketing", data=old)).request.prompt.endswith("against a teal wall")
    page = tree(site.client.post("/create/marketing/adapters", data=old, headers=PART))
    assert page.xpath("//input[@name='words']/@value") == ["against a teal wall"]


def test_the_words_of_a_call_replace_those_of_its_industry(site):
    profile = site.client.app.state.server.profile
    prompts = [profile.request("a mug", "food", "photo", words=words).prompt for words in (None, "in a box", " ")]
    assert prompts == ["a photo of a mug, against an orange wall", "a photo of a mug, in a box", "a photo of a mug"]


def test_jobs_of_marketing_are_listed_alone(site):
    site.client.post("/create/pets", data={"species": "dog"})
    site.client.post("/create/marketing", data=MUG)
    (job,) = site.page("/create/marketing").xpath("//article")
    assert "red mug" in text_of(job)
