"""The steps Subject, Recipe and Train of the page Teach, and its list."""

from __future__ import annotations

import io
import json

import pytest
from PIL import Image
from test_sign_in import sign_in
from test_teach_images import begin, draft_of, packed, photo, send

from limner.core.runs import Status
from limner.store.queue import Queue
from limner.web.loss_chart import loss_chart
from limner.web.recipes import duration
from pages import PART, Site, site_of, text_of, tree
from working import execute_queue


def alerts(page, name: str) -> str:
    return " ".join(text_of(each) for each in page.xpath(f"//*[@data-field='{name}']//*[@role='alert']"))


def base(page) -> str:
    return page.xpath("//input[@name='base']/@value")[0]


def example(site: Site) -> str:
    return site.client.post("/teach", data={"example": "true"}).headers["location"].removesuffix("/images")


def filled(page, step: str) -> dict:
    """What a browser sends for a form as it is shown."""
    found: dict = {}
    for each in page.xpath(f"//form[@id='{step}']//*[@name]"):
        kind = each.get("type")
        if each.tag == "button" or (kind in ("checkbox", "radio") and each.get("checked") is None):
            continue
        if each.tag == "select":
            found[each.get("name")] = (each.xpath("./option[@selected]/@value") or [""])[0]
        else:
            found[each.get("name")] = (
                each.text_content().lstrip("\n") if each.tag == "textarea" else each.get("value", "")
            )
    return found


def save(site: Site, at: str, step: str, headers=None, **form):
    """What a browser sends for a step when somebody changed these fields."""
    shown = filled(site.page(f"{at}/{step}"), step)
    return site.client.post(f"{at}/{step}", data={**shown, **form}, headers=headers or {})


def test_the_example_fills_in_everything(site):
    at = example(site)
    draft = draft_of(site, at)
    assert len(draft.shown) == 8 and all("sks cat" in image.caption for image in draft.shown)
    page = site.page(f"{at}/train")
    assert "sks cat" in text_of(page) and page.xpath("//button[text()='Start training'][not(@disabled)]")


def test_a_draft_opens_at_the_step_where_somebody_stopped(site):
    at = begin(site)
    assert site.client.get(at).headers["location"] == f"{at}/images"
    send(site, at, photo(1))
    assert site.client.get(at).headers["location"] == f"{at}/subject"
    save(site, at, "subject", class_word="dog")
    assert site.client.get(at).headers["location"] == f"{at}/subject", "it was left there"
    for step in ("recipe", "train", "images"):
        site.page(f"{at}/{step}")
        assert site.client.get(at).headers["location"] == f"{at}/{step}"
        assert site.page("/teach").xpath(f"//li[@class='draft']/a[@href='{at}/{step}']")
    at = begin(site)
    assert site.client.get("/teach/aaaaaaaaaaaa/images").status_code == 404


def test_a_draft_is_deleted_and_restored(site):
    at = begin(site)
    send(site, at, photo(1))
    place = site.client.post(f"{at}/delete").headers["location"]
    page = site.page(place)
    assert not page.xpath("//li[@class='draft']")
    site.client.post(page.xpath("//form[contains(@action, '/restore')]/@action")[0])
    assert site.page("/teach").xpath("//li[@class='draft']")


def test_what_is_typed_outlives_the_server(home):
    site = site_of(home)
    at = begin(site)
    send(site, at, photo(1))
    save(site, at, "subject", PART, class_word="dog", identifier="zorvik", model="starter")
    save(site, at, "recipe", PART, steps="77", recipe="product")
    site.studio.close()
    again = site_of(home)
    page = again.page(f"{at}/subject")
    assert page.xpath("//input[@name='class_word']/@value | //input[@name='identifier']/@value") == ["dog", "zorvik"]
    page = again.page(f"{at}/recipe")
    assert page.xpath("//input[@name='steps']/@value") == ["77"]
    assert page.xpath("//input[@name='recipe'][@checked]/@value") == ["product"]
    assert len(again.page(f"{at}/images").xpath("//div[@id='photos']/article")) == 1
    again.studio.close()


def test_models_have_licence_and_memory(site):
    at = begin(site)
    cards = {
        each.xpath(".//input/@value")[0]: text_of(each)
        for each in site.page(f"{at}/subject").xpath("//label[@class='card']")
    }
    assert "apache-2.0" in cards["starter"] and "knows drawings only" in cards["starter"]
    assert "needs 7 GB of GPU memory" in cards["sd15"] and "a download of 2.1 GB" in cards["sd15"]
    assert "may not be used commercially" in cards["flux-dev"]


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ({"identifier": "cat", "class_word": "dog"}, "the model knows 'cat' already"),
        ({"identifier": "with", "class_word": "dog"}, "is an ordinary word"),
        ({"identifier": "zorvik", "class_word": "zebra"}, "'starter' does not know 'zebra'"),
        ({"identifier": "zorvik", "class_word": "kitten"}, "nearest: 'cat'"),
        ({"identifier": "dog", "class_word": "dog"}, "the identifier is the class word"),
    ],
)
def test_words_that_do_not_suit_are_named(site, form, text):
    at = begin(site)
    page = tree(save(site, at, "subject", PART, model="starter", **form))
    assert text in text_of(page)
    assert text not in text_of(tree(save(site, at, "subject", PART, class_word="dog", identifier="zorvik")))


def test_an_identifier_is_suggested_and_used(site):
    at = begin(site)
    page = site.page(f"{at}/subject")
    (suggested,) = page.xpath("//input[@name='identifier']/@value")
    assert suggested and suggested != site.page(f"{begin(site)}/subject").xpath("//input[@name='identifier']/@value")[0]
    send(site, at, photo(1))
    save(site, at, "subject", class_word="dog", identifier=suggested, model="starter")
    site.client.post(f"{at}/train")
    assert draft_of(site, at).choices.body["identifier"] == suggested


def test_photographs_are_a_poor_match_for_a_model_of_drawings(site):
    at = begin(site)
    for number in range(3):
        send(site, at, photo(number))
    text = text_of(tree(site.client.get(f"{at}/subject/images", params={"model": "starter"}, headers=PART)))
    assert "3 of 3 images do not look like the drawings" in text
    assert "cannot be trained here: this machine has no GPU" in text
    assert "limner train" not in text
    assert site.client.get(f"{at}/subject/images", params={"model": "sd15"}, headers=PART).text.strip() == ""
    drawn = example(site)
    assert site.client.get(f"{drawn}/subject/images", params={"model": "starter"}, headers=PART).text.strip() == ""


@pytest.mark.parametrize("headers", [{}, PART])
def test_two_tabs_do_not_overwrite_each_other(site, headers):
    at = begin(site)
    old = base(site.page(f"{at}/subject"))
    word = site.page(f"{at}/subject").xpath("//input[@name='identifier']/@value")[0]
    form = {"identifier": word, "model": "starter", "base": old}
    site.client.post(f"{at}/subject", data={**form, "class_word": "dog"})
    response = site.client.post(f"{at}/subject", data={**form, "class_word": "cat", "model": "sd15"}, headers=headers)
    page = tree(response)
    assert response.status_code == (200 if headers else 409)
    assert "changed to “dog” in another tab" in alerts(page, "class_word")
    assert page.xpath("//input[@name='class_word']/@value") == ["cat"], "what was typed stays"
    draft = draft_of(site, at)
    assert (draft.text("class_word"), draft.text("model")) == ("dog", "sd15"), "the other fields are saved"
    later = {**form, "class_word": "cat", "model": "sd15", "base": base(page)}
    assert "in another tab" in alerts(tree(site.client.post(f"{at}/subject", data=later, headers=PART)), "class_word")
    site.client.post(f"{at}/subject", data={**later, "mine": "class_word"})
    assert draft_of(site, at).text("class_word") == "cat"
    site.client.post(f"{at}/subject", data={**form, "class_word": "fox", "theirs": "class_word"})
    assert draft_of(site, at).text("class_word") == "cat"
    site.client.post(f"{at}/subject", data={**form, "class_word": ""})
    assert draft_of(site, at).text("class_word") == "cat", "a field that was not touched changes nothing"


def test_a_recipe_suits_the_model(site):
    at = begin(site)
    save(site, at, "subject", class_word="dog", model="sd15")
    save(site, at, "recipe", recipe="portrait")
    page = site.page(f"{at}/recipe")
    assert page.xpath("//input[@name='steps']/@value") == ["800"]
    assert page.xpath("//input[@name='text_learning_rate']/@value") == ["5e-06"]
    save(site, at, "subject", class_word="dog", model="starter")
    page = site.page(f"{at}/recipe")
    assert page.xpath("//input[@name='steps']/@value") == ["600"], "those of the starter"
    assert page.xpath("//input[@name='text_learning_rate']/@value") == [""]


def test_changes_lie_over_the_recipe_and_can_be_taken_back(site):
    at = begin(site)
    save(site, at, "subject", class_word="mug", model="sd15")
    shown = site.page(f"{at}/recipe")
    assert not shown.xpath("//input[@name='flip'][@checked]")
    site.client.post(f"{at}/recipe", data=filled(shown, "recipe") | {"recipe": "style", "steps": "55"})
    page = site.page(f"{at}/recipe")
    assert page.xpath("//input[@name='steps']/@value") == ["55"] and page.xpath("//input[@name='flip'][@checked]")
    assert set(draft_of(site, at).choices.fields) - {"class_word", "identifier", "model"} == {"recipe", "steps"}
    site.client.post(f"{at}/recipe", data={"reset": "true"})
    assert site.page(f"{at}/recipe").xpath("//input[@name='steps']/@value") == ["1500"]


def test_a_form_that_nobody_touches_changes_nothing(site):
    at = begin(site)
    save(site, at, "subject", class_word="mug", model="sd15")
    for card in ("portrait", "pet", "product", "style"):
        save(site, at, "recipe", recipe=card)
        before = draft_of(site, at).choices.fields
        site.client.post(f"{at}/recipe", data=filled(site.page(f"{at}/recipe"), "recipe"))
        assert draft_of(site, at).choices.fields == before, card


def test_a_wrong_setting_stands_at_its_field_and_stays(site):
    at = begin(site)
    response = save(site, at, "recipe", steps="many", recipe="pet")
    page = tree(response)
    assert response.status_code == 422 and "many" in alerts(page, "steps")
    assert site.page(f"{at}/recipe").xpath("//input[@name='steps']/@value") == ["many"]
    send(site, at, photo(1))
    save(site, at, "subject", class_word="dog")
    response = site.client.post(f"{at}/train")
    assert response.status_code == 422 and "many" in text_of(tree(response)) and not site.studio.runs.list()


def test_what_is_missing_is_named_before_the_start(site):
    at = begin(site)
    response = site.client.post(f"{at}/train")
    text = text_of(tree(response))
    assert response.status_code == 422 and "there are no images" in text and "the class word is missing" in text
    send(site, at, photo(1))
    assert site.page(f"{at}/train").xpath("//button[text()='Start training'][@disabled]")


def trained(site: Site, at: str, **settings) -> None:
    save(site, at, "recipe", **settings)
    assert site.client.post(f"{at}/train").status_code == 303
    execute_queue(site.studio)
    page = site.page(f"{at}/train")
    assert page.xpath("//section[@data-status='queued']"), "the training follows the preparation"
    execute_queue(site.studio)


@pytest.mark.slow
def test_a_training_from_images_to_a_result(site):
    at = begin(site)
    files = {f"{n}.{end}": data for n in range(4) for end, data in (("png", photo(n)), ("txt", b"a dog in a room"))}
    send(site, at, packed(files), "all.zip")
    save(site, at, "subject", class_word="dog", identifier="zorvik", model="starter")
    assert "on two idle cores" in text_of(site.page(f"{at}/recipe").xpath("//p[@id='estimate']")[0])
    form = {"steps": "4", "checkpoint_every": "2", "preview_every": "2", "class_pictures": "4", "batch": "2"}
    trained(site, at, recipe="pet", **form)
    prepare, train = (site.studio.runs.list(kind=kind)[0] for kind in ("prepare", "train"))
    assert train.parent == prepare.id and train.status is Status.DONE, train.error
    assert train.request.identifier == "zorvik" and train.execution.preview_every == 2
    page = site.page(f"{at}/train")
    previews = page.xpath("//li[starts-with(@id, 'step-')]/img/@src")
    assert len(previews) == 2 and site.client.get(previews[0]).status_code == 200
    assert page.xpath("//svg[@class='chart']//polyline") and "Loss" in text_of(page)
    (place,) = page.xpath("//a[text()='Try it']/@href")
    created = site.page(place)
    assert "zorvik dog" in created.xpath("//textarea[@name='prompt']")[0].text_content()
    assert created.xpath("//input[@name='subject'][@checked]/@value")[0].startswith("folder:")
    site.client.post(
        "/create",
        data={
            "prompt": "a photo of zorvik dog",
            "adapter": place.split("adapter=")[1].split("&")[0].replace("%3A", ":"),
            "steps": "2",
        },
    )
    execute_queue(site.studio)
    assert site.studio.runs.list(kind="generate")[0].status is Status.DONE
    text = text_of(site.page(f"{at}/recipe").xpath("//p[@id='estimate']")[0])
    assert "4 steps, about" in text and "measured in one training" in text
    longer = save(site, at, "recipe", PART, **form | {"steps": "4000"})
    assert "4,000 steps, about" in text_of(tree(longer).xpath("//p[@id='estimate']")[0])
    assert "trained" in text_of(site.page("/teach").xpath("//li[@class='draft']")[0])


def test_a_training_is_queued_once_and_without_a_page(site):
    at = begin(site)
    send(site, at, photo(1))
    save(site, at, "subject", class_word="dog", model="starter")
    site.client.post(f"{at}/train")
    assert site.client.post(f"{at}/train").status_code == 422, "one is under way"
    execute_queue(site.studio)
    (waiting,) = site.studio.drafts.waiting()
    site.studio.drafts.follow(waiting)
    site.studio.drafts.follow(waiting)
    forgotten = site.studio.drafts.change("", waiting.id, lambda draft: draft.with_choices(train=""))
    assert site.studio.drafts.follow(forgotten).choices.train, "the server ended before it recorded the run"
    assert len(site.studio.runs.list(kind="train")) == 1 and not site.studio.drafts.waiting()


def test_a_training_is_stopped_and_resumed(site):
    at = begin(site)
    send(site, at, photo(1))
    save(site, at, "subject", class_word="dog", model="starter")
    site.client.post(f"{at}/train")
    site.client.post(f"{at}/train/stop")
    assert "was stopped" in text_of(site.page(f"{at}/train")), "while images are prepared"
    site.client.post(f"{at}/train")
    execute_queue(site.studio)
    site.page(f"{at}/train")
    site.client.post(f"{at}/train/stop")
    page = site.page(f"{at}/train")
    assert page.xpath("//section[@data-status='cancelled']") and page.xpath("//button[text()='Resume']")
    site.client.post(f"{at}/train/resume")
    assert site.page(f"{at}/train").xpath("//section[@data-status='queued']")


def test_a_training_that_is_to_stop_says_so_at_once(site):
    at = begin(site)
    send(site, at, photo(1))
    save(site, at, "subject", class_word="dog", model="starter")
    site.client.post(f"{at}/train")
    waits = site.page(f"{at}/train")
    assert not waits.xpath("//progress") and "when the jobs before this one have ended" in text_of(waits)
    execute_queue(site.studio)
    waits = site.page(f"{at}/train")
    assert not waits.xpath("//progress") and "It starts when the jobs before it have ended" in text_of(waits)
    queue = Queue(site.studio.store)
    ((run, _),) = queue.claim("w")
    assert run.request.kind == "train" and site.page(f"{at}/train").xpath("//progress")
    (stop,) = site.page(f"{at}/train").xpath("//button[text()='Stop'][not(@disabled)]/@formaction")
    site.client.post(stop)
    part = tree(site.client.get(f"{at}/train/progress", headers=PART))
    assert part.xpath("//header/strong/text()") == ["stopping"]
    assert part.xpath("//button[@disabled][starts-with(text(), 'Stopping')]")
    assert "stops after its current step" in text_of(part)


def test_a_preparation_that_fails_says_why(site):
    at = begin(site)
    out = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(out, "PNG")
    send(site, at, out.getvalue())
    save(site, at, "subject", class_word="dog", model="starter")
    save(site, at, "recipe", encoder="x", keep="last")
    response = site.client.post(f"{at}/train")
    assert response.status_code == 422 and "no checkpoint is scored" in text_of(tree(response))


@pytest.mark.slow
def test_scores_of_checkpoints_show_the_trade_off(site):
    at = example(site)
    form = {"steps": "4", "checkpoint_every": "2", "class_pictures": "4", "keep": "best", "patience": "2"}
    trained(site, at, recipe="pet", trial_prompt=["a photo of {} on the beach", "a photo of {} in the snow"], **form)
    page = site.page(f"{at}/train")
    cards = page.xpath("//ol[@class='checkpoints']/li")
    assert len(cards) == 2 and sum("in use" in text_of(card) for card in cards) == 1
    assert len(page.xpath("//svg[contains(@class, 'scatter')]//circle[contains(@class, 'dot')]")) == 2


def test_accounts_see_their_own_drafts_only(guarded):
    sign_in(guarded)
    at = begin(guarded)
    send(guarded, at, photo(1), "of-ann.png")
    save(guarded, at, "subject", class_word="annsdog")
    (image,) = guarded.studio.drafts.list("ann")[0].images
    guarded.client.cookies.clear()
    sign_in(guarded, "bob")
    assert "annsdog" not in guarded.client.get("/teach").text
    for path in (
        "",
        "/images",
        "/subject",
        "/recipe",
        "/train",
        "/check",
        f"/images/{image.sha256}.jpg",
        "/train/progress",
    ):
        assert guarded.client.get(f"{at}{path}").status_code == 404, path
    for path in (
        "/images",
        "/subject",
        "/recipe",
        "/train",
        "/check",
        "/captions",
        "/delete",
        f"/images/{image.sha256}/remove",
    ):
        assert guarded.client.post(f"{at}{path}", data={"a": "b"}).status_code == 404, path
    own = begin(guarded)
    known = {"sha256": image.sha256, "name": "of-ann.png"}
    assert guarded.client.post(f"{own}/images/known", data=known).status_code == 204, "a hash is no key to the file"
    guarded.client.cookies.clear()
    sign_in(guarded, "ann")
    assert guarded.client.get(f"{at}/images").status_code == 200
    site_run = guarded.client.post(f"{at}/train")
    assert site_run.status_code == 303, text_of(tree(site_run))
    execute_queue(guarded.studio)
    guarded.client.get(f"{at}/train")
    (run,) = guarded.studio.runs.list(kind="train")
    assert run.owner == "ann"


def test_a_viewer_may_not_begin_a_draft(guarded):
    from limner.core.accounts import Role

    sign_in(guarded, "vic", Role.VIEWER)
    assert guarded.client.get("/teach").status_code == 200 and guarded.client.post("/teach").status_code == 403


def test_the_chart_smooths_and_finds_the_lowest_held_out_loss():
    lines = [{"step": n, "loss": 0.5 + 0.1 * (-1) ** n} for n in range(1, 40)]
    lines += [{"step": n, "held_out_loss": value} for n, value in ((10, 0.5), (20, 0.3), (30, 0.4))]
    chart = loss_chart(lines, 100)
    assert chart and len(chart.held_out) == 3 and chart.last == 100
    assert "lowest 0.3000 at step 20" in chart.summary
    raw, smooth = ([float(pair.split(",")[1]) for pair in points.split()] for points in (chart.raw, chart.smooth))
    assert max(smooth[9:]) - min(smooth[9:]) < (max(raw) - min(raw)) / 2
    plain = loss_chart(lines, 100, "none")
    assert plain and plain.smooth == chart.raw and not plain.raw
    assert loss_chart(lines[:1], 100) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1 second"),
        (59, "60 seconds"),
        (93, "95 seconds"),
        (150, "2 minutes"),
        (7200, "2 hours"),
        (300000, "3 days"),
    ],
)
def test_lengths_of_time_in_words(seconds, text):
    assert duration(seconds) == text


def test_a_hostile_base_is_ignored(site):
    at = begin(site)
    for text in ("", "[", "[]", "{}", '{"class_word": 5}', json.dumps({"class_word": ["x", "y"]}), "9" * 1000):
        response = site.client.post(f"{at}/subject", data={"class_word": "dog", "base": text})
        assert response.status_code in (303, 409, 422), text
