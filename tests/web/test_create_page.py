"""The page that generates images: with and without JavaScript."""

from __future__ import annotations

import io
from datetime import timedelta
from types import SimpleNamespace

import pytest
from lxml import html
from PIL import Image

import serving
from limner.core.accounts import Caller, Role
from limner.core.errors import LimnerError
from limner.core.execution import body_model
from limner.core.feedback import ImageQuery
from limner.core.requests import Flag, GenerateRequest, InfluenceRequest
from limner.core.runs import Status
from limner.store.queue import Queue
from limner.studio.images import Viewer
from limner.web.cards import enlarged, result_of
from limner.web.subjects import submit_influence
from pages import PART, adapter_file, picture_folder, teach, text_of, tree
from working import execute_queue

VIEW = Viewer("", None, stored=True)


def png(size=(16, 16), colour="red") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return out.getvalue()


def newest(site):
    return site.studio.runs.list(1)[0]


def error_at(page, field):
    return text_of(page.xpath(f"//*[@data-field='{field}']//*[@role='alert' and not(@hidden)]")[0])


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


def test_every_field_has_a_place_on_the_page(site):
    page = site.page("/create")
    names = [name.removesuffix(".file") for name in page.xpath("//form[@id='create']//@name")]
    instead = {"control": "guide"}
    for name, field in body_model("generate").model_fields.items():
        if not any(isinstance(item, Flag) and item.hidden for item in field.metadata):
            assert instead.get(name, name) in names, name
    assert len(set(page.xpath("//form[@id='create']//@id"))) == len(page.xpath("//form[@id='create']//@id"))


@pytest.mark.parametrize("shape", ["square", "portrait", "landscape"])
@pytest.mark.parametrize(("model", "side"), [("starter", 128), ("sd15", 512), ("sdxl", 1024)])
def test_a_shape_gives_the_size_at_the_area_of_the_model(site, monkeypatch, shape, model, side):
    monkeypatch.setattr("limner.web.pages.create.require_model", lambda *given: None)  # they are not downloaded
    site.client.post("/create", data={"prompt": "a cat", "shape": shape, "model": model})
    request = newest(site).request
    order = {"square": 0, "portrait": 1, "landscape": -1}[shape]
    assert (request.height > request.width) - (request.height < request.width) == order
    assert request.width % 16 == 0 == request.height % 16
    assert 0.9 < request.width * request.height / side**2 < 1.1


def test_a_shape_of_an_unknown_model_is_an_error_at_the_size(site):
    model = site.studio.files.upload(picture_folder(site))
    response = site.client.post("/create", data={"prompt": "a cat", "shape": "square", "model": model})
    assert response.status_code == 422 and "give width and height" in error_at(tree(response), "width")


def test_a_random_seed_is_new_each_time_and_stays_random(site):
    form = {"prompt": "a cat", "seed": "", "random": "true"}
    response = site.client.post("/create", data=form, headers=PART)
    site.client.post("/create", data=form)
    first, second = (run.request.seed for run in site.studio.runs.list(2))
    assert first != second
    page = tree(response)
    assert page.xpath("//input[@name='random']/@checked") and page.xpath("//input[@name='seed']/@value") == [""]
    site.client.post("/create", data={"prompt": "a cat", "seed": "7"})
    assert newest(site).request.seed == 7


def test_subjects_are_chips_with_words_and_weights(site):
    reference = teach(site)
    chip = site.page("/create").xpath("//li[contains(@class, 'chip')]")[0]
    assert "sks cat" in text_of(chip) and chip.get("data-words") == '["sks cat"]'
    assert chip.xpath(".//input[@type='range']") and not chip.xpath(".//input[@type='checkbox'][@checked]")
    form = {"prompt": "sks cat", "subject": reference, f"weight.{reference}": "0.8", "weight.other": "1"}
    response = site.client.post("/create", data=form, headers=PART)
    request = newest(site).request
    assert [(use.path, use.weight) for use in request.adapter] == [(reference, 0.8)] and request.model == "starter"
    (box,) = tree(response).xpath("//input[@name='subject']")
    assert box.get("checked") is not None and tree(response).xpath("//input[@type='range']/@value") == ["0.8"]
    wrong = site.client.post("/create", data=form | {f"weight.{reference}": "9"})
    assert wrong.status_code == 422 and "9" in error_at(tree(wrong), "adapter")


def test_subjects_of_another_account_are_not_offered(guarded):
    reference = teach(guarded)
    _, secret = guarded.studio.accounts.add_key("ann")
    guarded.client.post("/sign-in", data={"key": secret})
    assert not guarded.page("/create").xpath("//li[contains(@class, 'chip')]")
    response = guarded.client.post("/create", data={"prompt": "a cat", "subject": reference})
    assert response.status_code == 422 and "is not yours" in error_at(tree(response), "adapter")


@pytest.mark.parametrize(
    ("header", "name", "words"),
    [
        ({"modelspec__title": "Rex", "modelspec__trigger_phrase": "rex dog"}, "Rex", ["rex dog"]),
        ({"ss_output_name": "other"}, "other", []),
        ({"limner": '{"trigger_words": ["sks", "<b>"], "base": {"reference": "sd15"}}'}, "sks", ["sks", "<b>"]),
        ({"limner": '{"trigger_words": 7, "base": [1]}'}, "Adapter", []),
        ({"limner": "[" * 5000}, "Adapter", []),
    ],
)
def test_an_adapter_file_is_added_as_a_chosen_subject(site, header, name, words):
    files = {"adapter.file": ("mine.safetensors", adapter_file(**header), "application/octet-stream")}
    response = site.client.post("/create/files", files=files, headers=PART)
    assert response.status_code == 200
    (chip,) = tree(response).xpath("//li[contains(@class, 'chip')]")
    assert name in text_of(chip) and chip.xpath(".//input[@type='checkbox'][@checked]")
    assert [word for word in words if word not in chip.get("data-words").encode().decode("unicode_escape")] == []
    assert len(site.page("/create").xpath("//li[contains(@class, 'chip')]")) == 1


def test_a_file_that_is_no_adapter_is_refused(site):
    files = {"adapter.file": ("mine.safetensors", png(), "application/octet-stream")}
    response = site.client.post("/create/files", files=files, headers=PART)
    assert response.status_code == 422 and "'mine.safetensors' is not an adapter" in response.text
    form = site.client.post("/create", data={"prompt": "a cat"}, files=files)
    assert form.status_code == 422 and "is not an adapter" in error_at(tree(form), "adapter")


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)


@pytest.mark.parametrize("field", ["image", "mask", "guide"])
@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("notes.png", b"This is text.", "notes.png"),
        ("IMG_1.heic", HEIC, "IMG_1.heic"),
        ("a/../b.png", b"", "b.png' is empty"),
    ],
)
def test_a_file_that_is_no_image_is_an_error_at_its_field(site, field, name, content, problem):
    form = {"prompt": "a cat", "negative_prompt": "a dog"}
    files = {f"{field}.file": (name, content, "image/png")}
    response = site.client.post("/create", data=form, files=files)
    page = tree(response)
    found = error_at(page, {"guide": "control"}.get(field, field))
    assert response.status_code == 422 and problem in found and "/tmp" not in found
    assert page.xpath("//textarea[@name='negative_prompt']")[0].text_content().strip() == "a dog"
    alone = site.client.post("/create/files", files=files, headers=PART)
    assert (alone.status_code, alone.text) == (422, found)


@pytest.mark.parametrize("path", ["/create", "/create/files"])
@pytest.mark.parametrize("size", [1_000_000, 3_000_000])
def test_a_file_that_is_too_large_is_an_error_at_its_field(home, path, size):
    """At the limit of a file, and beyond that of the whole body, which is not read to its end."""
    with serving.service(home, workers=0, upload_bytes=size - 1 if size < 2_000_000 else 200_000) as service:
        head = '--x\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
        file = '--x\r\nContent-Disposition: form-data; name="image.file"; filename="big.png"\r\n\r\n'
        body = (head.format("prompt", "a cat") + file).encode() + bytes(size) + b"\r\n--x--\r\n"
        kind = "multipart/form-data; boundary=x"
        reply = service.call("POST", path, body, Content_Type=kind, Accept="text/html", HX_Request="true")
        text = reply.body.decode()
    assert reply.status == 422, text
    if path == "/create":
        assert "larger" in error_at(html.fromstring(text), "image")
        assert html.fromstring(text).xpath("//textarea[@name='prompt']")[0].text_content().strip() == "a cat"
    else:
        assert "larger" in text and "choose a smaller one" in text


def test_a_prompt_that_is_too_long_stays_in_its_field(site):
    long = "a cat " * 17_000
    response = site.client.post("/create", data={"prompt": long, "steps": "3"}, headers=PART)
    page = tree(response)
    assert response.status_code == 422 and "prompt" in error_at(page, "prompt")
    assert page.xpath("//textarea[@name='prompt']")[0].text_content().split() == long.split()
    assert page.xpath("//input[@name='steps']/@value") == ["3"]


def test_an_image_that_was_chosen_stays_after_an_error_and_can_be_removed(site):
    form = {"prompt": "a cat", "steps": "0"}
    page = tree(site.client.post("/create", data=form, files={"image.file": ("a.png", png(), "image/png")}))
    (reference,) = page.xpath("//input[@type='hidden'][@name='image']/@value")
    assert page.xpath("//figure//img/@src") == [f"/v1/files/{reference[7:]}"]
    kept = tree(site.client.post("/create", data={**form, "image": reference}))
    assert kept.xpath("//input[@type='hidden'][@name='image']/@value") == [reference]
    removed = site.client.post("/create", data={**form, "image": reference, "remove": "image"})
    assert removed.status_code == 200 and not site.studio.runs.list()
    assert tree(removed).xpath("//input[@type='hidden'][@name='image']/@value") == [""]
    assert tree(removed).xpath("//input[@name='steps']/@value") == ["0"]


@pytest.mark.parametrize(
    ("mask", "problem"),
    [(png((8, 16), "white"), "the mask is 8 x 16 px, and the image 16 x 16"), (png(colour="black"), "empty")],
)
def test_a_mask_that_does_not_fit_is_an_error_at_its_field(site, mask, problem):
    files = {"image.file": ("a.png", png(), "image/png"), "mask.file": ("m.png", mask, "image/png")}
    response = site.client.post("/create", data={"prompt": "a cat"}, files=files)
    assert response.status_code == 422 and problem in error_at(tree(response), "mask")
    assert tree(response).xpath("//input[@name='image']/@value")[0].startswith("sha256:")


@pytest.mark.parametrize("soft", ["", "5"])
def test_a_mask_of_another_account_is_neither_read_nor_copied(guarded, soft):
    theirs = [guarded.studio.files.upload(place) for place in _pictures(guarded)]
    _, secret = guarded.studio.accounts.add_key("ann")
    guarded.client.post("/sign-in", data={"key": secret})
    form = {"prompt": "a cat", "image": theirs[0], "mask": theirs[1], "mask_soft": soft}
    response = guarded.client.post("/create", data=form)
    text = text_of(tree(response))
    assert response.status_code == 422 and "is not yours" in text
    assert "32 x 32" not in text and guarded.studio.files.grants.list("ann") == []


def _pictures(site):
    for name, size in (("a.png", (32, 32)), ("b.png", (16, 16))):
        place = picture_folder(site) / name
        place.write_bytes(png(size, "white"))
        yield place


def test_a_weight_beyond_the_slider_is_kept(site):
    reference = teach(site)
    for weight, low, high in (("-1", -1, 2), ("3", 0, 3), ("0.5", 0, 2)):
        page = site.page("/create", params={"prompt": "a", "adapter": f"{reference}:{weight}"})
        (slider,) = page.xpath("//input[@type='range']")
        found = float(slider.get("value")), float(slider.get("min")), float(slider.get("max"))
        assert found == (float(weight), low, high)


@pytest.mark.parametrize(("soft", "levels"), [("", 2), ("0", 2), ("4", 3), ("999", 0), ("wide", 0)])
def test_the_soft_edge_of_a_mask(site, soft, levels):
    half = Image.new("L", (64, 64))
    half.paste(255, (0, 0, 32, 64))
    out = io.BytesIO()
    half.save(out, "PNG")
    files = {"image.file": ("a.png", png((64, 64)), "image/png"), "mask.file": ("m.png", out.getvalue(), "image/png")}
    response = site.client.post("/create", data={"prompt": "a cat", "mask_soft": soft}, files=files)
    if not levels:
        assert response.status_code == 422 and "use a number from 0 to 200" in error_at(tree(response), "mask")
        return
    with Image.open(site.studio.files.local_path(newest(site).request.mask)) as stored:
        values = set(stored.convert("L").get_flattened_data())
    assert {0, 255} <= values and (len(values) == 2 if levels == 2 else len(values) > 3)


def test_a_guide_has_a_kind_and_a_weight(site):
    files = {"guide.file": ("a.png", png(), "image/png")}
    form = {"prompt": "a cat", "guide_kind": "depth", "guide_weight": "0.5"}
    site.client.post("/create", data=form, files=files)
    (use,) = newest(site).request.control
    assert (use.kind, use.weight) == ("depth", 0.5) and use.path.startswith("sha256:")
    query = {"prompt": "a cat", "control": f"depth={use.path}:0.5"}
    page = site.page("/create", params=query)
    assert page.xpath("//input[@name='guide']/@value") == [use.path]
    assert page.xpath("//input[@name='guide_weight']/@value") == ["0.5"]
    assert page.xpath("//select[@name='guide_kind']/option[@selected]/text()") == ["depth"]


@pytest.fixture
def painted_site(site, starter):
    """A site with two images of one run."""
    site.client.post("/create", data={"prompt": "a cat", "steps": "1", "count": "2", "seed": "5", "guidance": "2"})
    execute_queue(site.studio)
    assert newest(site).status is Status.DONE, newest(site).error
    return site


def test_what_can_be_done_with_a_result(painted_site):
    site = painted_site
    first, second = site.page("/create").xpath("//li[@class='result']")
    assert (first.get("data-seed"), second.get("data-seed")) == ("5", "6")
    (download,) = first.xpath(".//a[@download]")
    assert site.client.get(download.get("href")).content.startswith(b"\x89PNG")
    links = {text_of(each): each.get("href") for each in second.xpath(".//details//a")}
    copied = site.page(links["Copy all settings"])
    for name, value in (("steps", "1"), ("seed", "6"), ("guidance", "2.0")):
        assert copied.xpath(f"//input[@name='{name}']/@value") == [value], name
    assert not copied.xpath("//input[@name='random']/@checked")
    words = site.page(links["Copy the prompt only"])
    assert words.xpath("//input[@name='steps']/@value") == [""]
    for link in ("Copy all settings", "Copy the prompt only", "Use as input", "Inpaint"):
        assert site.page(links[link]).xpath("//textarea[@name='prompt']")[0].text_content().strip() == "a cat", link
    used = site.page(links["Use as input"])
    assert used.xpath("//input[@name='image']/@value")[0].startswith("sha256:")
    assert site.page(links["Inpaint"]).xpath("//mask-canvas[@data-open][@data-image]")


def test_variations_go_on_with_seeds_that_were_not_used(painted_site):
    site = painted_site
    image = site.studio.images.list(VIEW, ImageQuery())[0]
    for seed in (7, 11):
        page = tree(site.client.post(f"/create/variations/{image.id}", headers=PART))
        request = newest(site).request
        assert (request.seed, request.count, request.steps, request.guidance) == (seed, 4, 1, 2.0)
        assert page.xpath("//hx-partial[@hx-target='#live']//*[contains(@*[name()='hx-sse:connect'], 'run=')]")
    assert site.client.post(f"/create/variations/{image.id}").headers["location"] == "/create"
    assert newest(site).execution.preview_every


@pytest.mark.parametrize("headers", [{}, PART])
def test_favourites_and_stars_can_be_given_and_taken_back(painted_site, headers):
    site = painted_site
    image = site.studio.images.list(VIEW, ImageQuery())[0]
    status = 200 if headers else 303
    for value, wanted in (("true", True), ("", False)):
        response = site.client.post(f"/create/images/{image.id}/favourite", data={"on": value}, headers=headers)
        assert response.status_code == status and site.studio.images.get(VIEW, image.id).favourite is wanted
    for stars in ("4", "0"):
        response = site.client.post(f"/create/images/{image.id}/stars", data={"stars": stars}, headers=headers)
        mine = site.studio.images.get(VIEW, image.id).mine
        assert response.status_code == status and (mine.stars if mine else 0) == int(stars)
    assert site.client.post("/create/images/9999/stars", data={"stars": "4"}).status_code == 404


def test_the_origin_of_a_result_is_shown_and_verified(painted_site):
    image = painted_site.studio.images.list(VIEW, ImageQuery())[0]
    for headers in ({}, PART):
        response = painted_site.client.get(f"/create/images/{image.id}/about", headers=headers)
        text = text_of(tree(response))
        assert response.status_code == 200 and "starter" in text and "not changed" in text and "seed" in text


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


def images_of(site):
    return site.studio.images.list(VIEW, ImageQuery())


def test_a_result_is_made_larger(painted_site):
    site = painted_site
    image = images_of(site)[0]
    response = site.client.post(f"/create/larger/{image.id}", headers=PART)
    request = newest(site).request
    assert response.status_code == 200 and tree(response).xpath("//hx-partial[@hx-target='#results']//article")
    assert (request.hires, request.seed, request.count, request.steps) == (2.0, image.fact("seed"), 1, 1)
    assert site.client.post(f"/create/larger/{image.id}").headers["location"] == "/create"


def test_an_image_of_the_largest_size_is_not_offered_larger(painted_site):
    image = images_of(painted_site)[0]
    for hires, offered in ((None, True), (2.0, True), (2.5, False), (4.0, False)):
        again = image.model_copy(update={"request": image.request.model_copy(update={"hires": hires})})
        assert result_of(again).may_enlarge is offered, hires
    refused = painted_site.client.post("/create/larger/9999", headers=PART)
    assert refused.status_code == 404
    with pytest.raises(LimnerError, match="hires"):
        enlarged(again)


@pytest.mark.parametrize("headers", [{}, PART])
def test_an_action_that_is_refused_says_why_at_the_result(painted_site, headers):
    image = images_of(painted_site)[0]
    response = painted_site.client.post(f"/create/influence/{image.id}", headers=headers)
    assert "no adapter of this image was taught here" in text_of(tree(response)) and response.status_code >= 400
    assert newest(painted_site).request.kind == "generate"


def test_the_photos_that_influenced_a_result_are_searched(site, starter):
    reference = teach(site)
    trained = newest(site)
    stored = site.studio.files.upload(picture_folder(site) / "1.png")
    image = SimpleNamespace(reference=stored, request=GenerateRequest(prompt="a cat", adapter=(f"{reference}:0.5",)))
    state = site.client.app.state.server
    run = submit_influence(state, Caller(role=Role.ADMIN), image)
    assert run.request == InfluenceRequest(
        picture=(stored,), adapter=reference, model="starter", data=trained.request.data
    )


def test_a_job_that_runs_is_shown_however_many_came_after_it(site):
    first = site.studio.enqueue(GenerateRequest(prompt="a slow cat"))
    Queue(site.studio.store, lease=timedelta(minutes=5)).claim("worker", 1)
    for seed in range(8):
        site.studio.enqueue(GenerateRequest(prompt="a cat", seed=seed))
    jobs = site.page("/create").xpath("//article/@id")
    assert len(jobs) == 7 and jobs[-1] == f"run-{first.id}"


def test_chosen_results_are_compared(painted_site):
    page = painted_site.page("/create")
    (form,) = page.xpath("//form[@id='compare']")
    ids = page.xpath("//input[@name='id'][@form='compare']/@value")
    assert len(ids) == 2
    compared = painted_site.page(form.get("action"), params={"id": ids})
    assert len(compared.xpath("//figure//img")) == 2


def test_without_javascript_the_request_is_copied_below_the_form(site):
    page = tree(site.client.post("/create/copy", data={"prompt": "a cat", "steps": "3"}))
    assert "limner generate 'a cat' --steps 3" in text_of(page.get_element_by_id("copy")) and page.xpath("//h1")


def test_an_image_that_was_chosen_is_replaced_by_another(site):
    old, new = (site.studio.files.upload(place) for place in _pictures(site))
    form = {"prompt": "a cat", "image": old}
    site.client.post("/create", data=form, files={"image.file": ("b.png", png((16, 16), "white"), "image/png")})
    assert newest(site).request.image == new != old
    page = tree(
        site.client.post("/create", data=form | {"steps": "0"}, files={"image.file": ("b.png", png(), "image/png")})
    )
    assert len(page.xpath("//input[@name='image']/@value")) == 1 and page.xpath("//input[@name='image']/@value") != [
        old
    ]
