"""Thumbnails, orders, places and counts of images, through the facade."""

from __future__ import annotations

import dataclasses

import pytest

from gallery import add_image
from limner.core.errors import LimnerError
from limner.core.feedback import ImageQuery, Rating
from limner.imaging.decode import open_stored
from limner.studio.images import SIDES, Viewer
from limner.studio.maintenance import EraseSelection
from limner.studio.studio import Studio

VIEW = Viewer(stored=True)


@pytest.fixture
def studio(home, database, monkeypatch):
    if database is not None:
        monkeypatch.setenv("LIMNER_DATABASE", database)
    made = Studio(home)
    yield made
    made.close()


def sha256_of(studio, image):
    return studio.images.get(VIEW, image).sha256


def test_thumbnails_are_made_once_and_record_how_the_image_looks(studio, monkeypatch):
    image = add_image(studio, colour="#336699", size=(1000, 500))
    sha256 = sha256_of(studio, image)
    assert studio.images.colours(VIEW, ImageQuery()) == [(image, None)]
    places = [studio.images.thumbnail(sha256, side) for side in SIDES]
    assert [open_stored(place).size for place in places] == [(160, 80), (512, 256)]
    ((_, colour),) = studio.images.colours(VIEW, ImageQuery())
    assert colour == "336699"
    monkeypatch.setattr(studio.images, "_make_thumbnails", None)
    assert studio.images.thumbnail(sha256, SIDES[0]) == places[0]


def test_there_is_no_thumbnail_of_what_is_no_image_or_does_not_exist(studio, tmp_path):
    (tmp_path / "text").write_text("no image")
    sha256 = studio.files.save(tmp_path / "text").removeprefix("sha256:")
    for wrong in (sha256, "0" * 64):
        with pytest.raises(LimnerError):
            studio.images.thumbnail(wrong, SIDES[0])


def test_thumbnails_are_erased_with_their_image(studio):
    image = add_image(studio)
    found = studio.images.get(VIEW, image)
    places = [studio.images.thumbnail(found.sha256, side) for side in SIDES]
    studio.maintenance.erase(EraseSelection(runs=(found.run,)))
    assert not [place for place in places if place.exists()]


def test_thumbnails_are_removed_whose_image_another_machine_erased(studio):
    sha256 = sha256_of(studio, add_image(studio))
    place = studio.images.thumbnail(sha256, SIDES[0])
    studio.files.path(sha256).unlink()
    studio.maintenance.clean()
    assert not place.exists()


def test_each_order_has_places_and_neighbours(studio):
    one, two, three = (add_image(studio, f"a cat {number}") for number in range(3))
    studio.feedback.rate(VIEW, two, Rating(stars=5))
    studio.feedback.rate(VIEW, one, Rating(stars=3))
    studio.feedback.set_favourite(VIEW, one, True)
    orders = {
        "newest": [three, two, one],
        "oldest": [one, two, three],
        "best": [two, one, three],
        "favourites": [one, three, two],
    }
    for order, wanted in orders.items():
        query = ImageQuery(order=order)
        assert [image.id for image in studio.images.list(VIEW, query)] == wanted, order
        assert studio.images.ids(VIEW, query, 0, 10) == wanted
        assert studio.images.ids(VIEW, query, 1, 1) == wanted[1:2]
        assert studio.images.neighbours(VIEW, query, wanted[1]) == (wanted[0], wanted[2]), order
        assert studio.images.neighbours(VIEW, query, wanted[0])[0] is None
        assert studio.images.neighbours(VIEW, query, wanted[2])[1] is None
        after = [image.id for image in studio.images.list(VIEW, ImageQuery(order=order, before=wanted[0]))]
        assert after == wanted[1:], order


def test_counts_leave_out_their_own_condition(studio):
    wide = add_image(studio, "a cat", size=(640, 320), model="starter", adapter=["sha256:" + "a" * 64])
    tall = add_image(studio, "a cat", size=(320, 640), model="starter")
    other = add_image(studio, "a dog", size=(320, 640), model="sdxl")
    studio.feedback.rate(VIEW, wide, Rating(stars=4))
    studio.feedback.set_favourite(VIEW, tall, True)
    found = studio.images.facets(VIEW, ImageQuery())
    assert (found.total, dict(found.models), found.favourites) == (3, {"starter": 2, "sdxl": 1}, 1)
    assert found.stars == {4: 1, 0: 2} and found.adapters == (("a" * 64, "sha256:" + "a" * 64, 1),)
    assert found.sizes == ((320, 640, 2), (640, 320, 1)) and [count for *_, count in found.months] == [3]
    narrow = studio.images.facets(VIEW, ImageQuery(width=320, height=640, model="starter"))
    assert narrow.total == 1 and dict(narrow.models) == {"starter": 1, "sdxl": 1}
    assert narrow.sizes == ((320, 640, 1), (640, 320, 1))
    rated = studio.images.facets(VIEW, ImageQuery(at_least=4))
    assert rated.total == 1 and rated.stars == {4: 1, 0: 2} and dict(rated.models) == {"starter": 1}
    assert studio.images.facets(VIEW, ImageQuery(at_least=3.5)).total == 1
    assert studio.images.facets(VIEW, ImageQuery(unrated=True)).total == 2
    assert studio.images.facets(VIEW, ImageQuery(favourite=True)).total == 1
    assert studio.images.facets(VIEW, ImageQuery(search="DOG")).total == 1
    past = studio.images.facets(VIEW, ImageQuery(until="2000-01-01"))
    assert past.total == 0 and [count for *_, count in past.months] == [3]
    assert studio.images.ids(VIEW, ImageQuery(width=320, height=640), 0, 9) == [other, tall]


@pytest.mark.parametrize(
    "query", [{}, {"model": "starter"}, {"at_least": 4}, {"favourite": True}, {"since": "2000-01-01"}]
)
def test_totals_are_those_of_the_list_and_of_the_viewer(studio, query):
    mine = dataclasses.replace(VIEW, account="ann", owner="ann")
    for owner, stars in (("ann", 5), ("ben", 4), ("ann", 1)):
        image = add_image(studio, owner=owner)
        viewer = dataclasses.replace(VIEW, account=owner, owner=owner)
        studio.feedback.rate(viewer, image, Rating(stars=stars))
        studio.feedback.set_favourite(viewer, image, True)
    for viewer in (VIEW, mine):
        wanted = ImageQuery(**query)
        listed = studio.images.list(viewer, wanted)
        assert studio.images.facets(viewer, wanted).total == len(listed)
        assert [id for id, _ in studio.images.colours(viewer, wanted)] == [image.id for image in listed]
    assert {image.owner for image in studio.images.list(mine, ImageQuery(**query))} == {"ann"}


def test_many_images_are_marked_together_and_the_earlier_state_comes_back(studio):
    one, two, three = (add_image(studio) for _ in range(3))
    studio.feedback.rate(VIEW, two, Rating(stars=2, comment="blurred"))
    studio.feedback.set_favourite(VIEW, three, True)
    assert studio.feedback.set_favourites(VIEW, [one, two, three, one], True) == [one, two]
    assert studio.feedback.set_favourites(VIEW, [one, two, three], False) == [one, two, three]
    earlier = studio.feedback.set_stars(VIEW, {one: 5, two: 5, three: None})
    assert earlier == {one: None, two: 2}
    changed = studio.images.get(VIEW, two)
    assert (changed.mine.stars, changed.mine.comment, changed.mean, changed.ratings) == (5, "blurred", 5.0, 1)
    assert studio.feedback.set_stars(VIEW, earlier) == {one: 5, two: 5}
    assert studio.images.get(VIEW, one).mine is None and studio.images.get(VIEW, one).ratings == 0
    album = studio.collections.add(VIEW, "Best")
    studio.collections.put(VIEW, album.id, one, True)
    assert studio.collections.put_all(VIEW, album.id, [one, two], True) == [two]
    assert studio.collections.put_all(VIEW, album.id, [one, three], False) == [one]
    assert studio.collections.get(VIEW, album.id).pictures == 1


def test_nothing_is_marked_if_one_image_is_not_visible(studio):
    mine = dataclasses.replace(VIEW, account="ann", owner="ann")
    own, foreign = add_image(studio, owner="ann"), add_image(studio, owner="ben")
    album = studio.collections.add(mine, "Best")
    for act in (
        lambda: studio.feedback.set_favourites(mine, [own, foreign], True),
        lambda: studio.feedback.set_stars(mine, {own: 5, foreign: 5}),
        lambda: studio.collections.put_all(mine, album.id, [own, foreign], True),
    ):
        with pytest.raises(LimnerError, match=str(foreign)):
            act()
    image = studio.images.get(mine, own)
    assert (image.favourite, image.mine, studio.collections.get(mine, album.id).pictures) == (False, None, 0)


def test_tags_narrow_and_are_counted(studio):
    corgi = add_image(studio, tags={"species": "dog", "breed": "corgi", "extras": "red scarf, hat"})
    beagle = add_image(studio, tags={"species": "dog", "breed": "beagle", "extras": "hat"})
    tabby = add_image(studio, tags={"species": "cat", "breed": "tabby", "chance": "7"})
    plain = add_image(studio)

    def ids(*tag):
        return [image.id for image in studio.images.list(VIEW, ImageQuery(tag=tag))]

    assert ids() == [plain, tabby, beagle, corgi]
    assert ids("species=dog") == [beagle, corgi] and ids("breed= Corgi ", "species=dog") == [corgi]
    assert ids("extras=hat") == [beagle, corgi] and ids("extras=scarf") == [] and ids("extras=red scarf") == [corgi]
    assert ids("chance=7") == [tabby] and ids("species=dog", "breed=tabby") == []
    everything = {
        "species": (("dog", 2), ("cat", 1)),
        "breed": (("beagle", 1), ("corgi", 1), ("tabby", 1)),
        "extras": (("hat", 2), ("red scarf", 1)),
    }
    assert studio.images.facets(VIEW, ImageQuery()).tags == everything
    dogs = studio.images.facets(VIEW, ImageQuery(tag=("species=DOG",)))
    assert dogs.total == 2 and dogs.tags["breed"] == (("beagle", 1), ("corgi", 1))
    assert dogs.tags["species"] == everything["species"], "a tag's own condition does not count for its values"
    both = studio.images.facets(VIEW, ImageQuery(tag=("species=dog", "breed=corgi")))
    assert both.tags["species"] == (("dog", 1),) and both.tags["breed"] == (("beagle", 1), ("corgi", 1))


@pytest.mark.parametrize("odd", ['x"breed', "a'b", "a.b", "$", "breed[0]", "%", "back\\slash", "ä", "a b"])
def test_any_value_of_a_tag_is_found_and_counted(studio, odd):
    wanted = add_image(studio, tags={"breed": odd, "extras": f"hat, {odd}"})
    add_image(studio, tags={"other": odd, "breed": "x", "extras": f"{odd} hat"})
    for name in ("breed", "extras"):
        query = ImageQuery(tag=(f"{name}={odd}",))
        assert [image.id for image in studio.images.list(VIEW, query)] == [wanted]
        assert (odd, 1) in studio.images.facets(VIEW, query).tags[name]


@pytest.mark.parametrize("wrong", ["corgi", "=corgi", "breed=", " = ", 'x"y=1', "ä=1", f"{'n' * 65}=1"])
def test_a_tag_without_name_or_value_is_refused(wrong):
    with pytest.raises(ValueError, match="is not NAME=VALUE; write it like breed=corgi"):
        ImageQuery(tag=(wrong,))


def test_a_search_is_for_words_in_any_order_and_for_phrases_in_quotes(studio):
    cat = add_image(studio, "a photo of a Siamese cat wearing a blue party hat in the snow")
    add_image(studio, "a hat for a party on a boat")

    def ids(search):
        return [image.id for image in studio.images.list(VIEW, ImageQuery(search=search))]

    assert ids("siamese snow") == [cat] == ids("SNOW  cat") == ids('"party hat"') == ids('cat "in the snow"')
    assert len(ids("party hat")) == 2 == len(ids(" ")) and ids("snow boat") == [] and ids('"hat party"') == []
    assert ids("%") == [] and ids(" ".join(f"w{number}" for number in range(200))) == []
