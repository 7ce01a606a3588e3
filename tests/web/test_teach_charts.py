"""Charts of the page Teach: the loss, and the two scores of the checkpoints; and captions that use another name."""

from __future__ import annotations

import random

import pytest
from test_teach_checkpoints import MODEL, ready, rows
from test_teach_drafts import misnamed
from test_teach_steps import trained

from limner.core.checkpoint_scores import CheckpointScores, StepScores
from limner.studio.training import StudioTraining
from limner.web.caption_words import captions_without
from limner.web.checkpoints import checkpoint_rows, hardly_learned, percent, why_best
from limner.web.label_places import Box, label_box
from limner.web.loss_chart import BOTTOM, HEIGHT, LEFT, MOST, RIGHT, SMOOTHING, TOP, WIDTH, loss_chart
from limner.web.recipes import few_steps
from pages import text_of

SHORT = {
    "steps": "4",
    "checkpoint_every": "2",
    "class_pictures": "4",
    "batch": "2",
    "keep": "last",
    "preview_every": "2",
}


def scores_of(*after: tuple[float, float]) -> CheckpointScores:
    """Scores of checkpoints after steps 50, 100 and so on, whose scaled subject and prompt fidelity are given."""
    steps = tuple(
        StepScores(step=50 * number, subject=(0.5 + 0.4 * subject,) * 3, prompt=(0.1 + 0.4 * prompt,) * 3)
        for number, (subject, prompt) in enumerate(after, 1)
    )
    return CheckpointScores(
        prompts=("x", "y", "z"),
        encoder="starter",
        weight=0.5,
        training_similarity=0.9,
        unrelated_similarity=0.1,
        base=StepScores(step=0, subject=(0.5,), prompt=(0.5,)),
        after=steps,
    )


@pytest.mark.parametrize("smoothing", SMOOTHING)
@pytest.mark.parametrize("count", [2, 3, 50, MOST, MOST + 1, 5000])
def test_all_that_is_drawn_of_a_loss_lies_within_its_axes(smoothing, count):
    chance = random.Random(count)
    lines = [{"step": n, "loss": chance.lognormvariate(-2, 1)} for n in range(1, count + 1)]
    lines += [{"step": n, "held_out_loss": chance.random() * 3} for n in range(1, count + 1, max(1, count // 5))]
    chart = loss_chart(lines, count, smoothing)
    assert chart
    points = [tuple(map(float, pair.split(","))) for pair in f"{chart.raw} {chart.smooth}".split()]
    points += [(float(x), float(y)) for x, y, _ in chart.held_out]
    for x, y in points:
        assert LEFT <= x <= WIDTH - RIGHT and TOP <= y <= HEIGHT - BOTTOM
    assert len(chart.smooth.split()) <= MOST
    assert f"{chart.now:.4f} at step {count}" in chart.summary, "the newest loss is that of the heading"
    if smoothing == "none":
        assert chart.now == pytest.approx(lines[count - 1]["loss"]) and not chart.summary.startswith("Smoothed")


@pytest.mark.parametrize(
    ("value", "text"),
    [(-0.3, "-30%"), (-0.001, "0%"), (0, "0%"), (0.774, "77%"), (1.004, "100%"), (1.14, "114%"), (1.37, "137%")],
)
def test_scores_beyond_their_scale_are_shown_as_they_are(value, text):
    assert percent(value) == text


@pytest.mark.parametrize(
    ("after", "parts"),
    [
        (
            ((1.14, 0.77), (1.16, 0.7), (0.2, 0.1)),
            ("Step 50 has the best", "follows the prompt better than step 100", "(77% against 70%), but looks less"),
        ),
        (
            ((0.5, 0.99), (0.8, 0.95)),
            ("Step 100 has", "looks more like", "(80% against 50%), but follows", "less well"),
        ),
        (((0.9, 0.8), (0.5, 0.8)), ("Step 50 has", "than step 100, the next best (90% against 50%).")),
        (
            ((0.9, 0.8), (0.5, 0.7)),
            ("Step 50 has", "(90% against 50%), and follows the prompt better (80% against 70%)"),
        ),
        (((0.9, 0.2),), ("Step 50 is the only", "90% of the way", "but it follows the prompt only 20%")),
        (
            ((1.4, 0.99),),
            ("Step 50 is the only", "by image features, it is as close", "and it follows the prompt as well"),
        ),
        (((0.1, 1.1),), ("Step 50 is", "hardly look like your cat yet", "but it follows the prompt as")),
    ],
)
def test_one_sentence_says_what_distinguishes_the_best_from_the_next_best(after, parts):
    text = why_best(scores_of(*after), "cat")
    assert all(part in text for part in parts), text
    assert text.count(".") == 1 and text.endswith(".")


@pytest.mark.parametrize(
    ("subjects", "parts"),
    [
        (((0.9, 0.5, 0.7), (0.5, 0.9, 0.69)), ("step 50 and step 100", "equal within the noise of 3 prompts")),
        (((0.9,), (0.5,)), ("step 50 and step 100", "equal within the noise of 1 prompt ")),
        (((0.9, 0.8, 0.85), (0.8, 0.7, 0.76)), ("step 50 has the best balance",)),
    ],
)
def test_checkpoints_that_the_noise_of_the_prompts_cannot_separate_are_called_equal(subjects, parts):
    scores = scores_of((0.5, 0.5), (0.5, 0.5))
    steps = tuple(
        StepScores(step=50 * number, subject=subject, prompt=(0.5,) * len(subject))
        for number, subject in enumerate(subjects, 1)
    )
    scores = scores.model_copy(update={"after": steps, "prompts": scores.prompts[: len(subjects[0])]})
    text = why_best(scores, "cat").lower()
    assert all(part in text for part in parts), text


@pytest.mark.parametrize(
    "after",
    [
        ((0.3, 0.9), (1.1, 0.75), (1.11, 0.74), (1.12, 0.745)),
        ((1.0, 0.7),) * 5,
        tuple((0.5 + 0.001 * n, 0.6) for n in range(9)),
        ((0.1, 0.9), (0.11, 0.9), (0.9, 0.2), (0.9, 0.21)),
    ],
)
def test_labels_of_checkpoints_lie_neither_on_dots_nor_on_each_other(after):
    scores = scores_of(*after)
    rows_ = checkpoint_rows(scores, [], {}, (), None)
    boxes = [label_box(float(row.label_x), float(row.label_y), str(row.step)) for row in rows_]
    for number, box in enumerate(boxes):
        assert not any(box.meets(other) for other in boxes[:number])
        for row in rows_:
            x, y = float(row.x), float(row.y)
            assert not box.meets(Box(x - 7, y - 7, x + 7, y + 7)), (row, box)
        assert Box(40, 0, 340, 200).holds(box)
    assert rows_ == checkpoint_rows(scores, [], {}, (), None)


def test_a_later_checkpoint_is_advised_only_where_there_is_one():
    assert "later checkpoint" in hardly_learned(scores_of((0.1, 0.9), (0.05, 0.9)))
    for after in (((0.1, 0.9),), ((0.05, 0.8), (0.1, 0.9))):
        text = hardly_learned(scores_of(*after))
        assert "later checkpoint" not in text and "same word, or train longer" in text


def test_without_scores_there_is_no_reason():
    assert why_best(None, "cat") == why_best(scores_of(), "cat") == ""


def test_a_single_checkpoint_has_no_chart():
    (row,) = checkpoint_rows(scores_of((0.5, 0.5)), [], {}, (50,), 50)
    assert not row.x and not row.best and row.subject == row.prompt == "50%"
    both = checkpoint_rows(scores_of((0.5, 0.5), (0.9, 0.4)), [], {}, (50, 100), 50)
    assert [row.best for row in both] == [False, True] and all(row.x for row in both)


@pytest.mark.slow
def test_the_chart_has_a_legend_and_follows_what_is_in_use(site, monkeypatch):
    at = ready(site)
    trained(site, at, recipe="pet", **SHORT)
    scores = scores_of((0.5, 0.9), (0.9, 0.7))
    steps = tuple(each.model_copy(update={"step": 2 * number}) for number, each in enumerate(scores.after, 1))
    scored = scores.model_copy(update={"after": steps})
    monkeypatch.setattr(StudioTraining, "scores", lambda self, run: scored)

    def dots(page) -> list[tuple[str, str, str]]:
        found = page.xpath("//svg[contains(@class, 'scatter')]//circle")
        return [(each.get("class"), each.get("cx"), each.get("cy")) for each in found]

    page = site.page(f"{at}/train")
    assert misnamed(page) == [] and page.xpath("//button[text()='Use step 2']")
    legend = text_of(page.xpath("//figure[@class='plot']/figcaption")[0])
    assert "best balance" in legend and "in use" in legend
    assert "Step 4 has the best balance" in text_of(page.xpath("//p[@class='why']")[0])
    pictures = page.xpath("//section[contains(@class, 'training')]//img/@src")
    assert len(pictures) == len(set(pictures)) == 2 and "image features of the encoder starter" in text_of(page)
    best = next(each for each in dots(page) if each[0] == "dot best")
    assert [each[1:] for each in dots(page) if each[0] == "chosen"] == [best[1:]]
    site.client.post(f"{at}/train/checkpoint", data={"step": "2"})
    page = site.page(f"{at}/train")
    assert len(page.xpath("//svg[contains(@class, 'scatter')]/text[@class='label-step']")) == 2
    (other,) = (each for each in dots(page) if each[0] == "dot")
    assert [each[1:] for each in dots(page) if each[0] == "chosen"] == [other[1:]], "the ring went to step 2"
    assert "in use" in rows(page)["step-2"]
    assert page.xpath("//svg[contains(@class, 'scatter')]/@aria-label")[0].endswith("Best: step 4, in use: step 2")
    monkeypatch.setattr(StudioTraining, "scores", lambda self, run: scored.to(2))
    assert not dots(site.page(f"{at}/train"))


@pytest.mark.parametrize(
    ("texts", "other"),
    [
        (("a sks cat on a sofa", "sks cat, outside"), "sks"),
        (("a photo of a cat", "the cat in a garden"), ""),
        (("a black cat", "black cat by a tree"), ""),
        (("Mimi cat here", "a dog named Rex"), ""),
        (("vorp blick cat", "a vorp blick cat"), "blick"),
        (("vorp blick thing", "a vorp blick"), ""),
        (("a sks cat 7", "sks cat 7"), "sks"),
    ],
)
def test_the_name_that_captions_hold_instead_of_the_identifier(site, texts, other):
    at = ready(site)
    draft = site.studio.drafts.get("", at[-12:])
    images = tuple(image.model_copy(update={"caption": text}) for image, text in zip(draft.images, texts, strict=False))
    draft = draft.model_copy(update={"images": images}).with_choices(fields={"class_word": "cat"})
    for model in ("starter", "sd15"):
        found = captions_without(draft, model, "kelzo")
        assert found and found.other == other and f"{len(texts)} of {len(texts)} captions" in found.text


@pytest.mark.parametrize(
    ("steps", "learned", "text"),
    [
        ("60", 0, "starter needs about 600 steps; after 60 it may not know your subject yet"),
        ("60", 150, "starter needs about 600 steps; after 210, with the 150 learned before, it may not"),
        ("60", 300, ""),
        ("400", 0, ""),
    ],
)
def test_the_steps_that_were_learned_before_count(steps, learned, text):
    found = few_steps({"steps": steps}, MODEL, learned)
    assert found.startswith(text) and bool(found) == bool(text)
