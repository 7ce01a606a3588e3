"""Tests of the image index, feedback, collections and preference data, on SQLite and PostgreSQL."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from pydantic import ValidationError

from limner.core.accounts import Caller
from limner.core.errors import LimnerError
from limner.core.execution import Execution
from limner.core.feedback import Comparison, ImageQuery, Rating, Reason
from limner.core.requests import GenerateRequest, TrainRequest
from limner.store.collections import MAX_COLLECTIONS, ImageCollections
from limner.store.database import alembic_config
from limner.store.feedback import FeedbackStore, rating_summary
from limner.store.images import ImageIndex, Viewer
from limner.store.preferences import PreferenceData
from limner.store.runs import Store

ADA, BEN, ALL = Viewer("ada", "ada"), Viewer("ben", "ben"), Viewer("boss")
LORA = "sha256:" + "a" * 64


def painted(store: Store, prompt: str = "a dog", owner: str = "ada", count: int = 1, **more: object) -> list[int]:
    """Ids of the pictures of a run."""
    tags = more.pop("tags", None)
    request = GenerateRequest.model_validate({"prompt": prompt, **more})
    run = store.create(request, caller=Caller(account=owner), queue="default", tags=tags)  # type: ignore[arg-type]
    for index in range(count):
        name = f"{run.id}-{index}"
        store.add_artifact(run.id, "picture", f"/{name}.png", f"{hash(name) % 16**32:064x}", {"seed": 42 + index})
    return ImageIndex(store).of_run(ALL, run.id)


def found(store: Store, view: Viewer = ALL, **query: object) -> list[int]:
    return [picture.id for picture in ImageIndex(store).list(view, ImageQuery.model_validate(query))]


def test_images_are_found_by_their_request(store: Store) -> None:
    (plain,) = painted(store, "a DOG, 50% off_er")
    (street,) = painted(store, "STRASSE für alle", negative_prompt="Blur, ÖL", model="sdxl")
    (taught,) = painted(store, "a cat", adapter=[LORA], tags={"industry": "food", "style": "photo"})
    assert found(store) == [taught, street, plain]
    assert found(store, search="dog") == found(store, search="% OFF_E") == [plain]
    assert found(store, search="off.er") == found(store, search="%%") == []
    assert found(store, search="straße FÜR") == [street]
    assert found(store, negative="blur", model="sdxl") == found(store, negative="öl") == [street]
    assert found(store, limit=2) == [taught, street]
    assert found(store, negative="blur", model="starter") == []
    assert found(store, adapter=LORA) == found(store, adapter="a" * 64) == [taught]
    assert found(store, adapter="sha256:" + "b" * 64) == []
    assert found(store, industry="Food", style="photo") == [taught] and found(store, industry="sports") == []
    assert found(store, industry=" Food ", style=" Photo ") == [taught]
    assert found(store, negative="%") == found(store, negative="b_ur") == []
    assert found(store, since=ImageIndex(store).get(ALL, taught).created) == [taught]
    assert found(store, until=ImageIndex(store).get(ALL, taught).created) == [street, plain]
    assert found(store, run=ImageIndex(store).get(ALL, plain).run) == [plain]
    now = datetime.now(UTC)
    assert found(store, since=now) == [] and len(found(store, until=now)) == 3
    assert len(found(store, since=now - timedelta(hours=1))) == 3


def test_an_image_has_the_execution_of_its_run(store: Store) -> None:
    run = store.create(GenerateRequest(prompt="a dog"), execution=Execution(memory="low"))
    store.add_artifact(run.id, "picture", "/a.png", "0" * 64)
    (picture,) = ImageIndex(store).list(ALL, ImageQuery())
    assert picture.execution == run.execution == Execution(memory="low")


def test_only_visible_images_are_found(store: Store) -> None:
    (mine,), (other,) = painted(store), painted(store, owner="ben")
    assert (found(store, ADA), found(store, BEN), found(store)) == ([mine], [other], [other, mine])
    runs = [ImageIndex(store).get(ALL, image).run for image in (mine, other)]
    assert [ImageIndex(store).of_run(ADA, run) for run in runs] == [[mine], []]
    assert found(store, Viewer("", None, stored=True)) == []
    for act in (
        lambda: ImageIndex(store).get(ADA, other),
        lambda: ImageIndex(store).get(ADA, ImageIndex(store).get(ALL, other).sha256),
        lambda: FeedbackStore(store).rate(ADA, other, Rating(stars=1)),
        lambda: FeedbackStore(store).set_favourite(ADA, other, True),
        lambda: FeedbackStore(store).compare(ADA, Comparison(better=mine, worse=other)),
        lambda: ImageCollections(store).put(ADA, ImageCollections(store).add(ADA, str(now())).id, other, True),
        lambda: found(store, ADA, before=other),
    ):
        with pytest.raises(LimnerError, match="there is no image"):
            act()


def now() -> float:
    return datetime.now(UTC).timestamp()


def test_pages_in_either_order(store: Store) -> None:
    ids = painted(store, count=9)
    for stars, picture in zip((3, 5, 1, 3, 5), ids[:5], strict=True):
        FeedbackStore(store).rate(ALL, picture, Rating(stars=stars))
    best = [ids[4], ids[1], ids[3], ids[0], ids[2], *reversed(ids[5:])]
    for order, wanted in (("newest", ids[::-1]), ("best", best)):
        seen: list[int] = []
        while page := found(store, order=order, limit=2, before=seen[-1] if seen else None):
            seen += page
        assert seen == wanted


def test_equally_rated_images_are_listed_newest_first(store: Store) -> None:
    ids = painted(store, count=2)
    for view, picture in ((ADA, ids[0]), (BEN, ids[0]), (ALL, ids[0]), (ALL, ids[1])):
        FeedbackStore(store).rate(Viewer(view.account), picture, Rating(stars=4))
    assert found(store, order="best") == ids[::-1]


def test_a_hash_means_the_newest_image(store: Store) -> None:
    first, second = painted(store), painted(store)
    sha256 = ImageIndex(store).get(ALL, first[0]).sha256
    store.add_artifact(ImageIndex(store).get(ALL, second[0]).run, "picture", "/same.png", sha256, {})
    assert ImageIndex(store).get(ALL, sha256).id > second[0]


def test_a_rating_is_replaced_and_removed(store: Store) -> None:
    (picture,), feedback = painted(store), FeedbackStore(store)
    feedback.rate(ADA, picture, Rating(stars=2, reasons=(Reason.OFF_PROMPT, Reason.BAD_ANATOMY), comment="x\0y"))
    feedback.rate(ADA, picture, Rating(stars=4, comment="better\0 now"))
    feedback.rate(ALL, picture, Rating(stars=1, reasons=(Reason.UNSAFE, Reason.UNSAFE)))
    found_image = ImageIndex(store).get(ADA, picture)
    assert (found_image.mean, found_image.ratings, found_image.mine) == (2.5, 2, Rating(stars=4, comment="better now"))
    assert ImageIndex(store).get(ALL, picture).mine == Rating(stars=1, reasons=(Reason.UNSAFE,))
    assert found(store, at_least=2.5) == found(store, at_most=2.5) == [picture]
    assert found(store, at_least=2.6) == found(store, at_most=2.4) == found(store, unrated=True) == []
    for view in (ADA, ALL, ALL):
        feedback.rate(view, picture, None)
    found_image = ImageIndex(store).get(ADA, picture)
    assert (found_image.mean, found_image.ratings, found_image.mine) == (None, 0, None)
    assert found(store, unrated=True) == [picture] and found(store, at_most=5) == found(store, at_least=1) == []


def test_several_accounts_rate_one_image_at_once(store: Store) -> None:
    (picture,), feedback = painted(store), FeedbackStore(store)

    def rate(account: str) -> None:
        for stars in (1, 5, 4):
            feedback.rate(Viewer(account), picture, Rating(stars=stars))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(rate, [f"a{number % 4}" for number in range(12)]))
    found_image = ImageIndex(store).get(ALL, picture)
    assert (found_image.ratings, found_image.mean) == (4, 4.0)


def test_each_account_has_its_own_favourites(store: Store) -> None:
    picture, _ = painted(store, count=2)
    for _ in range(2):
        FeedbackStore(store).set_favourite(ADA, picture, True)
    assert found(store, ADA, favourite=True) == [picture] and found(store, favourite=True) == []
    assert ImageIndex(store).get(ADA, picture).favourite and not ImageIndex(store).get(ALL, picture).favourite
    for _ in range(2):
        FeedbackStore(store).set_favourite(ADA, picture, False)
    assert found(store, ADA, favourite=True) == []


def test_collections(store: Store) -> None:
    (picture, other), collections = painted(store, count=2), ImageCollections(store)
    made = collections.add(ADA, "Summer")
    with pytest.raises(LimnerError, match="there is a collection 'Summer' already"):
        collections.add(ADA, "Summer")
    assert collections.add(ALL, "Summer").id != made.id
    assert [collections.put(ADA, made.id, picture, True).pictures for _ in range(2)] == [1, 1]
    assert found(store, ADA, collection=made.id) == [picture] and found(store, collection=made.id) == []
    assert collections.rename(ADA, made.id, "Winter").name == "Winter"
    assert [each.name for each in collections.list(ADA)] == ["Winter"]
    collections.put(ADA, made.id, other, True)
    assert collections.put(ADA, made.id, picture, False).pictures == 1
    for act in (
        lambda: collections.get(BEN, made.id),
        lambda: collections.rename(BEN, made.id, "x"),
        lambda: collections.remove(BEN, made.id),
        lambda: collections.put(BEN, made.id, picture, True),
    ):
        with pytest.raises(LimnerError, match="there is no collection"):
            act()
    collections.remove(ADA, made.id)
    assert collections.list(ADA) == [] and found(store) == [other, picture]


def test_collections_are_listed_by_name_with_their_own_images(store: Store) -> None:
    (first, second), collections = painted(store, count=2), ImageCollections(store)
    winter, summer, empty = (collections.add(ADA, name) for name in ("winter", "summer", "empty"))
    for collection, images in ((winter, (first, second)), (summer, (second,))):
        for image in images:
            collections.put(ADA, collection.id, image, True)
    listed = [(each.name, each.pictures) for each in collections.list(ADA)]
    assert listed == [("empty", 0), ("summer", 1), ("winter", 2)]
    assert collections.put(ADA, empty.id, first, False).pictures == 0, "what is not in it cannot be removed"


def test_an_account_may_have_1000_collections() -> None:
    assert MAX_COLLECTIONS == 1000


def test_the_number_of_collections_is_limited(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limner.store.collections.MAX_COLLECTIONS", 2)
    collections = ImageCollections(store)
    for view in (ADA, BEN):
        for name in ("a", "b"):
            collections.add(view, name)
        with pytest.raises(LimnerError, match="there are 2 collections already; delete one first"):
            collections.add(view, "c")


def test_a_comparison_replaces_none_of_another_account(store: Store) -> None:
    first, second = painted(store, count=2)
    for view in (ADA, ALL):
        FeedbackStore(store).compare(view, Comparison(better=first, worse=second))
    FeedbackStore(store).compare(ADA, Comparison(better=second, worse=first))
    pairs = [(pair.better.id, pair.worse.id) for pair in PreferenceData(store, ALL).comparisons()]
    assert pairs == [(first, second), (second, first)]


def test_rating_summary(store: Store) -> None:
    one = painted(store, count=3, model="starter", tags={"industry": "food", "style": "photo"})
    two = painted(store, count=2, model="sdxl", adapter=[LORA], owner="ben")
    feedback = FeedbackStore(store)
    for picture, stars in zip(one, (4, 5, 3), strict=True):
        feedback.rate(ALL, picture, Rating(stars=stars, reasons=(Reason.BLURRED,) if stars < 5 else ()))
    feedback.rate(ALL, two[0], Rating(stars=2, reasons=(Reason.BLURRED, Reason.OFF_PROMPT)))
    feedback.compare(ALL, Comparison(better=two[0], worse=one[0]))
    feedback.compare(ALL, Comparison(better=one[0], worse=two[0]))  # takes the place of the one before
    feedback.compare(ALL, Comparison(better=one[1], worse=two[0], tie=True))
    starter, sdxl = rating_summary(store, ALL, "model")
    assert (starter.name, starter.mean, starter.ratings) == ("starter", 4.0, 3)
    assert starter.standard_error == pytest.approx(1 / 3**0.5)
    assert (starter.low, starter.high) == (pytest.approx(4 - 1.96 / 3**0.5), 5.0)
    assert (starter.wins, starter.losses, starter.ties, starter.reasons) == (1, 0, 1, {Reason.BLURRED: 2})
    assert (sdxl.mean, sdxl.standard_error, sdxl.low, sdxl.losses, sdxl.ties) == (2.0, None, None, 1, 1)
    assert [each.name for each in rating_summary(store, ALL, "adapter")] == [None, LORA]
    assert [each.name for each in rating_summary(store, ALL, "industry")] == ["food", None]
    assert [each.name for each in rating_summary(store, BEN, "model")] == ["sdxl"]
    assert [each.name for each in rating_summary(store, ALL, "style", industry="food")] == ["photo"]


def test_summaries_are_of_visible_images_of_an_industry(store: Store) -> None:
    for owner, industry in (("ada", "food"), ("ben", "food"), ("ada", "sports")):
        (picture,) = painted(store, owner=owner, tags={"industry": industry, "style": f"{owner} {industry}"})
        FeedbackStore(store).rate(ALL, picture, Rating(stars=3))
    assert [each.name for each in rating_summary(store, ADA, "style", industry="food")] == ["ada food"]


def test_summaries_are_ordered_by_mean_number_and_name(store: Store) -> None:
    for model, stars in {"d": (4, 4, 4), "c": (5,), "b": (4, 4), "e": (4, 4), "a": (1,)}.items():
        for picture, value in zip(painted(store, count=len(stars), model=model), stars, strict=True):
            FeedbackStore(store).rate(ADA, picture, Rating(stars=value))
    assert [each.name for each in rating_summary(store, ALL, "model")] == ["c", "d", "b", "e", "a"]


def test_the_interval_of_two_ratings_is_cut_at_one_and_five_stars(store: Store) -> None:
    for picture, stars in zip(painted(store, count=2), (1, 5), strict=True):
        FeedbackStore(store).rate(ADA, picture, Rating(stars=stars))
    (summary,) = rating_summary(store, ALL, "model")
    assert (summary.mean, summary.standard_error) == (3.0, pytest.approx(2.0))  # sqrt(8) / sqrt(2)
    assert (summary.low, summary.high) == (1.0, 5.0)


def test_all_comparisons_of_a_model_are_counted(store: Store) -> None:
    first, second, third = painted(store, count=3, model="starter")
    (other,) = painted(store, model="sdxl")
    for image in (first, second, third):
        FeedbackStore(store).compare(ADA, Comparison(better=image, worse=other))
    FeedbackStore(store).compare(Viewer("eve"), Comparison(better=other, worse=third))
    won, lost = sorted(rating_summary(store, ALL, "model"), key=lambda each: -each.wins)
    assert (won.wins, won.losses, lost.wins, lost.losses) == (3, 1, 1, 3)


def test_preference_data(store: Store) -> None:
    ids = painted(store, "a dog", count=3) + painted(store, "a cat", count=1)
    feedback = FeedbackStore(store)
    for picture, stars in zip(ids, (1, 5, 3, 2), strict=True):
        feedback.rate(ADA, picture, Rating(stars=stars))
    feedback.rate(ALL, ids[0], Rating(stars=3, reasons=(Reason.BAD_TEXT,), comment="hm"))
    feedback.compare(ADA, Comparison(better=ids[3], worse=ids[0], tie=True))
    everyone, bens = PreferenceData(store, ALL), PreferenceData(store, BEN)
    rated = list(everyone.ratings())
    assert [(each.picture.id, each.rating.stars) for each in rated] == [
        (ids[0], 1),
        (ids[0], 3),
        (ids[1], 5),
        (ids[2], 3),
        (ids[3], 2),
    ]
    assert rated[0].rater == rated[2].rater != rated[1].rater and rated[0].rater != "ada"
    (pair,) = everyone.comparisons()
    assert (pair.better.id, pair.worse.id, pair.tie, pair.source) == (ids[3], ids[0], True, "comparison")
    (pair,) = everyone.pairs_from_stars()
    assert (pair.better.id, pair.worse.id, pair.source, pair.rater) == (ids[1], ids[0], "stars", rated[0].rater)
    assert [*bens.ratings(), *bens.comparisons(), *bens.pairs_from_stars()] == []
    assert [each.rater for each in PreferenceData(store, ALL).ratings()] == [each.rater for each in rated]
    assert rated[0].rater != hashlib.sha256(b"ada").hexdigest()[:16], "nobody finds it out by trying names"


def test_both_images_of_a_pair_are_visible(store: Store) -> None:
    (mine,), (other,) = painted(store), painted(store, owner="ben")
    for pair in ((mine, other), (other, mine)):
        FeedbackStore(store).compare(ALL, Comparison(better=pair[0], worse=pair[1]))
        assert [len([*PreferenceData(store, view).comparisons()]) for view in (ALL, ADA, BEN)] == [1, 0, 0]


def test_preferences_are_dated_by_the_later_rating(store: Store) -> None:
    ids, moments = painted(store, count=2), {}
    for picture, stars in zip(ids, (5, 1), strict=True):
        FeedbackStore(store).rate(ADA, picture, Rating(stars=stars))
    for rated in PreferenceData(store, ALL).ratings():
        moments[rated.picture.id] = rated.created
    (pair,) = PreferenceData(store, ALL).pairs_from_stars()
    assert moments[ids[0]] < moments[ids[1]] == pair.created


def test_raters_have_other_names_elsewhere(tmp_path: Path) -> None:
    names = set()
    for name in ("one", "two"):
        elsewhere = Store(tmp_path / name)
        (picture,) = painted(elsewhere)
        FeedbackStore(elsewhere).rate(ADA, picture, Rating(stars=3))
        names |= {rated.rater for rated in PreferenceData(elsewhere, ALL).ratings()}
        elsewhere.close()
    assert len(names) == 2


def test_equal_stars_make_no_pair(store: Store) -> None:
    for picture, stars in zip(painted(store, count=4), (4, 3, 3, 2), strict=True):
        FeedbackStore(store).rate(ADA, picture, Rating(stars=stars))
    assert [(pair.better.mine, pair.worse.mine) for pair in PreferenceData(store, ADA).pairs_from_stars()] == [
        (Rating(stars=4), Rating(stars=2))
    ]


def test_preferences_are_read_in_batches(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limner.store.preferences.BATCH", 2)
    ids = painted(store, count=5)
    for picture in ids:
        for view in (ADA, ALL, Viewer("cleo")):
            FeedbackStore(store).rate(view, picture, Rating(stars=1))
    for worse in ids[1:]:
        FeedbackStore(store).compare(ADA, Comparison(better=ids[0], worse=worse))
    assert [each.picture.id for each in PreferenceData(store, ALL).ratings()] == [id for id in ids for _ in range(3)]
    assert [pair.worse.id for pair in PreferenceData(store, ALL).comparisons()] == ids[1:]


def test_feedback_is_deleted_with_its_image(store: Store) -> None:
    first, second = painted(store, count=2)
    FeedbackStore(store).rate(ADA, first, Rating(stars=5))
    FeedbackStore(store).set_favourite(ADA, first, True)
    FeedbackStore(store).compare(ADA, Comparison(better=first, worse=second))
    found_image = ImageIndex(store).get(ALL, first)
    store.add_artifact(found_image.run, "picture", found_image.path, "f" * 64, {})  # painted again at the same place
    assert list(PreferenceData(store, ALL).ratings()) == list(PreferenceData(store, ALL).comparisons()) == []
    assert rating_summary(store, ALL, "model") == [] and len(found(store)) == 2


def test_only_generated_images_are_indexed(store: Store) -> None:
    run = store.create(TrainRequest(data="x", class_word="dog"))
    store.add_artifact(run.id, "preview", "/a.png", "0" * 64)
    store.add_artifact(run.id, "picture", "/b.png", "1" * 64)
    generated = store.create(GenerateRequest(prompt="a dog"))
    store.add_artifact(generated.id, "report", "/c.html", "2" * 64)
    assert found(store) == []


def test_the_migration_indexes_existing_images(store: Store, tmp_path: Path, database: str | None) -> None:
    ids = painted(store, "a DOG", count=2, adapter=[LORA, "/my/lora.safetensors"], tags={"industry": "food"})
    before = ImageIndex(store).list(ALL, ImageQuery())
    with alembic_config(store._engine) as config:
        command.downgrade(config, "0003")
    again = Store(tmp_path, database)
    assert ImageIndex(again).list(ALL, ImageQuery()) == before
    wanted = {"search": "dog", "adapter": LORA, "industry": "food"}
    assert found(again, **wanted) == found(again, adapter="/my/lora.safetensors") == ids[::-1]
    FeedbackStore(again).rate(ADA, ids[0], Rating(stars=5))
    FeedbackStore(again).rate(ADA, ids[1], Rating(stars=1))
    assert len(list(PreferenceData(again, ALL).pairs_from_stars())) == 1, "wishes are the same"
    (later,) = painted(again, "a DOG", adapter=[LORA])
    FeedbackStore(again).rate(ADA, later, Rating(stars=3))
    assert [pair.better.id for pair in PreferenceData(again, ALL).pairs_from_stars()] == [ids[0]]
    again.close()


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (Rating, {"stars": 0}),
        (Rating, {"stars": 6}),
        (Rating, {"stars": 3, "reasons": ["ugly"]}),
        (Rating, {"stars": 3, "comment": "x" * 2001}),
        (Comparison, {"better": 1, "worse": 1}),
        (ImageQuery, {"unrated": True, "at_least": 3}),
        (ImageQuery, {"limit": 0}),
        (ImageQuery, {"colour": "reddish"}),
    ],
)
def test_invalid_feedback_and_queries(model: type[Rating], body: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        model.model_validate(body)
