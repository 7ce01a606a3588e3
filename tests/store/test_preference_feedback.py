"""Tests of recorded feedback as training data, by its selection."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from limner.core.accounts import Caller
from limner.core.feedback import Comparison, Rating, Reason
from limner.core.preferences import Feedback, FeedbackKind, FeedbackSelection
from limner.core.requests import GenerateRequest
from limner.store.feedback import FeedbackStore
from limner.store.images import ImageIndex, Viewer
from limner.store.preferences import PreferenceData
from limner.store.runs import Store

ADA, BEN, ALL = Viewer("ada", "ada"), Viewer("ben", "ben"), Viewer("boss")
BEN_SEES_ALL = Viewer("ben")
FILE, FOLDER = "a" * 64, "b" * 64


def add(store: Store, prompt: str = "a dog", tags: dict[str, str] | None = None, **fields: Any) -> int:
    """The id of a new image. details: its own."""
    details, owner = fields.pop("details", {}), fields.pop("owner", "ada")
    request = GenerateRequest.model_validate({"prompt": prompt, **fields})
    run = store.create(request, caller=Caller(account=owner), tags=tags)
    number = len(store.list(100))
    store.add_artifact(run.id, "picture", f"/{number}.png", f"{number:064x}", details)
    return ImageIndex(store).of_run(ALL, run.id)[0]


def feedback(store: Store, kind: FeedbackKind | None = None, view: Viewer = ALL, **selection: Any) -> Feedback:
    return PreferenceData(store, view).feedback(kind, FeedbackSelection(**selection))


def rated(store: Store, **selection: Any) -> list[str]:
    return [each.image.prompt for each in feedback(store, "ratings", **selection).ratings]


def pairs(found: Feedback) -> list[tuple[str, str]]:
    return [(pair.better.location, pair.worse.location) for pair in found.pairs]


def test_an_image_has_what_training_needs(store: Store) -> None:
    details = {"seed": 43, "width": 64, "height": 96}
    image = add(store, negative_prompt="blur", model="sdxl", adapter=[f"sha256:{FILE}:0.5"], details=details)
    FeedbackStore(store).rate(BEN_SEES_ALL, image, Rating(stars=4, reasons=(Reason.BLURRED,)))
    (found,) = feedback(store).ratings
    assert found.image.model_dump() == {
        "sha256": f"{1:064x}",
        "location": "/1.png",
        "prompt": "a dog",
        "negative_prompt": "blur",
        "model": "sdxl",
        "adapters": (FILE,),
        "seed": 43,
        "width": 64,
        "height": 96,
    }
    (row,) = PreferenceData(store, ALL).ratings()
    assert (found.stars, found.reasons, found.rater) == (4, (Reason.BLURRED,), row.rater)
    assert found.created == row.created and found.rater != "ben"


def test_a_folder_of_a_training_has_the_hash_of_its_file_too(store: Store) -> None:
    run = store.create(GenerateRequest(prompt="x"))
    for kind, sha256 in (("adapter", FILE), ("dataset", "c" * 64)):
        store.add_artifact(run.id, kind, f"/{kind}", sha256, {"reference": f"folder:{FOLDER}"})
    for image in (add(store, adapter=[f"folder:{FOLDER}"]), add(store, adapter=[f"folder:{FOLDER}", "/my/lora"])):
        FeedbackStore(store).rate(ADA, image, Rating(stars=1))
    known, unknown = feedback(store).ratings
    assert known.image.adapters == (FOLDER, FILE)
    assert unknown.image.adapters is None, "another file may lie at a path by now"


@pytest.mark.parametrize("more", [{"image": "a.png"}, {"hires": 2}, {"details": {}}, {"details": {"seed": "7"}}])
def test_the_seed_is_that_of_initial_noise(store: Store, more: dict[str, Any]) -> None:
    image = add(store, "a dog", None, **{"details": {"seed": 7, "width": "wide"}} | more)
    FeedbackStore(store).rate(ADA, image, Rating(stars=1))
    (found,) = feedback(store).ratings
    assert (found.image.seed, found.image.width) == (None, None)


def test_kinds(store: Store) -> None:
    first, second = add(store), add(store)
    FeedbackStore(store).rate(ADA, first, Rating(stars=5))
    FeedbackStore(store).rate(ADA, second, Rating(stars=2, reasons=(Reason.OFF_PROMPT,)))
    FeedbackStore(store).compare(BEN_SEES_ALL, Comparison(better=second, worse=first, reasons=(Reason.BAD_TEXT,)))
    ratings, both, compared = (feedback(store, kind) for kind in ("ratings", None, "pairs"))
    assert len(ratings.ratings) == 2 and ratings.pairs == ()
    assert both.ratings == ratings.ratings and pairs(both) == [("/2.png", "/1.png")]
    assert compared.ratings == () and pairs(compared) == [("/2.png", "/1.png"), ("/1.png", "/2.png")]
    assert [pair.source for pair in compared.pairs] == ["comparison", "stars"]
    assert [pair.reasons for pair in compared.pairs] == [(Reason.BAD_TEXT,), (Reason.OFF_PROMPT,)]
    assert compared.pairs[0].rater != compared.pairs[1].rater == ratings.ratings[0].rater


def test_a_tie_stays_one(store: Store) -> None:
    FeedbackStore(store).compare(ADA, Comparison(better=add(store), worse=add(store), tie=True))
    assert [pair.tie for pair in feedback(store).pairs] == [True]


def test_images_are_selected(store: Store) -> None:
    for prompt, tags in (
        ("a DOG, 50% off", {"industry": "food", "style": "photo"}),
        ("a cat", {"industry": "food", "style": "oil"}),
        ("a dog in snow", {"industry": "sports"}),
    ):
        FeedbackStore(store).rate(ADA, add(store, prompt, tags), Rating(stars=3))
    assert len(rated(store)) == 3
    assert rated(store, industry=" Food ") == ["a DOG, 50% off", "a cat"]
    assert rated(store, industry="food", style="OIL") == ["a cat"]
    assert rated(store, subject="dog") == ["a DOG, 50% off", "a dog in snow"]
    assert rated(store, subject="snow DOG") == ["a dog in snow"]
    assert rated(store, subject="%") == ["a DOG, 50% off"] and rated(store, subject="d_g") == []
    assert rated(store, industry="") == rated(store, industry="foo\0d", style="x") == []


def test_both_images_of_a_pair_are_selected(store: Store) -> None:
    food, more = (add(store, tags={"industry": "food"}) for _ in range(2))
    sports = add(store, tags={"industry": "sports"})
    for better, worse in ((food, sports), (sports, food), (food, more)):
        FeedbackStore(store).compare(Viewer(f"{better}{worse}"), Comparison(better=better, worse=worse))
    assert pairs(feedback(store, industry="food")) == [("/1.png", "/2.png")]
    assert len(feedback(store).pairs) == 3


def test_feedback_is_selected_by_account(store: Store) -> None:
    first, second = add(store), add(store)
    for view, better, worse in ((ADA, first, second), (BEN_SEES_ALL, second, first)):
        FeedbackStore(store).compare(view, Comparison(better=better, worse=worse))
        FeedbackStore(store).rate(view, better, Rating(stars=5))
        FeedbackStore(store).rate(view, worse, Rating(stars=1))
    found = feedback(store, "pairs", account="ben")
    assert pairs(found) == [("/2.png", "/1.png")] * 2 and len({pair.rater for pair in found.pairs}) == 1
    assert [each.stars for each in feedback(store, "ratings", account="ben").ratings] == [1, 5]
    assert feedback(store, account="be") == feedback(store, account="") == Feedback()


def test_feedback_is_selected_by_time(store: Store) -> None:
    images = [add(store) for _ in range(3)]
    for image, stars in zip(images, (1, 3, 5), strict=True):
        FeedbackStore(store).rate(ADA, image, Rating(stars=stars))
    moments = [each.created for each in feedback(store).ratings]
    assert moments[0] is not None and moments[1] is not None
    assert [each.stars for each in feedback(store, since=moments[1]).ratings] == [3, 5]
    assert [each.stars for each in feedback(store, until=moments[1]).ratings] == [1]
    naive, elsewhere = moments[1].replace(tzinfo=None), moments[1].astimezone(timezone(timedelta(hours=5)))
    assert feedback(store, since=naive) == feedback(store, since=elsewhere) == feedback(store, since=moments[1])
    assert pairs(feedback(store, "pairs", since=moments[1])) == [("/3.png", "/2.png")], "of the ratings since then"
    FeedbackStore(store).compare(ADA, Comparison(better=images[0], worse=images[1]))
    assert len(feedback(store, since=datetime.now(UTC)).pairs) == 0
    assert len(feedback(store, until=datetime.now(UTC)).pairs) == 1


def test_only_feedback_on_visible_images_is_found(store: Store) -> None:
    for owner in ("ada", "ben"):
        FeedbackStore(store).rate(ALL, add(store, owner, owner=owner), Rating(stars=3))
    assert [each.image.prompt for each in feedback(store, view=BEN).ratings] == ["ben"]
