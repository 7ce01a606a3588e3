"""Discovery by looks and colours: the user's own history as it changes, libraries, kills, rebuilds and accounts."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageColor

from gallery import add_image, add_run, png
from limner.core.accounts import Caller, Role
from limner.core.discover import Filters
from limner.core.errors import LimnerError
from limner.core.feedback import ImageQuery
from limner.core.prompt_records import PromptRecord
from limner.core.requests import GenerateRequest
from limner.studio import index_upkeep
from limner.studio.images import Viewer
from limner.studio.maintenance import EraseSelection
from limner.studio.studio import Studio
from prompt_libraries import add_library

ME = Caller()


@pytest.fixture
def studio(home: Path, starter: Path) -> Iterator[Studio]:
    studio = Studio(home)
    yield studio
    studio.close()


def pure(colour: str) -> str:
    """A colour of images that have nothing but it, where its name means an everyday one."""
    return "#{:02x}{:02x}{:02x}".format(*ImageColor.getrgb(colour))


def found(studio: Studio, text: str = "", caller: Caller = ME, like="", colour: str = "", **filters) -> list[str]:
    appearance = studio.discover.appearance(caller, like, colour and pure(colour))
    hits = studio.discover.search(caller, text, Filters(**filters), 24, appearance)
    return [hit.text for hit in hits]


def erase(studio: Studio, *images: int) -> None:
    studio.maintenance.erase(EraseSelection(images=images))


def test_an_image_is_found_by_looks_and_colour_as_soon_as_it_is_made(studio):
    for prompt, colour in (("a cat", "tomato"), ("a dog", "seagreen"), ("a cow", "steelblue")):
        add_image(studio, prompt, colour)
        assert found(studio, colour=colour) == [prompt]
    assert found(studio, like="history/2")[0] != "a dog", "an image is not found by itself"
    add_image(studio, "a green hill", "seagreen")
    (first, *_) = studio.discover.search(ME, "", Filters(), 24, studio.discover.appearance(ME, "history/2"))
    assert first.text == "a green hill" and first.look == pytest.approx(1, abs=0.01)
    with_words = studio.discover.search(ME, "cow", Filters(), 24, studio.discover.appearance(ME, "history/2"))
    assert {hit.text for hit in with_words if hit.words} == {"a cow"} and with_words[0].text in (
        "a cow",
        "a green hill",
    )


def test_an_erased_image_is_gone_at_once_also_if_its_id_comes_again(studio):
    first, *_, last = (add_image(studio, f"a {colour} wall", colour) for colour in ("red", "lime", "blue"))
    assert len(found(studio)) == 3 and found(studio, colour="blue") == ["a blue wall"]
    erase(studio, last)
    assert found(studio, colour="blue") == [] and "a blue wall" not in found(studio, "blue wall")
    again = add_image(studio, "a yellow sun", "yellow")
    assert again == last, "SQLite gives the id again"
    assert found(studio, "sun")[0] == "a yellow sun" and found(studio, colour="yellow") == ["a yellow sun"]
    erase(studio, again)
    assert add_image(studio, "a blue moon", "blue") == last, "erased and made before the next search"
    assert found(studio, colour="blue") == ["a blue moon"] and "a yellow sun" not in found(studio)
    erase(studio, first)
    assert sorted(found(studio)) == ["a blue moon", "a lime wall"] and len(studio.discover.upkeep.index) == 2
    assert found(studio, colour="red") == []


def test_whatever_is_made_and_erased_the_index_is_that_of_the_database(studio):
    chance, kept = random.Random(3), dict[int, str]()
    for step in range(24):
        if kept and chance.random() < 0.45:
            gone = chance.choice([*kept, max(kept)])
            erase(studio, gone)
            del kept[gone]
        else:
            prompt = f"number {step}"
            kept[add_image(studio, prompt, chance.choice(["red", "blue"]))] = prompt
        if chance.random() < 0.5:
            assert sorted(found(studio)) == sorted(kept.values())
    assert sorted(found(studio)) == sorted(kept.values())
    studio.discover.upkeep.look()
    assert sorted([*found(studio, colour="red"), *found(studio, colour="blue")]) == sorted(kept.values())


def test_stars_that_are_given_later_count(studio):
    image = add_image(studio, "a cat")
    add_image(studio, "a dog")
    assert found(studio, stars=4) == []
    studio.feedback.set_stars(Viewer(), {image: 4})
    assert found(studio, stars=4) == ["a cat"] and found(studio, stars=5) == []
    studio.feedback.set_stars(Viewer(), {image: None})
    assert found(studio, stars=1) == []


def test_own_images_are_filtered_by_the_name_of_their_adapter(studio):
    add_image(studio, "a cat")
    add_image(studio, "a dog", adapter=[{"path": "/home/me/Comet.safetensors"}])
    add_library(studio, "mine", PromptRecord("a bird", adapter="comet-v2"), PromptRecord("a fish", adapter="other"))
    assert sorted(found(studio, adapter="comet")) == ["a bird", "a dog"] and found(studio, adapter="none") == []
    assert found(studio, adapter="comet", libraries=("history",)) == ["a dog"]


def test_accounts_find_and_compare_with_their_own_images_only(studio):
    ann, bob = (Caller(account=name, role=Role.MAKER) for name in ("ann", "bob"))
    image = add_image(studio, "a red secret", "red", owner="ann")
    add_image(studio, "a red cat", "red", owner="bob")
    assert found(studio, caller=bob, colour="red") == ["a red cat"]
    assert found(studio, caller=ann, colour="red") == ["a red secret"]
    reference = studio.images.get(Viewer(), image).reference
    for like in (f"history/{image}", reference):
        found(studio, caller=ann, like=like)
        with pytest.raises(LimnerError):
            found(studio, caller=bob, like=like)
        with pytest.raises(LimnerError):
            studio.discover.resolved(Viewer("bob", "bob"), ImageQuery(like=like))


def test_images_of_a_library_are_compared_if_they_are_files_of_its_folder(studio, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "1.png").write_bytes(png("teal"))
    (source / "2.png").write_bytes(png("orange"))
    (source / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    (tmp_path / "outside.png").write_bytes(png("teal"))
    records = [
        PromptRecord("two", image="2.png"),
        PromptRecord("two", image="1.png"),
        PromptRecord("broken", image="broken.png"),
        PromptRecord("outside", image=str(tmp_path / "outside.png")),
        PromptRecord("elsewhere", image="https://example.com/1.png"),
        PromptRecord("none"),
    ]
    add_library(studio, "mine", *records, source=source)
    studio.discover.upkeep.refresh()
    studio.discover.upkeep.look()
    (hit,) = studio.discover.search(ME, "", Filters(), 24, studio.discover.appearance(ME, colour="teal"))
    assert (hit.text, hit.records[hit.place].image) == ("two", "1.png") and hit.colour > 0.9
    add_image(studio, "a teal wall", "teal")
    assert found(studio, like=f"mine/{hit.prompt}/{hit.place}") == ["a teal wall"]
    assert found(studio, like=tmp_path / "outside.png")[:2] in (["two", "a teal wall"], ["a teal wall", "two"])
    (bare,) = (hit.prompt for hit in studio.discover.search(ME, "none", Filters()) if hit.text == "none")
    with pytest.raises(LimnerError, match="has no image here"):
        found(studio, like=f"mine/{bare}")


def test_looking_goes_on_where_it_was_stopped(studio, monkeypatch):
    monkeypatch.setattr(index_upkeep, "LOOKS_AT_ONCE", 3)
    run = add_run(studio, GenerateRequest(prompt="walls"))
    for _ in range(8):
        add_image(studio, colour="red", run=run)
    studio.discover.upkeep.refresh()
    stops = iter([False, True])
    studio.discover.upkeep.look(stop=lambda: next(stops))
    assert 0 < studio.discover.upkeep.index.looked["history"] < 8
    other = Studio(studio.home)
    other.discover.upkeep.look()
    other.close()
    assert studio.discover.upkeep.index.looked == {"history": 8}
    rows = studio.discover.upkeep.index._state().looks.records["row"].tolist()
    assert sorted(rows) == [*range(8)], "each image once"


def test_a_rebuild_keeps_looks_and_a_deleted_index_gets_them_anew(studio, monkeypatch):
    add_image(studio, "a cat", "tomato")
    add_image(studio, "a dog", "seagreen")
    studio.discover.upkeep.rebuild()
    before = [
        hit.facts() for hit in studio.discover.search(ME, "", Filters(), 9, studio.discover.appearance(ME, "", "red"))
    ]
    encoded = []
    images = type(studio.discover._encoders).images
    monkeypatch.setattr(
        type(studio.discover._encoders), "images", lambda self, found: encoded.extend(found) or images(self, found)
    )
    assert studio.discover.upkeep.rebuild() == 2 and not encoded
    after = [
        hit.facts() for hit in studio.discover.search(ME, "", Filters(), 9, studio.discover.appearance(ME, "", "red"))
    ]
    assert after == before
    shutil.rmtree(studio.home / "index")
    assert found(studio, colour="seagreen") == ["a dog"] and len(encoded) == 2


def test_an_image_that_is_missing_or_damaged_stops_nothing(studio):
    lost, kept = add_image(studio, "lost", "red"), add_image(studio, "kept", "red")
    studio.files.path(studio.images.get(Viewer(), lost).sha256).unlink()
    assert found(studio, colour="red") == ["kept"] and kept == studio.discover.upkeep.index.looked["history"]


def test_the_gallery_finds_the_closest_images_first(studio):
    ids = [add_image(studio, f"wall {n}", colour) for n, colour in enumerate(("red", "#c01818", "blue", "red"))]
    found = studio.discover.resolved(Viewer(), ImageQuery(colour=pure("red")))
    assert found.order == "listed" and {*found.among} == {ids[0], ids[1], ids[3]} and found.among[-1] == ids[1]
    alike = studio.discover.resolved(Viewer(), ImageQuery(like=f"history/{ids[0]}", search="wall"))
    assert alike.among[0] == ids[3] and ids[0] not in alike.among and alike.search == "wall"
    assert studio.discover.resolved(Viewer(), ImageQuery(colour="lime")).among == ()
    unlike = studio.discover.resolved(Viewer(), ImageQuery(like=f"history/{ids[0]}", colour="blue"))
    assert set(unlike.among) <= set(alike.among), "one more condition finds no more images"


@pytest.mark.parametrize(
    "like", ["history/x", "history/", "nowhere/1", "history/999", "history/1/2/3", "sha256:" + "0" * 64, "../x"]
)
def test_what_is_no_image_is_an_error(studio, like):
    with pytest.raises(LimnerError):
        found(studio, like=like)


@pytest.mark.slow  # it loads transformers
def test_encoders_by_name_take_the_place_of_those_that_come_with_limner(studio, tmp_path):
    import networks

    add_image(studio, "a red car", "red")
    add_image(studio, "a photo of the cat", "blue")
    seen, read = networks.clip(tmp_path / "clip"), networks.sentences(tmp_path / "sentences")
    for meaning, looks in ((read, seen), (seen, networks.dino(tmp_path / "dino"))):
        assert studio.discover.upkeep.rebuild(meaning=str(meaning), looks=str(looks)) == 2
        hits = studio.discover.search(ME, "a photo of the cat", Filters())
        assert hits[0].text == "a photo of the cat" and hits[0].meaning == pytest.approx(1, abs=0.02)
        query = tmp_path / "query.png"
        Image.new("RGB", (320, 240), "red").save(query)
        (first, *_) = studio.discover.search(ME, "", Filters(), 9, studio.discover.appearance(ME, query))
        assert first.text == "a red car" and first.look == pytest.approx(1, abs=0.02)
    other = Studio(studio.home)
    assert other.discover.upkeep.index.looks == str(tmp_path / "dino"), "all programs of a home use the same ones"
    other.discover.upkeep.rebuild(meaning="wordllama", looks="starter")
    assert found(studio, "automobile")[0] == "a red car", "a server that runs follows"
    other.close()
    for wrong in (
        {"meaning": "no-such"},
        {"looks": "no-such"},
        {"looks": str(read)},
        {"meaning": str(tmp_path / "dino")},
    ):
        with pytest.raises(LimnerError):
            studio.discover.upkeep.rebuild(**wrong)
    assert found(studio, colour="red") == ["a red car"], "the earlier ones are used"


@pytest.mark.parametrize("first", [True, False])
def test_a_sentence_encoder_takes_the_mean_or_the_first_state_as_it_says(tmp_path, first):
    import torch
    from transformers import AutoModel, AutoTokenizer

    import networks
    from limner.engine.scoring.encoders import open_text_encoder

    place = str(networks.sentences(tmp_path / "sentences", first))
    with torch.inference_mode():
        vectors = open_text_encoder(place).texts(["a dog", "a photo of the cat on the beach"])
        tokens = AutoTokenizer.from_pretrained(place)("a dog", return_tensors="pt")
        states = AutoModel.from_pretrained(place).eval()(**tokens).last_hidden_state[0]
    expected = states[0] if first else states.mean(0)
    assert vectors[0].numpy() == pytest.approx((expected / expected.norm()).numpy(), abs=1e-5)
