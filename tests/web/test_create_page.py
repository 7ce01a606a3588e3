"""The page that generates images: with and without JavaScript."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from pages import PART, text_of, tree


def png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(out, "PNG")
    return out.getvalue()


def test_without_javascript_the_form_leads_to_the_job(site):
    form = {"prompt": "a cat", "steps": "3", "seed": "", "tiled": "true"}
    response = site.client.post("/create", data=form)
    assert response.status_code == 303
    run = site.studio.runs.get(response.headers["location"].rpartition("/")[2])
    assert (run.request.prompt, run.request.steps, run.request.seed, run.request.tiled) == ("a cat", 3, 42, True)
    assert text_of(site.page(response.headers["location"]).xpath("//h1")[0]) == "a cat"


def test_with_htmx_the_job_appears_beside_the_form(site):
    response = site.client.post("/create", data={"prompt": "a cat"}, headers=PART)
    page = tree(response)
    assert response.status_code == 200 and page.xpath("//form[@id='create']")
    (job,) = page.xpath("//hx-partial[@hx-target='#results']//article")
    assert job.get("data-status") == "queued" and "a cat" in job.text_content()


@pytest.mark.parametrize("headers", [{}, PART])
def test_what_is_wrong_stands_at_its_field_and_nothing_is_lost(site, headers):
    form = {"prompt": "a cat", "steps": "0", "adapter": "nosuch", "negative_prompt": "a dog"}
    response = site.client.post("/create", data=form, headers=headers)
    page = tree(response)
    assert response.status_code == 422 and not site.studio.runs.list()
    assert "steps" in text_of(page.xpath("//div[@data-field='steps']//*[@role='alert']")[0])
    assert page.xpath("//textarea[@name='negative_prompt']")[0].text_content().strip() == "a dog"
    fixed = site.client.post("/create", data=form | {"steps": "3"}, headers=headers)
    assert fixed.status_code == 422
    assert "nosuch" in text_of(tree(fixed).xpath("//div[@data-field='adapter']//*[@role='alert']")[0])


def test_a_dropped_image_is_stored_and_used(site):
    form = {"prompt": "a cat", "strength": "0.5"}
    response = site.client.post("/create", data=form, files={"image.file": ("photo of me.png", png(), "image/png")})
    assert response.status_code == 303
    run = site.studio.runs.get(response.headers["location"].rpartition("/")[2])
    assert run.request.image.startswith("sha256:") and run.request.strength == 0.5


def test_the_request_can_be_copied(site):
    response = site.client.post("/create/copy", data={"prompt": "a cat", "steps": "3"}, headers=PART)
    text = text_of(tree(response))
    assert "limner generate 'a cat' --steps 3" in text and '"steps": 3' in text and '"kind": "generate"' in text
    assert "Studio().run(GenerateRequest( steps=3, prompt='a cat', ))" in text


def test_the_address_fills_in_the_form(site):
    page = site.page("/create", params={"prompt": "a dog", "width": "64"})
    assert page.xpath("//textarea[@name='prompt']")[0].text_content().strip() == "a dog"
    assert page.xpath("//input[@name='width']/@value") == ["64"]


def test_a_job_can_be_stopped_and_tried_again(site):
    site.client.post("/create", data={"prompt": "a cat"})
    (run,) = site.studio.runs.list()
    assert site.client.post(f"/runs/{run.id}/cancel").status_code == 303
    (job,) = site.page("/queue").xpath("//article")
    assert "stopped" in job.text_content() and job.xpath(".//button[text()='Try again']")
    assert site.client.post(f"/runs/{run.id}/retry").status_code == 303
    assert site.studio.runs.get(run.id).status == "queued"
