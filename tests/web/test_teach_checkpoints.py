"""After a training on the page Teach: another checkpoint, and going on with more images; options of the method."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from test_sign_in import sign_in
from test_teach_images import begin, draft_of, photo, send
from test_teach_steps import alerts, filled, save, trained

from limner.core.checkpoint_scores import CheckpointScores, StepScores
from limner.core.requests import TrainRequest
from limner.core.runs import Status
from limner.studio.model_facts import TrainingModel
from limner.studio.training import Speed, _step_seconds
from limner.web.checkpoints import hardly_learned, plot_axes
from limner.web.recipes import estimate
from pages import PART, teach, text_of, tree
from working import execute_queue

SHORT = {"steps": "4", "checkpoint_every": "2", "class_pictures": "4", "batch": "2", "keep": "last"}


def ready(site) -> str:
    at = begin(site)
    for number in range(4):
        send(site, at, photo(number))
    save(site, at, "subject", class_word="dog", identifier="zorvik", model="starter")
    return at


def rows(page) -> dict[str, str]:
    return {each.get("id"): text_of(each) for each in page.xpath("//ol[@class='checkpoints']/li")}


def used(place: str) -> str:
    return parse_qs(urlsplit(place).query)["adapter"][0]


@pytest.mark.slow
def test_another_checkpoint_is_chosen_and_tried_and_then_taught_more(site):
    at = ready(site)
    assert site.page(f"{at}/recipe").xpath("//input[@name='keep_checkpoints'][@checked]"), "without asking"
    trained(site, at, recipe="pet", **SHORT)
    page = site.page(f"{at}/train")
    assert list(rows(page)) == ["step-2", "step-4"] and "in use" in rows(page)["step-4"]
    (before,) = page.xpath("//a[text()='Try it']/@href")
    assert used(before).startswith("folder:")

    assert site.client.post(f"{at}/train/checkpoint", data={"step": "2"}).status_code == 303
    page = site.page(f"{at}/train")
    assert "in use" in rows(page)["step-2"] and "in use" not in rows(page)["step-4"]
    (place,) = page.xpath("//a[text()='Try it']/@href")
    tried = site.client.post(f"{at}/train/checkpoint", data={"step": "2", "go": "create"}).headers["location"]
    assert tried == place and used(place) != used(before)
    created = site.page(place)
    (chip,) = created.xpath("//label[.//input[@name='subject'][@checked]]")
    assert "zorvik" in text_of(chip), "the chip says what it is"
    site.client.post("/create", data={"prompt": "a zorvik dog", "adapter": used(place), "steps": "2"})
    execute_queue(site.studio)
    assert site.studio.runs.list(kind="generate")[0].status is Status.DONE

    form = filled(site.page(f"{at}/recipe"), "recipe")
    again = site.client.post(f"{at}/recipe", data={**form, "steps": "6", "go": "train"}).headers["location"]
    assert site.page(again).xpath("//button[text()='Start training']"), "the next training, not the last result alone"
    assert site.client.post(f"{at}/train/more").headers["location"] == f"{at}/images#step"
    send(site, at, photo(9))
    assert site.page(f"{at}/subject").xpath("//input[@name='adapter'][@checked]/@value") == [used(place)]
    assert not site.page(f"{at}/recipe").xpath("//*[@name='options.rank' or @name='method']"), "they stay"
    page = site.page(f"{at}/train?again=true")
    assert page.xpath("//dt[text()='Goes on from']/following-sibling::dd[1]/text()") == ["“zorvik dog”, step 2"]
    names = site.page(f"{at}/subject").xpath("//fieldset[@data-field='adapter']//strong/text()")
    assert sorted(names) == ["Begin anew", "Go on from “zorvik dog”, step 2"]
    for step in ("images", "recipe"):
        (notice,) = site.page(f"{at}/{step}").xpath("//p[@id='goes-on']")
        assert "goes on from “zorvik dog”, step 2" in text_of(notice)
    page = tree(save(site, at, "recipe", PART, steps="60"))
    assert "after 62, with the 2 learned before, it may not" in text_of(page)
    trained(site, at, **SHORT)
    run = site.studio.runs.list(kind="train")[0]
    assert run.status is Status.DONE and run.request.adapter == used(place), run.error
    assert "in use" in rows(site.page(f"{at}/train"))["step-4"], "the choice belonged to the other training"


@pytest.mark.parametrize("step", ["3", "x", "", "99999999999"])
def test_a_checkpoint_that_was_not_kept_is_refused(site, step):
    at = ready(site)
    teach(site)
    run = site.studio.runs.list(kind="train")[0]
    site.studio.drafts.change("", at.rpartition("/")[2], lambda draft: draft.with_choices(train=run.id))
    response = site.client.post(f"{at}/train/checkpoint", data={"step": step})
    assert response.status_code == 422 and "step" in text_of(tree(response))


def test_there_is_nothing_to_go_on_from_before_a_training(site):
    at = ready(site)
    assert site.client.post(f"{at}/train/more").status_code == 409


def test_an_adapter_that_was_not_made_by_a_training_cannot_be_taught_more(site):
    reference = teach(site)
    at = ready(site)
    page = site.page(f"{at}/subject")
    assert page.xpath("//input[@name='adapter']/@value") == ["", reference]
    page = tree(save(site, at, "subject", PART, adapter=reference))
    assert "does not state how it was trained" in alerts(page, "adapter")
    response = site.client.post(f"{at}/train")
    assert response.status_code == 422 and "does not state how it was trained" in text_of(tree(response))


def test_nobody_goes_on_from_the_adapter_of_another(guarded):
    sign_in(guarded)
    at = begin(guarded)
    for adapter in (f"folder:{'1' * 64}", "/etc/passwd", "x"):
        response = save(guarded, at, "subject", adapter=adapter)
        assert response.status_code == 422 and "is no adapter of yours" in response.text


def test_options_of_the_method_are_part_of_the_form(site):
    at = ready(site)
    page = site.page(f"{at}/recipe")
    assert page.xpath("//input[@name='options.rank'][@type='number'][@max='1024']")
    assert page.xpath("//*[@data-field='options.targets']//p[@class='help'][contains(., 'preset')]")
    save(site, at, "recipe", **{"options.rank": "2", "options.rslora": "true", "options.targets": "attention"})
    page = site.page(f"{at}/recipe")
    assert page.xpath("//input[@name='options.rank']/@value") == ["2"]
    assert page.xpath("//input[@name='options.rslora'][@checked]")
    site.client.post(f"{at}/train")
    options = draft_of(site, at).choices.body["options"]
    assert options == {"rank": 2, "rslora": True, "targets": "attention"}
    form = filled(site.page(f"{at}/recipe"), "recipe")
    del form["options.rslora"]
    site.client.post(f"{at}/recipe", data=form)
    assert not site.page(f"{at}/recipe").xpath("//input[@name='options.rslora'][@checked]"), "a box is unticked"
    site.client.post(f"{at}/recipe", data={"reset": "true"})
    assert site.page(f"{at}/recipe").xpath("//input[@name='options.rank']/@value") == [""]


def test_a_wrong_option_stands_at_its_field_and_another_method_has_others(site):
    at = ready(site)
    page = tree(save(site, at, "recipe", PART, **{"options.rank": "9999"}))
    assert "9999" in alerts(page, "options.rank") and page.xpath("//input[@name='options.rank']/@value") == ["9999"]
    response = site.client.post(f"{at}/train")
    assert response.status_code == 422 and "9999" in text_of(tree(response))
    page = tree(save(site, at, "recipe", PART, method="textual_inversion"))
    assert page.xpath("//input[@name='options.vectors']") and not page.xpath("//input[@name='options.rank']")


MODEL = TrainingModel("starter", "apache-2.0", 0, 0, True, "", "drawings", 100, 600, 4, 1e-3)
SPEED = Speed(seconds=25.0, checkpoint={"last": 500.0, "best": 1000.0}, before=7.0, class_images=40.0, runs=2)


@pytest.mark.parametrize(
    ("settings", "new_class", "seconds"),
    [
        ({"steps": "100", "checkpoint_every": "50", "keep": "last"}, False, 7 + 100 + 2 * 5),
        ({"steps": "100", "checkpoint_every": "50", "keep": "best"}, False, 7 + 100 + 2 * 10),
        ({"steps": "110", "checkpoint_every": "50"}, True, 7 + 40 + 110 + 3 * 5),
        ({"steps": "100", "checkpoint_every": "50", "prior": "false"}, True, 7 + 100 + 2 * 5),
        ({"steps": "100", "checkpoint_every": "50", "batch": "8"}, False, 7 + 200 + 2 * 5),
        ({"steps": "100", "checkpoint_every": "50", "resolution": "200"}, False, 7 + 400 + 2 * 20),
    ],
)
def test_the_estimate_counts_steps_checkpoints_and_class_images(settings, new_class, seconds):
    found = estimate(settings, MODEL, SPEED, 8, new_class=new_class)
    assert found.seconds == pytest.approx(seconds)


def test_the_speed_of_steps_is_that_between_checkpoints(site):
    request = TrainRequest(data=f"folder:{'0' * 64}", class_word="dog", checkpoint_every=20, batch=2)
    at = {10: 10.0, 20: 20.0, 30: 80.0, 40: 90.0, 50: 150.0}  # scores take 50 seconds after steps 20 and 40
    metrics = [{"step": step, "loss": 0.1, "images_per_second": 4 * step / time} for step, time in at.items()]
    assert _step_seconds(metrics, request, 4, 0) == pytest.approx(1.0)
    assert _step_seconds(metrics[:1], request, 4, 0) is None


def test_captions_without_the_identifier_are_counted_before_the_start(site):
    at = ready(site)
    (first, *_) = draft_of(site, at).images
    site.client.post(f"{at}/images/{first.sha256}", data={"caption": "rex dog on a sofa", "was": "", "since": "99"})
    page = site.page(f"{at}/train")
    assert "1 of 1 captions does not contain “zorvik”" in text_of(page)
    (link,) = page.xpath("//p[@class='warning']/a")
    assert site.page(f"{at}/subject").xpath("//p[@class='warning']/a/@href") == [link.get("href")]
    assert text_of(link) == "Replace “rex” by “zorvik”"
    page = site.page(link.get("href"))
    assert page.xpath("//details[@id='captions'][@open]")
    assert page.xpath("//input[@name='find']/@value | //input[@name='replace']/@value") == ["rex", "zorvik"]
    site.client.post(f"{at}/captions", data={"find": "rex", "replace": "zorvik"})
    assert "does not contain" not in text_of(site.page(f"{at}/train"))


def test_a_bulk_change_says_how_many_captions_it_changed(site):
    at = ready(site)
    place = site.client.post(f"{at}/captions", data={"before": "a photo of a dog"}).headers["location"]
    page = site.page(place.partition("#")[0])
    assert "4 captions changed." in text_of(page)
    (undo,) = page.xpath("//form[@role='status']/@action")
    site.client.post(undo)
    assert not any(image.caption for image in draft_of(site, at).shown)


def test_next_with_an_empty_class_word_says_so_at_once(site):
    at = begin(site)
    response = save(site, at, "subject", go="recipe")
    assert response.status_code == 422 and "is empty" in alerts(tree(response), "class_word")


def test_models_that_this_machine_cannot_train_are_folded(site, monkeypatch):
    models = [MODEL, replace(MODEL, name="sdxl", lacks="this machine has no GPU")]
    monkeypatch.setattr("limner.web.pages.teach.training_models", lambda: models)
    page = site.page(f"{begin(site)}/subject")
    (folded,) = page.xpath("//fieldset[@data-field='model']//details")
    assert folded.xpath(".//input/@value") == ["sdxl"] and "1 more model: this machine has no GPU" in text_of(folded)


def test_what_makes_a_training_fail_or_too_short_is_said_before_it(site, monkeypatch):
    lacking = [replace(MODEL, lacks="this machine has no GPU")]
    at = ready(site)
    assert "needs about 600 steps" in text_of(tree(save(site, at, "recipe", PART, steps="160")))
    assert "needs about" not in text_of(tree(save(site, at, "recipe", PART, steps="400")))
    monkeypatch.setattr("limner.web.pages.teach_training.training_models", lambda: lacking)
    assert "this machine has no GPU, so the training would fail" in text_of(site.page(f"{at}/train"))


def test_help_on_the_page_has_no_flags(site):
    text = text_of(site.page(f"{begin(site)}/recipe"))
    assert " --" not in text and "flags" not in text


def test_a_subject_that_was_hardly_learned_is_reported():
    base = StepScores(step=0, subject=(0.5,), prompt=(0.5,))
    scores = CheckpointScores(
        prompts=("x",), encoder="starter", weight=0.5, training_similarity=1.0, unrelated_similarity=0.1, base=base
    )
    weak = scores.plus(StepScores(step=10, subject=(0.51,), prompt=(0.5,)))
    good = scores.plus(StepScores(step=10, subject=(0.9,), prompt=(0.5,)))
    assert "hardly learned" in hardly_learned(weak)
    assert hardly_learned(good) == hardly_learned(scores) == hardly_learned(None) == ""
    across, up = plot_axes(weak)
    assert all(0 <= axis.part(value) <= 1 for axis, value in ((across, 1.0), (up, 0.02)))
