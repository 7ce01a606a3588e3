"""The search index over prompts: words, meaning, filters, and what survives a killed program."""

import random
import threading
import time
from datetime import date
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.core.discover import Filters
from limner.core.errors import LimnerError
from limner.store.search.index import Damaged, SearchIndex
from limner.store.search.table import ImageSettings, IndexedPrompt
from limner.store.search.vectors import Vectors

SIZE = 64


def vectors_of(count: int, seed: int = 0, size: int = SIZE) -> np.ndarray:
    """Unit vectors (count, size) in loose groups, as those of texts are."""
    chance = np.random.default_rng(seed)
    centres = chance.standard_normal((32, size))
    found = centres[chance.integers(0, 32, count)] + chance.standard_normal((count, size))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def vector(*near: float) -> np.ndarray:
    found = np.zeros(SIZE, np.float32)
    found[: len(near)] = near
    return found / np.linalg.norm(found)


def prompts(*texts: str, library: str = "mine", first: int = 1, **facts) -> list[IndexedPrompt]:
    return [IndexedPrompt(library, number, text, **facts) for number, text in enumerate(texts, first)]


@pytest.fixture
def index(tmp_path) -> SearchIndex:
    return SearchIndex(tmp_path / "index", "test", SIZE)


def added(index: SearchIndex, *found: IndexedPrompt) -> None:
    index.add(found, vectors_of(len(found), len(index)))


def numbers(index: SearchIndex, text: str = "", near=None, owner: str = "", limit: int = 10, **filters) -> list[int]:
    return [hit.prompt for hit in index.search(text, near, Filters(**filters), owner, limit)]


@pytest.mark.parametrize("part", [1.0, pytest.param(0.5, marks=pytest.mark.slow), 0.01])
def test_the_nearest_vectors_are_those_of_an_exact_search(tmp_path, part):
    vectors = vectors_of(20_000, size=256)
    store = Vectors(tmp_path, 256, 0)
    for start in range(0, len(vectors), 7000):
        store.add(vectors[start : start + 7000])
    mask = np.random.default_rng(1).random(len(vectors)) < part
    kept, recall = Vectors(tmp_path, 256, len(vectors)), []
    for query in vectors[:40] + 0.03 * np.random.default_rng(2).standard_normal((40, 256)).astype(np.float32):
        query /= np.linalg.norm(query)
        exact = np.argsort(-np.where(mask, vectors @ query, -2))[:10]
        found = kept.nearest(query, 10, None if part == 1 else mask)
        recall.append(len({row for row, _ in found} & set(exact.tolist())) / 10)
        assert all(cosine == pytest.approx(float(vectors[row] @ query), abs=0.02) for row, cosine in found)
        assert all(mask[row] for row, _ in found) or part == 1
    assert np.mean(recall) >= 0.95


def test_words_rank_by_rarity_and_match_in_other_forms(index):
    added(index, *prompts("a corgi running on a beach", "a cat on a sofa", "a dog on a beach", "Corgis, Café, night"))
    assert numbers(index, "corgi")[:2] and set(numbers(index, "corgi")) == {1, 4}
    assert numbers(index, "run beach")[0] == 1
    assert numbers(index, "CAFE") == [4] and numbers(index, "zebra") == []


@pytest.mark.parametrize("text", ["sks cat", "SKS", "a cat of sks"])
def test_the_prompt_with_every_word_is_first_even_if_others_are_nearer_in_meaning(index, text):
    texts = [f"a siamese cat in barn {number}" for number in range(30)] + ["a film photograph of sks cat at a window"]
    near = [vector(1, number / 100) for number in range(30)] + [vector(0, 0, 1)]
    index.add(prompts(*texts), np.stack(near))
    assert numbers(index, text, vector(1))[0] == 31
    assert numbers(index, "kitten", vector(1))[0] == 1, "meaning alone finds as before"
    assert numbers(index, "a siamese cat in barn 29", vector(1))[0] == 30, "numbers are words too"


def test_without_words_any_prompt_fits_in_an_order_that_stays(index):
    texts = [f"a lamp {number}" for number in range(300)]
    added(index, *prompts(*texts[:150]))
    added(index, *prompts(*texts[150:], first=151, unsafe=True))
    found = numbers(index, "  ", limit=1000)
    assert sorted(found) == [*range(1, 151)] and found != sorted(found)
    assert numbers(index, limit=20) == found[:20] and numbers(index, "zebra") == []
    assert len(numbers(index, limit=1000, unsafe=True)) == 300


def test_prompts_of_a_private_library_without_an_owner_are_not_seen(index):
    added(index, *prompts("a cat of nobody"), *prompts("a cat of ann", first=2, owner="ann"))
    added(index, *prompts("a cat of a library", library="other"))
    found = index.search("cat", None, Filters(), "ann", 10, private="mine")
    assert {(hit.library, hit.prompt) for hit in found} == {("mine", 2), ("other", 1)}
    assert len(index.search("cat", None, Filters(), "ann", 10)) == 3
    assert len(index.search("cat", None, Filters(), "ann", 10, private="nosuch")) == 3


def test_meaning_and_words_are_fused_and_each_hit_says_why(index):
    index.add(prompts("one", "two", "three"), np.stack([vector(1), vector(0, 1), vector(0, 0, 1)]))
    both, other, last = index.search("two", vector(1, 0.5), Filters(), "", 10)
    assert [both.prompt, other.prompt, last.prompt] == [2, 1, 3]
    assert both.words is not None and both.meaning == pytest.approx(0.447, abs=0.01)
    assert other.words is None and other.meaning == pytest.approx(0.894, abs=0.01)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"model": "SDXL"}, {1, 2}),
        ({"sampler": "euler"}, {1, 3}),
        ({"adapter": "rex"}, {2}),
        ({"size": "square"}, {1}),
        ({"size": "portrait"}, {2}),
        ({"size": "landscape"}, {3}),
        ({"size": "512x512"}, {1}),
        ({"steps": "20-30"}, {1, 2}),
        ({"steps": "31-"}, {3}),
        ({"steps": 20}, {1}),
        ({"guidance": "-5"}, {2, 3}),
        ({"since": date(2026, 5, 1)}, {2}),
        ({"until": date(2026, 5, 1)}, {1}),
        ({"stars": 4}, {3}),
        ({"model": "sdxl", "steps": "30"}, {2}),
        ({"model": "none such"}, set()),
        ({}, {1, 2, 3}),
    ],
)
def test_filters_hold_for_one_image_of_a_prompt(index, filters, expected):
    facts = (
        ImageSettings("sdxl-base", "", "euler", 512, 512, 20, 7.5, date(2026, 1, 1)),
        ImageSettings("sdxl-base", "rex dog", "ddim", 512, 768, 30, 5.0, date(2026, 6, 1)),
        ImageSettings("flux", "", "Euler a", 1024, 512, 50, 3.5, None, 5),
    )
    added(index, *(IndexedPrompt("mine", n, "same words", images=(each,)) for n, each in enumerate(facts, 1)))
    assert {*numbers(index, near=vector(1), **filters)} <= expected, "a text is found once"
    index.remove("mine")
    texts = ("first words", "second words", "third words")
    added(index, *(IndexedPrompt("ours", n, text, images=(facts[n - 1],)) for n, text in enumerate(texts, 1)))
    assert {*numbers(index, "words", **filters)} == expected == {*numbers(index, near=vector(1), **filters)}


def test_accounts_see_their_own_prompts_and_shared_ones(index):
    added(index, *prompts("a shared fox"), *prompts("a fox of ann", library="ann", owner="ann"))
    added(index, *prompts("a fox of ben", library="ben", owner="ben"))
    libraries = lambda owner: {hit.library for hit in index.search("fox", vector(1), Filters(), owner, 9)}  # noqa: E731
    assert libraries("") == {"mine"} and libraries("ann") == {"mine", "ann"} and libraries("carl") == {"mine"}


@pytest.mark.parametrize("column", ["owner", "library"])
def test_more_names_than_fit_make_no_prompt_shared(index, monkeypatch, column):
    monkeypatch.setattr("limner.store.search.table.MOST_NAMES", 2)
    added(index, IndexedPrompt("one", 1, "a fox", "ann"), IndexedPrompt("two", 1, "a red fox", "ben"))
    last = {"library": "one", "owner": "ben"} | {column: "carl"}
    with pytest.raises(LimnerError, match=f"the search index has 2 names of column '{column}'"):
        added(index, IndexedPrompt(prompt=2, text="a blue fox", **last))
    assert len(index) == 2 and numbers(index, "fox", owner="dora") == []
    found = index.search("fox", vector(1), Filters(), "ann", 9)
    assert [hit.library for hit in found] == ["one"]


def test_more_settings_than_fit_are_left_out(index, monkeypatch):
    monkeypatch.setattr("limner.store.search.table.MOST_NAMES", 1)
    models = [(ImageSettings(name),) for name in ("flux", "sdxl")]
    added(
        index, IndexedPrompt("mine", 1, "a fox", images=models[0]), IndexedPrompt("mine", 2, "a cat", images=models[1])
    )
    assert numbers(index, model="flux") == [1] and numbers(index, model="sdxl") == []
    assert len(numbers(index)) == 2


def test_unsafe_prompts_are_hidden_and_libraries_are_chosen(index):
    added(index, *prompts("a fox", library="one"), *prompts("a red fox", library="two", unsafe=True))
    found = [hit.library for hit in index.search("fox", None, Filters(), "", 9)]
    assert found == ["one"]
    assert {hit.library for hit in index.search("fox", None, Filters(unsafe=True), "", 9)} == {"one", "two"}
    assert [hit.library for hit in index.search("fox", None, Filters(unsafe=True, libraries=["two"]), "", 9)] == ["two"]
    assert index.search("fox", None, Filters(libraries=["three"]), "", 9) == []


def test_a_text_that_two_libraries_have_is_one_hit(index):
    added(index, *prompts("A  fox", library="one"), *prompts("a fox", library="two"))
    assert len(index.search("fox", vector(1), Filters(), "", 9)) == 1


def test_a_removed_library_is_not_found_and_may_come_again(index):
    added(index, *prompts("a fox", library="one"), *prompts("a red fox", library="two"))
    index.remove("one")
    assert [hit.library for hit in index.search("fox", vector(1), Filters(), "", 9)] == ["two"]
    assert index.indexed == {"two": 1}
    added(index, *prompts("a blue fox", library="one"))
    assert len(index.search("fox", vector(1), Filters(), "", 9)) == 2


def test_another_encoder_or_a_damaged_file_asks_for_a_new_index(index):
    added(index, *prompts("a fox", "a cat"))
    with pytest.raises(Damaged, match="test"):
        len(SearchIndex(index.folder, "another", SIZE))
    for name in ("values.i8", "codes.u64", "rows.bin"):
        whole = (index.folder / name).read_bytes()
        (index.folder / name).write_bytes(whole[:-1])
        with pytest.raises(Damaged):
            len(SearchIndex(index.folder, "test", SIZE))
        (index.folder / name).write_bytes(whole)
    (index.folder / "index.json").write_text("{")
    with pytest.raises(Damaged):
        len(SearchIndex(index.folder, "test", SIZE))


def test_another_program_sees_what_was_added(index):
    other = SearchIndex(index.folder, "test", SIZE)
    assert numbers(other, "fox") == []
    added(index, *prompts("a fox"))
    assert numbers(other, "fox") == [1]
    added(other, *prompts("another fox", first=2))
    assert {*numbers(index, "fox")} == {1, 2}


def test_what_another_program_added_meanwhile_is_not_added_again(index):
    added(index, *prompts("a fox", "a cat"))
    added(index, *prompts("a fox", "a cat", "a dog"))
    assert len(index) == 3 and numbers(index, "fox") == [1]


def test_it_is_searched_while_prompts_are_added(index):
    added(index, *prompts(*(f"fox number {number}" for number in range(300))))
    failures, stop = [], threading.Event()

    def search() -> None:
        while not stop.is_set():
            try:
                if len(index.search("fox", vectors_of(1)[0], Filters(), "", 10)) != 10:
                    failures.append("too few")
            except Exception as error:
                failures.append(error)

    thread = threading.Thread(target=search)
    thread.start()
    for start in range(300, 1500, 100):
        added(index, *prompts(*(f"fox number {number}" for number in range(start, start + 100)), first=start + 1))
    stop.set()
    thread.join()
    assert failures == [] and len(index) == 1500


def add_for_ever(folder: Path) -> None:
    index = SearchIndex(folder, "test", SIZE)
    while True:
        first = len(index) + 1
        added(index, *prompts(*(f"fox number {first + each}" for each in range(5)), first=first))


@pytest.mark.slow
def test_a_program_that_is_killed_while_it_adds_leaves_the_index_whole(index):
    chance, before = random.Random(3), 0
    fresh = get_context("forkserver")  # a fork of this process would inherit locks that its threads hold
    fresh.set_forkserver_preload([__name__])
    for _ in range(100):
        adding = fresh.Process(target=add_for_ever, args=(index.folder,))
        adding.start()
        until = time.monotonic() + 30
        while len(SearchIndex(index.folder, "test", SIZE)) == before and time.monotonic() < until:
            time.sleep(0.01)
        adding.join(chance.uniform(0, 0.05))
        adding.kill()
        adding.join()
        opened = SearchIndex(index.folder, "test", SIZE)
        count = len(opened)
        assert count > before and count % 5 == 0 and opened.indexed == {"mine": count}
        assert numbers(opened, f"number {count}")[0] == count and numbers(opened, f"{count + 1}") == []
        before = count


@settings(deadline=None)
@given(st.text(max_size=300) | st.text(alphabet='"()[]{}+-*:^~\\/ANDORT \u200b\ud800é猫', max_size=80))
def test_no_text_makes_a_search_fail(tmp_path_factory, text):
    index = SHARED.setdefault("index", SearchIndex(tmp_path_factory.mktemp("index"), "test", SIZE))
    if not len(index):
        added(index, *prompts("a fox AND a (cat)", 'say "hello"'))
    assert len(index.search(text, vector(1), Filters(), "", 5)) == 2


SHARED: dict[str, SearchIndex] = {}


@pytest.mark.parametrize("text", ['"' * 10_000, "fox " * 2500, "(" * 10_000, "a" * 10_000, "猫" * 10_000])
def test_long_texts_are_searched(index, text):
    added(index, *prompts("a fox"))
    assert len(index.search(text, vector(1), Filters(), "", 5)) == 1


def test_a_library_that_is_removed_again_and_again(index):
    for number in range(4):
        added(index, *prompts("a cat", first=number + 1), *prompts("a dog", library=f"other {number}"))
        assert numbers(index, "cat") == [number + 1]
        assert numbers(index, "dog", libraries=[f"other {number}"]) == [1]
        index.remove("mine")
        assert numbers(index, "cat") == []
