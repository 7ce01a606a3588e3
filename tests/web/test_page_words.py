"""Names instead of hashes, images instead of steps, and no bar of work that has not begun."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from PIL import Image

from gallery import add_image
from limner.core.accounts import Caller, Role
from limner.core.events import Notice, Progress, Stage
from limner.core.requests import (
    CompareRequest,
    EvaluateRequest,
    GenerateRequest,
    InfluenceRequest,
    SweepRequest,
)
from limner.core.runs import Status
from limner.provenance.labels import Label, write_png
from limner.store.queue import Queue
from limner.studio.images import Viewer
from limner.web.influential import LARGEST
from limner.web.subjects import submit_influence
from limner.web.titles import LONGEST_PROMPT
from limner.web.views import image_in_work, last_stage
from limner.web.wording import on_page, signer_text
from pages import PART, picture_folder, teach, text_of, tree

UNKNOWN = "the prompt has words that 'starter' does not know, unless {} learned them: 'ball'"


def labelled_image(site, reference: str) -> int:
    """An image whose label names an adapter as a worker does: by the folder of its stored copy."""
    sha256 = reference.partition(":")[2]
    request = GenerateRequest(prompt="a cat", adapter=[reference])
    mark = {"name": f"{sha256}.folder", "path": reference, "sha256": sha256, "weight": 0.8}
    model = {"reference": "starter", "sha256": None, "licence": "mit"}
    label = Label(request=request, index=0, seed=1, version="1", model=model, adapters=(mark,))
    place = site.studio.home / "labelled.png"
    write_png(Image.new("RGB", (64, 64), "red"), place, label, home=site.studio.home)
    stored = site.studio.files.save(place)
    image = site.studio.images.get(Viewer(stored=True), add_image(site.studio, adapter=({"path": reference},)))
    details = {"reference": stored, "seed": 2, "width": 64, "height": 64}
    made = site.studio.store.add_artifact(image.run, "picture", place, stored.partition(":")[2], details)
    return made.id


def rename(site, name: str) -> None:
    site.studio.library.rename(site.studio.runs.list(1, "train")[0], name)


def test_a_label_names_its_subject_as_the_library_does(site):
    reference = teach(site)
    rename(site, "Flora")
    image = labelled_image(site, reference)
    for place, title in ((f"/gallery/{image}", "Subject"), (f"/create/images/{image}/about", "subject")):
        found = site.page(place).xpath(f"//dt[text()='{title}'][following-sibling::dd[1][contains(., 'weight')]]")
        assert [text_of(each.getnext()) for each in found] == ["Flora, weight 0.8"], place


def test_a_label_of_an_unknown_subject_shows_the_beginning_of_its_hash(site):
    image = labelled_image(site, f"folder:{'ab' * 32}")
    assert "abababab…, weight 0.8" in text_of(site.page(f"/gallery/{image}").xpath("//main")[0])


@pytest.mark.parametrize("form", ["{}", "{}.folder", "folder:{}", "{}.safetensors"])
@pytest.mark.parametrize("place", ["/create", "/runs/"])
def test_a_stored_notice_names_the_subject(site, place, form):
    reference = teach(site)
    request = GenerateRequest(prompt="a ball", adapter=[reference])
    site.studio.enqueue(request, caller=Caller(role=Role.ADMIN), granted=[reference])
    queue = Queue(site.studio.store)
    ((run, lease),) = queue.claim("w")
    text = UNKNOWN.format(form.format(reference.partition(":")[2]))
    site.studio.store.add_event(run.id, Notice(text=text, level="warning"), lease)
    queue.finish(lease, Status.FAILED, text)
    rename(site, "Flora")
    shown = text_of(site.page(f"{place}{run.id}" if place == "/runs/" else place).xpath("//main")[0])
    assert shown.count("unless Flora learned them") >= 2, "as a notice and as an error"
    assert f"{reference[7:15]}….folder" not in shown and "unless your subject" not in shown


def test_a_notice_of_an_unknown_subject_does_without_a_name():
    assert "unless your subject learned them" in on_page(UNKNOWN.format("ab" * 32 + ".folder"))
    assert on_page(f"{'ab' * 32}.folder is missing") == "abababab… is missing"


def test_the_signer_of_a_verification_is_said_in_words(site):
    reference = teach(site)
    image = labelled_image(site, reference)
    for headers in ({}, PART):
        shown = text_of(tree(site.client.post(f"/gallery/verify/{image}", headers=headers)))
        assert "Signed by this installation of Limner" in " ".join(shown.replace("Signed by", "Signed by ").split())
    about = text_of(site.page(f"/create/images/{image}/about"))
    assert "this installation of Limner" in about and "Installation" not in about


def test_the_number_of_another_installation_is_shortened():
    other = f"Installation {'4' * 24}"
    assert signer_text("foreign", other) == signer_text("changed", other) == "Installation 44444444…"
    assert signer_text("ours", "Ann's Studio") == signer_text("trusted", "Ann's Studio") == "Ann's Studio"


@pytest.mark.parametrize(
    ("count", "batch", "done", "text"),
    [
        (12, 1, 0, "image 1 of 12"),
        (12, 1, 24, "image 3 of 12"),
        (12, 1, 120, "image 12 of 12"),
        (12, 8, 24, "images 1 to 8 of 12"),
        (12, 8, 80, "images 9 to 12 of 12"),
        (9, 8, 81, "image 9 of 9"),
        (4, 8, 12, "4 images at once"),
        (1, 8, 3, ""),
    ],
)
def test_progress_is_counted_in_images(site, count, batch, done, text):
    run = site.studio.enqueue(GenerateRequest(prompt="a cat", count=count, batch=batch))
    assert image_in_work(run, "generating", done, count * 10) == text
    assert image_in_work(run, "loading", 0, None) == image_in_work(run, "upscaling", 3, 10) == ""


@pytest.mark.parametrize("place", ["/", "/create", "/queue", "/runs/"])
def test_pages_count_images_and_the_bar_counts_steps(site, place):
    run = site.studio.enqueue(GenerateRequest(prompt="a cat", count=12, batch=1))
    queue = Queue(site.studio.store)
    ((_, lease),) = queue.claim("w")
    site.studio.store.add_event(run.id, Stage(name="generating", total=120, unit="steps"), lease)
    queue.renew([(lease, Progress(done=24))])
    page = site.page(f"/runs/{run.id}" if place == "/runs/" else place)
    (bar,) = page.xpath("//progress")
    assert "generating image 3 of 12" in text_of(page) and (bar.get("value"), bar.get("max")) == ("24", "120")


SEVERAL = {
    "sweep": SweepRequest(prompt=["a cat"], axis=["steps=5,10,50"], seeds=4),
    "compare": CompareRequest(contestants=["starter", "sd15"], prompt=["a cat", "a dog"], count=3),
    "evaluate": EvaluateRequest(target="starter", prompt=["a cat", "a dog"], count=6, metric=["prompt_fidelity"]),
}


@pytest.mark.parametrize("place", ["/", "/queue", "/runs/"])
@pytest.mark.parametrize("kind", SEVERAL)
def test_a_run_of_several_requests_counts_its_images(site, kind, place):
    run = site.studio.enqueue(SEVERAL[kind])
    queue = Queue(site.studio.store)
    ((_, lease),) = queue.claim("w")
    for name in ("sd15", "generating"):  # a comparison has a stage for each model
        site.studio.store.add_event(run.id, Stage(name=name, total=120, unit="steps"), lease)
    queue.renew([(lease, Progress(done=90, total=120))])
    place = f"/runs/{run.id}" if place == "/runs/" else place

    def shown():
        page = site.page(place)
        (bar,) = page.xpath("//div[@class='progress']/progress")
        return text_of(bar.getparent()), bar.get("value"), bar.get("max")

    assert shown() == ("generating image 1 of 12", "0", "12"), "whatever the number of steps"
    for number in range(2):
        site.studio.store.add_artifact(run.id, "picture", f"/{number}.png", f"{number:064}", {}, lease)
    text, *bar = shown()
    assert text.startswith("generating image 3 of 12") and bar == ["2", "12"]
    site.studio.store.add_event(run.id, Stage(name="scoring", total=3), lease)
    queue.renew([(lease, Progress(done=1))])
    assert shown() == ("scoring 1 of 3", "1", "3")


def test_the_time_left_of_several_models_begins_with_the_first():
    began = datetime(2026, 1, 1, tzinfo=UTC)
    names = (("loading", ""), ("a", "steps"), ("b", "steps"))
    events = [
        (number, began + timedelta(seconds=number), Stage(name=name, unit=unit))
        for number, (name, unit) in enumerate(names)
    ]
    assert last_stage(events) == (events[2][2], events[1][1])
    assert last_stage(events[:1]) == (events[0][2], began) and last_stage([]) is None


@pytest.mark.parametrize("place", ["/", "/create", "/queue", "/runs/"])
def test_what_waits_shows_no_bar(site, place):
    run = site.studio.enqueue(GenerateRequest(prompt="a cat"))
    page = site.page(f"/runs/{run.id}" if place == "/runs/" else place)
    assert "waiting" in text_of(page) and not page.xpath("//progress")
    Queue(site.studio.store).claim("w")
    if place in ("/", "/create"):
        assert site.page(place).xpath("//progress"), "it has begun"


def image_with_adapter(site, reference: str, prompt: str = "a photo of sks cat on the beach"):
    image = add_image(site.studio, prompt, adapter=({"path": reference},))
    return site.studio.images.get(Viewer(stored=True), image)


def test_the_page_of_an_image_finds_the_photos_that_influenced_it(site, starter):
    image = image_with_adapter(site, teach(site))
    place = f"/create/influence/{image.id}"
    page = site.page(f"/gallery/{image.id}")
    (form,) = page.xpath(f"//form[@action='{place}'][@method='post']")
    (target,) = page.xpath(f"//*[@id='{form.get('hx-target').removeprefix('#')}']")
    assert target.get("role") == "status" and form.get("hx-post") == place
    assert not site.page(f"/gallery/{add_image(site.studio)}").xpath("//form[contains(@action, 'influence')]")


def search(site, starter_reference: str, prompt: str = "a photo of sks cat on the beach"):
    image = image_with_adapter(site, starter_reference, prompt)
    return submit_influence(site.client.app.state.server, Caller(role=Role.ADMIN), image)


def test_an_answer_says_where_the_result_will_be(site, starter):
    image = image_with_adapter(site, teach(site))
    part = tree(site.client.post(f"/create/influence/{image.id}", headers=PART))
    run = site.studio.runs.list(1)[0]
    assert run.request.kind == "influence" and part.xpath("//a/@href") == [f"/runs/{run.id}"]
    assert "shows the photos when it has ended" in text_of(part) and "Queue" in text_of(part)


def test_a_search_is_called_by_the_prompt_of_its_image(site, starter):
    reference = teach(site)
    run = search(site, reference)
    title = "Photos that influenced “a photo of sks cat on the beach”"
    for place in ("/queue", f"/runs/{run.id}"):
        shown = text_of(site.page(place).xpath("//main")[0])
        assert title in shown and "Origins" not in shown and reference[7:19] not in shown.partition("For developers")[0]
    assert text_of(site.page(f"/runs/{run.id}").xpath("//h1")[0]) == title
    longer = search(site, reference, "a cat " * 60)
    shown = text_of(site.page(f"/runs/{longer.id}").xpath("//h1")[0])
    assert shown.endswith("…”") and len(shown) < LONGEST_PROMPT + 30


@pytest.mark.parametrize(
    ("pictures", "title"),
    [
        ((), "How useful the training photos are"),
        (("a",), "Photos that influenced an image"),
        (("a", "b"), "Photos that influenced 2 images"),
    ],
)
def test_a_search_without_a_known_prompt_has_a_name_too(site, pictures, title):
    hashes = tuple(f"sha256:{each * 64}" for each in pictures)
    request = InfluenceRequest(picture=hashes, adapter=f"sha256:{'c' * 64}", model="starter", data=f"folder:{'d' * 64}")
    granted = [*hashes, request.adapter, request.data]
    run = site.studio.enqueue(request, caller=Caller(role=Role.ADMIN), granted=granted)
    assert text_of(site.page(f"/runs/{run.id}").xpath("//h1")[0]) == title


def influence_result(photos: list[tuple[str, float]], **changed) -> str:
    training = [
        {"picture": f"{n}.png", "sha256": sha256, "caption": f"photo {n}"} for n, (sha256, _) in enumerate(photos)
    ]
    image = {"picture": "a.png", "sha256": "e" * 64, "prompt": "a cat", "scores": [score for _, score in photos]}
    facts = {"adapter": "a", "sha256": "f" * 64, "model": "starter", "data": "d", "output": "loss", "timesteps": 1}
    rest = {"ridge": 0.1, "seed": 1, "judged_on": 0, "training": training, "pictures": [image]}
    return json.dumps(facts | rest | changed)


def searched(site, reference: str, result: str):
    """A search that is done; returns its page."""
    run = search(site, reference)
    queue = Queue(site.studio.store, lease=timedelta(minutes=5))
    ((_, lease),) = queue.claim("w")
    for kind, name, text in (("influence", "influence.json", result), ("page", "influence.html", "<p>hello</p>")):
        place = site.studio.home / name
        place.write_text(text)
        stored = site.studio.files.save(place)
        site.studio.store.add_artifact(run.id, kind, place, stored.partition(":")[2], {"reference": stored}, lease)
    queue.finish(lease, Status.DONE)
    return site.page(f"/runs/{run.id}")


def test_the_page_of_a_search_shows_the_photos(site, starter, tmp_path):
    colours = ("red", "green", "blue")
    files = []
    for colour in colours:
        Image.new("RGB", (16, 16), colour).save(tmp_path / f"{colour}.png")
        files.append(site.studio.files.upload(tmp_path / f"{colour}.png").partition(":")[2])
    gone = "9" * 64
    page = searched(site, teach(site), influence_result([*zip(files, (0.2, 0.7, -0.1), strict=True), (gone, 0.9)]))
    (section,) = page.xpath("//section[starts-with(@aria-labelledby, 'influential')]")
    assert section.xpath(".//figure/a/@href") == [f"/v1/files/{files[1]}", f"/v1/files/{files[0]}"], "the most first"
    assert [text_of(each) for each in section.xpath(".//figcaption")] == ["0.70: photo 1", "0.20: photo 0"]
    assert all(site.client.get(source).status_code == 200 for source in section.xpath(".//img/@src"))
    assert page.xpath("//a[text()='Open the page with the photos']") and "1 more cannot be shown here" in text_of(
        section
    )


def test_photos_are_shown_to_the_account_that_taught_with_them(guarded, tmp_path):
    studio, home = guarded.studio, guarded.studio.home
    photos = tmp_path / "photos"
    photos.mkdir()
    for colour in ("blue", "green"):
        Image.new("RGB", (16, 16), colour).save(photos / f"{colour}.png")
    ann, result = Caller(account="ann", role=Role.MAKER), home / "influence.json"
    data = studio.files.upload(photos, ann)
    files = sorted(studio.files.folder(data.removeprefix("folder:")).values())
    other = studio.files.upload(picture_folder(guarded), Caller(account="bob", role=Role.MAKER))
    (strange,) = studio.files.folder(other.removeprefix("folder:")).values()
    result.write_text(influence_result([*zip(files, (0.2, 0.7), strict=True), (strange, 0.9)]))
    stored = studio.files.save(result)
    request = InfluenceRequest(
        picture=("sha256:" + "a" * 64,), adapter="sha256:" + "b" * 64, model="starter", data=data
    )
    run = studio.store.create(request, caller=ann)
    studio.store.update(run.id, status=Status.DONE, queue="default")
    studio.store.add_artifact(run.id, "influence", result, stored.partition(":")[2], {"reference": stored})
    (_, secret), (_, other_secret) = (studio.accounts.add_key(name) for name in ("ann", "bob"))
    guarded.client.post("/sign-in", data={"key": secret})
    page = guarded.page(f"/runs/{run.id}")
    shown = page.xpath("//section[starts-with(@aria-labelledby, 'influential')]//img/@src")
    assert shown == [f"/runs/{run.id}/photos/{each}" for each in files[::-1]]
    assert "1 more cannot be shown here" in text_of(page), "the photo of another account"
    assert all(guarded.client.get(each).headers["content-type"] == "image/webp" for each in shown)
    assert guarded.client.get(f"/runs/{run.id}/photos/{strange}").status_code == 404
    later = studio.store.create(request.changed(data=other), caller=ann)  # a folder that is not shared any more
    studio.store.update(later.id, status=Status.DONE, queue="default")
    assert guarded.client.get(f"/runs/{later.id}").status_code == 200
    assert guarded.client.get(f"/runs/{later.id}/photos/{strange}").status_code == 404
    assert guarded.client.get(f"/v1/files/{files[0]}").status_code == 404
    guarded.client.post("/sign-in", data={"key": other_secret})
    assert {guarded.client.get(each).status_code for each in shown} == {404}


@pytest.mark.parametrize(
    ("score", "text"), [(-0.1, "No training photo influenced it."), (0.5, "1 cannot be shown here; see “Open the page")]
)
def test_the_page_of_a_search_without_photos_says_why(site, starter, score, text):
    page = searched(site, teach(site), influence_result([("9" * 64, score)]))
    (section,) = page.xpath("//section[starts-with(@aria-labelledby, 'influential')]")
    assert text in text_of(section) and not section.xpath(".//figure")


@pytest.mark.parametrize("result", ["{}", "not JSON", " " * (LARGEST + 1)])
def test_a_search_whose_result_cannot_be_read_leads_to_its_page(site, starter, result):
    page = searched(site, teach(site), result)
    assert not page.xpath("//section[starts-with(@aria-labelledby, 'influential')]")
    (link,) = page.xpath("//a[text()='Open the page with the photos']/@href")
    assert site.client.get(link).text == "<p>hello</p>"
