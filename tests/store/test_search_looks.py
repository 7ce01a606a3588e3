"""The search index by looks and colours, and what is taken out of it."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from limner.core.discover import Filters
from limner.imaging.palettes import Swatch
from limner.store.search.index import Appearance, Damaged, SearchIndex
from limner.store.search.looks import IndexedLook
from limner.store.search.table import Current, ImageSettings, IndexedPrompt

SIZE = 64
RED, BLUE = (53.0, 80.0, 67.0), (32.0, 79.0, -107.0)


def vector(*values: float) -> np.ndarray:
    found = np.zeros(SIZE, np.float32)
    found[: len(values)] = values
    return found / np.linalg.norm(found)


def look(prompt: int, values=(1.0,), colours=((RED, 1.0),), place: int = 0, mark: int | None = None) -> IndexedLook:
    return IndexedLook(
        prompt, place, 100 + prompt if mark is None else mark, [Swatch(*each) for each in colours], vector(*values)
    )


@pytest.fixture
def index(tmp_path) -> SearchIndex:
    return SearchIndex(tmp_path / "index", "test", SIZE, "eyes", SIZE)


def add(index: SearchIndex, *texts: str, library: str = "mine", first: int = 1, **facts) -> None:
    prompts = [IndexedPrompt(library, n, text, mark=10 * n, **facts) for n, text in enumerate(texts, first)]
    index.add(prompts, np.stack([vector(1.0) for _ in texts]))


def find(index: SearchIndex, text: str = "", owner: str = "", **like) -> list[tuple[int, int]]:
    found = index.search(text, None, Filters(), owner, 10, like=Appearance(**like))
    return [(hit.prompt, hit.place) for hit in found]


def test_the_nearest_looks_come_first_with_their_cosine_and_the_place_of_the_image(index):
    add(index, "a", "b", "c", "no image")
    looks = [look(1, (1, 1)), look(1, (0, 1), place=1), look(2, (1, 0.1)), look(3, (-1,))]
    index.add_looks("mine", looks, 4)
    assert find(index, vector=vector(1)) == [(2, 0), (1, 0), (3, 0)]
    assert find(index, vector=vector(0, 1)) == [(1, 1), (2, 0), (3, 0)]
    first = index.search("", None, Filters(), "", 10, like=Appearance(vector(1)))[0]
    assert first.look == pytest.approx(0.995, abs=0.01) and (first.words, first.meaning, first.colour) == (None,) * 3
    assert find(index, vector=vector(1), without=("mine", 2)) == [(1, 0), (3, 0)]


def test_most_of_a_colour_comes_first_and_what_has_none_of_it_is_no_hit(index):
    add(index, "a", "b", "c", "no image")
    shares = [(0.3, 0.7), (0.9, 0.1), (0.0, 1.0)]
    index.add_looks("mine", [look(n, colours=((RED, r), (BLUE, b))) for n, (r, b) in enumerate(shares, 1)], 4)
    assert find(index, colour=RED) == [(2, 0), (1, 0)] and find(index, colour=BLUE) == [(3, 0), (1, 0), (2, 0)]
    assert index.search("", None, Filters(), "", 10, like=Appearance(None, RED))[0].colour == pytest.approx(
        0.9, abs=0.01
    )
    assert find(index, "no image", colour=RED) == [(2, 0), (1, 0)], "a colour is a condition, besides a rank"


def test_without_words_prompts_with_and_without_an_image_come_in_turns(index):
    add(index, *(f"prompt {number}" for number in range(9)))
    index.add_looks("mine", [look(2), look(5), look(7)], 10)
    found = [prompt for prompt, _ in find(index)]
    assert set(found[:6:2]) == {2, 5, 7} and len(found) == 9
    index.add([IndexedPrompt("other", 1, "another", mark=1)], np.stack([vector(1.0)]))
    assert [prompt for prompt, _ in find(index)][:6:2] == found[:6:2]


def test_words_and_looks_are_fused(index):
    add(index, "corgi", "corgi", "cat", "dog")
    index.add_looks("mine", [look(1, (0, 1)), look(2, (1,)), look(3, (1, 0.2)), look(4, (-1,))], 4)
    found = index.search("corgi", None, Filters(), "", 10, repeated=True, like=Appearance(vector(1)))
    assert found[0].prompt == 2 and len(found) == 4
    assert found[0].words is not None and found[0].look is not None


def test_looks_of_other_accounts_and_of_filtered_prompts_are_not_found(index):
    add(index, "mine", library="history", owner="ada", images=(ImageSettings(width=8, height=4),))
    add(index, "hers", library="history", first=2, owner="eve", images=(ImageSettings(width=4, height=8),))
    index.add_looks("history", [look(1), look(2)], 2)
    for like in ({"vector": vector(1)}, {"colour": RED}):
        assert find(index, owner="ada", **like) == [(1, 0)] and find(index, owner="eve", **like) == [(2, 0)]
        found = index.search("", None, Filters(size="portrait"), None, 10, like=Appearance(**like))
        assert [hit.prompt for hit in found] == [2]


def test_looks_are_added_once_and_only_of_prompts_that_are_there(index):
    add(index, "a", "b")
    index.add_looks("mine", [look(1), look(7)], 1)
    assert index.looked == {"mine": 1}
    index.add_looks("mine", [look(1), look(2)], 2)
    assert len(index._state().looks.records) == 2 and index.looked == {"mine": 2}
    index.add_looks("nowhere", [look(1)], 5)
    assert len(index._state().looks.records) == 2


def test_what_is_dropped_is_not_found_in_any_way_and_leaves_no_vector(index):
    add(index, "a red fox", "a blue whale")
    index.add_looks("mine", [look(1), look(2)], 2)
    index.drop("mine", [1], 2, 1)
    assert find(index) == [(2, 0)] == find(index, vector=vector(1)) == find(index, colour=RED)
    assert find(index, "fox") == [] and len(index) == 1 and index.tally("mine") == (1, 20)
    meaning = index.search("", vector(1), Filters(), "", 10)
    assert [hit.prompt for hit in meaning] == [2] and index.look("mine", 1) is None
    stored = [np.fromfile(index.folder / part, np.int8)[:SIZE] for part in ("values.i8", "looks/values.i8")]
    assert not np.any(stored)
    again = SearchIndex(index.folder, "test", SIZE, "eyes", SIZE)
    assert len(again) == 1 and find(again, vector=vector(1)) == [(2, 0)]


def test_a_number_that_was_dropped_can_come_again(index):
    add(index, "old", "older")
    index.add_looks("mine", [look(1), look(2)], 2)
    index.drop("mine", [2], 1, 1)
    assert (index.indexed, index.looked) == ({"mine": 1}, {"mine": 1})
    add(index, "new", first=2)
    index.add_looks("mine", [look(2, (0, 1))], 2)
    assert find(index, "new") == [(2, 0)] and find(index, "older") == []
    assert find(index, vector=vector(0, 1)) == [(2, 0), (1, 0)]


def test_a_library_that_is_removed_takes_its_looks_with_it(index):
    add(index, "a")
    index.add_looks("mine", [look(1)], 1)
    index.remove("mine")
    assert find(index, vector=vector(1)) == [] == find(index, colour=RED) and index.looked == {}
    add(index, "b")
    assert index.look("mine", 1) is None


def test_known_looks_are_found_by_the_mark_of_their_file(index):
    add(index, "a", "b")
    index.add_looks("mine", [look(1, (1, 2), mark=2**63 + 5), look(2, (3,), mark=0)], 2)
    colours, found = index.known_looks().get(2**63 + 5)
    assert found == pytest.approx(vector(1, 2), abs=0.01) and colours == [Swatch(RED, 1.0)]
    assert index.known_looks().get(7) is None and index.known_looks().get(0) is None, "0 is no mark"


def test_looks_of_another_encoder_are_of_no_use(index):
    add(index, "a")
    with pytest.raises(Damaged):
        SearchIndex(index.folder, "test", SIZE, "other eyes", SIZE).search("a", None, Filters(), "", 1)


def test_stars_are_those_of_now(index):
    add(index, "a", "b", images=(ImageSettings(stars=5, day=date(2026, 1, 1)),), library="history")
    add(index, "c", images=(ImageSettings(stars=4),))
    for stars, expected in (({1: 3, 2: 4}, {"b", "c"}), ({}, {"c"}), ({1: 5}, {"a", "c"})):
        found = index.search("", None, Filters(stars=4), "", 10, current=Current("history", stars))
        assert {"abc"[hit.prompt - 1] if hit.library == "history" else "c" for hit in found} == expected
