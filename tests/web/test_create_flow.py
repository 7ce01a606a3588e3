"""What the forms of Create share: uploads, copied texts, actions on results, and two accounts."""

from __future__ import annotations

import io
import json
import shlex

import pytest
from PIL import Image

import serving
from limner.core.accounts import Caller
from limner.core.errors import LimnerError
from limner.core.feedback import ImageQuery
from limner.core.requests import GenerateRequest
from limner.server.marketing import MarketingRequest, submit_marketing
from limner.studio.images import Viewer
from limner.studio.studio import Studio
from pages import PART, teach, text_of, tree
from working import execute_queue

VIEW = Viewer("", None, stored=True)
CORGI = {"species": "dog", "breed": "corgi", "extras": "scarf", "colour": "red", "count": "2", "seed": "7"}
MUG = {"prompt": "a red mug", "industry": "food", "style": "watercolour", "count": "2", "seed": "7"}
CAT = {"prompt": 'a cat\'s "hat"', "steps": "3", "guidance": "2.5", "tiled": "true", "shape": "portrait", "seed": "7"}
FORMS = {"/create": CAT, "/create/pets": CORGI, "/create/marketing": MUG}
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)


def png(size=(64, 64)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, "red").save(out, "PNG")
    return out.getvalue()


def newest(site):
    return site.studio.runs.list(1)[0]


def copied(site, path, form, headers=PART) -> dict[str, str]:
    page = tree(site.client.post(f"{path}/copy", data=form, headers=headers))
    return {each.xpath("./summary")[0].text: each.xpath(".//code")[0].text for each in page.xpath("//details[pre]")}


@pytest.mark.parametrize("path", FORMS)
def test_copied_texts_make_the_same_images(site, limner, monkeypatch, path):
    """Each is run or sent once."""
    texts = copied(site, path, FORMS[path])
    assert list(texts) == ["Command", "JSON", "Python"]
    site.client.post(path, data=FORMS[path])
    wanted = newest(site)
    made = []

    def run(self, request, out=None, *, tags=None, **more):
        made.append((request.model_dump(), dict(tags or {})))
        raise LimnerError("not now", "later")

    monkeypatch.setattr(Studio, "run", run)
    with pytest.raises(LimnerError, match="not now"):
        exec(texts["Python"], {})
    limner(*shlex.split(texts["Command"])[1:])
    body = json.loads(texts["JSON"])
    if path == "/create/marketing":  # POST /generate-image would wait for the image
        call = MarketingRequest.model_validate(body)
        submit_marketing(site.client.app.state.server, call, Caller(), None)
    else:
        assert site.client.post("/v1/pets" if path == "/create/pets" else "/v1/runs", json=body).status_code == 202
    sent = newest(site)
    assert sent.id != wanted.id and (sent.request, sent.tags) == (wanted.request, wanted.tags)
    (python, tags), (command, _) = made
    assert command == {**python, **body_fields(command)} and tags == wanted.tags
    assert {name: python[name] for name in wanted.request.model_dump()} == wanted.request.model_dump()


def body_fields(command):
    """Fields of a body alone, which a command passes on elsewhere."""
    return {name: value for name, value in command.items() if name not in GenerateRequest.model_fields}


def test_a_text_copied_without_javascript_stands_below_the_form(site):
    for path, form in FORMS.items():
        page = tree(site.client.post(f"{path}/copy", data=form))
        assert "limner" in text_of(page.get_element_by_id("copy")) and page.xpath("//h1"), path


@pytest.mark.parametrize("path", ["/create/pets", "/create/marketing"])
def test_a_seed_that_is_left_to_chance_is_the_same_in_all_copied_texts(site, path):
    texts = copied(site, path, {name: value for name, value in FORMS[path].items() if name != "seed"})
    seed = json.loads(texts["JSON"])["seed"]
    assert f"--seed {seed}" in texts["Command"] and f"seed={seed}," in texts["Python"]


@pytest.mark.parametrize("headers", [{}, PART])
@pytest.mark.parametrize(
    ("path", "field", "value"), [("/create/pets", "breed", "corgy"), ("/create/marketing", "industry", "fod")]
)
def test_what_is_wrong_with_copied_choices_stands_at_its_field(site, path, field, value, headers):
    response = site.client.post(f"{path}/copy", data=FORMS[path] | {field: value}, headers=headers)
    (place,) = tree(response).xpath(f"//*[@data-field='{field}']//*[@role='alert']")
    assert response.status_code == 422 and value in text_of(place)


@pytest.mark.parametrize("headers", [{}, PART])
@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("notes.png", b"This is text.", "notes.png"),
        ("IMG_1.heic", HEIC, "IMG_1.heic"),
        ("a/../b.png", b"", "b.png' is empty"),
    ],
)
def test_a_base_image_that_is_no_image_is_an_error_at_its_field(site, headers, name, content, problem):
    files = {"base_image_url.file": (name, content, "image/png")}
    response = site.client.post("/create/marketing", data=MUG, files=files, headers=headers)
    page = tree(response)
    (place,) = page.xpath("//*[@data-field='base_image_url']//*[@role='alert' and not(@hidden)]")
    assert response.status_code == 422 and problem in text_of(place) and "/tmp" not in text_of(place)
    assert page.xpath("//textarea[@name='prompt']")[0].text_content().strip() == MUG["prompt"]
    assert page.xpath("//select[@name='industry']/option[@selected]/@value") == ["food"]
    alone = site.client.post("/create/files", files=files, headers=PART)
    assert (alone.status_code, alone.text) == (422, text_of(place))


def test_a_base_image_that_is_too_large_is_an_error_at_its_field(home):
    with serving.service(home, workers=0, upload_bytes=200_000) as service:
        head = '--x\r\nContent-Disposition: form-data; name="prompt"\r\n\r\na mug\r\n'
        file = '--x\r\nContent-Disposition: form-data; name="base_image_url.file"; filename="big.png"\r\n\r\n'
        body = (head + file).encode() + bytes(3_000_000) + b"\r\n--x--\r\n"
        kind = "multipart/form-data; boundary=x"
        reply = service.call(
            "POST", "/create/marketing", body, Content_Type=kind, Accept="text/html", HX_Request="true"
        )
    from lxml import html

    page = html.fromstring(reply.body.decode())
    (place,) = page.xpath("//*[@data-field='base_image_url']//*[@role='alert' and not(@hidden)]")
    assert reply.status == 422 and "larger" in text_of(place)
    assert page.xpath("//textarea[@name='prompt']")[0].text_content().strip() == "a mug"


@pytest.mark.parametrize("path", FORMS)
def test_a_prompt_of_100_kb_stays_in_its_field(site, path):
    long = "a cat " * 17_000
    response = site.client.post(path, data=FORMS[path] | {"prompt": long}, headers=PART)
    page = tree(response)
    (place,) = page.xpath("//*[@data-field='prompt']//*[@role='alert']")
    assert response.status_code == 422 and "20,000" in text_of(place)
    assert page.xpath("//textarea[@name='prompt']")[0].text_content().split() == long.split()


def test_a_base_image_is_removed_without_javascript(site):
    reference = site.studio.files.upload(_stored(site))
    page = tree(
        site.client.post("/create/marketing", data=MUG | {"base_image_url": reference, "remove": "base_image_url"})
    )
    assert page.xpath("//input[@name='base_image_url']/@value") == [""] and not site.studio.runs.list()
    assert page.xpath("//textarea[@name='prompt']")[0].text_content().strip() == MUG["prompt"]


def _stored(site):
    place = site.studio.home / "mug.png"
    place.write_bytes(png())
    return place


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/create/pets", "/create/marketing"])
def test_results_can_be_varied_where_they_are(site, starter, path):
    site.client.post(path, data=FORMS[path] | {"count": "1"})
    execute_queue(site.studio)
    wanted = newest(site).tags
    (image,) = site.studio.images.list(VIEW, ImageQuery())
    (result,) = site.page(path).xpath("//li[@class='result']")
    assert result.xpath(".//form[contains(@action, '/create/variations/')]")
    site.client.post("/create", data={"prompt": "a mug"})
    here = PART | {"HX-Current-URL": f"http://127.0.0.1{path}?a=b"}
    page = tree(site.client.post(f"/create/variations/{image.id}", headers=here))
    assert len(page.xpath("//article")) == 2, "only jobs of this form"
    assert newest(site).tags == wanted and newest(site).execution.preview_every
    referred = {"Referer": f"http://127.0.0.1{path}"}
    assert site.client.post(f"/create/variations/{image.id}", headers=referred).headers["location"] == path


@pytest.mark.parametrize("path", FORMS)
def test_two_accounts_never_see_each_other(guarded, path):
    keys = [guarded.studio.accounts.add_key(name)[1] for name in ("ann", "bob")]
    guarded.client.post("/sign-in", data={"key": keys[0]})
    guarded.client.post(path, data=FORMS[path])
    (run,) = guarded.studio.runs.list()
    assert guarded.page(path).xpath(f"//article[@id='run-{run.id}']")
    guarded.client.cookies.clear()
    guarded.client.post("/sign-in", data={"key": keys[1]})
    assert not guarded.page(path).xpath("//article") and run.id not in guarded.client.get(path).text


def test_previews_are_made_for_every_form(site):
    for path, form in FORMS.items():
        site.client.post(path, data=form)
        assert newest(site).execution.preview_every == 2, path
        live = site.page(path).xpath("//*[@id='live']/@*[name()='hx-sse:connect']")
        assert newest(site).id in live[0], path


def test_a_subject_has_the_name_that_its_owner_gave_it(site):
    teach(site)
    (run,) = site.studio.runs.list()
    site.studio.library.rename(run, "Rex")
    (chip,) = site.page("/create").xpath("//li[contains(@class, 'chip')]")
    assert "Rex" in text_of(chip) and "taught just now" in text_of(chip) and chip.get("data-words") == '["sks cat"]'
    assert site.page("/create/pets").xpath("//select[@name='adapter']/option")[1].text == "Rex"
