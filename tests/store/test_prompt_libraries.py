"""Libraries of prompts: what an import writes into them, and what is left of a file that changed or is gone."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.core.errors import LimnerError, Unavailable
from limner.core.prompt_records import LibraryFacts, PromptRecord
from limner.store import prompt_libraries
from limner.store.locks import Locked, library_lock
from limner.store.prompt_imports import FileRows, KnownFile, writing
from limner.store.prompt_libraries import PromptLibraries, PromptLibrary

FULL = PromptRecord(
    "a cat", "blurry", "/x/a.png", "dream", "pets", "euler", 512, 768, 20, 7.5, 2**64 - 1, 4,
    datetime(2022, 8, 10, tzinfo=UTC),
)  # fmt: skip


@pytest.fixture
def libraries(tmp_path) -> PromptLibraries:
    return PromptLibraries(tmp_path / "libraries")


@pytest.fixture
def library(libraries) -> PromptLibrary:
    return libraries.create(LibraryFacts("pets", "/pets"))


def saved(library: PromptLibrary, *files: FileRows, refused: tuple[str, ...] = (), seen: tuple[str, ...] = ()) -> None:
    with writing(library) as writer:
        writer.save(files, refused, seen)
        writer.drop_unused()


def rows(name: str, *records: PromptRecord, stamp: str = "1", anew: bool = False, skipped: int = 0) -> FileRows:
    return FileRows(name, stamp, anew, len(records), True, skipped, [*records])


def content(library: PromptLibrary) -> dict[str, tuple[bool, int]]:
    """Whether each prompt is unsafe, and the number of its images."""
    found = {}
    for prompt in library.prompts(0, 1000):
        records, count = library.records([prompt.prompt])[prompt.prompt]
        assert len(records) == min(100, count) == min(100, len(prompt.images))
        found[prompt.text] = (prompt.unsafe, count)
    return found


def test_a_record_comes_back(library):
    saved(library, rows("a.csv", FULL, PromptRecord("a dog", seed=0)))
    assert library.records([1, 2, 3]) == {1: ([FULL], 1), 2: ([PromptRecord("a dog", seed=0)], 1)}
    (first, second) = library.prompts(0, 10, owner="anna")
    assert (first.library, first.owner, first.images[0].day) == ("pets", "anna", datetime(2022, 8, 10).date())
    assert library.prompts(1, 10, "anna") == [second] and library.prompts(0, 1, "anna") == [first]


def test_equal_prompts_are_one_with_all_images(library):
    many = [PromptRecord("a cat", image=f"/x/{number}.png") for number in range(98)]
    saved(library, rows("a.csv", *many), rows("b.csv", PromptRecord("A  Cat"), PromptRecord("a cat")))
    assert content(library) == {"a cat": (False, 100)}
    saved(library, rows("c.csv", PromptRecord("a cat", negative="x"), PromptRecord("a dog")))
    assert content(library) == {"a cat": (False, 101), "a dog": (False, 1)}


def test_an_image_that_is_listed_again_with_its_prompt_is_one(library):
    for image, count in (("/x/a.png", 1), ("https://example.org/a.png", 1), ("a.png", 3), ("", 3)):
        text = f"a cat {image}"
        record = PromptRecord(text, image=image)
        saved(library, rows(f"{image}1", record, record), rows(f"{image}2", record.marked()))
        assert content(library)[text] == (True, count), "what any table says of unsafe counts"
    saved(library, rows("captions", PromptRecord("another caption", image="/x/a.png")))
    assert content(library)["another caption"] == (False, 1)
    with writing(library) as writer:
        assert writer.has_image("/x/a.png") and not writer.has_image("/x/b.png") and not writer.has_image("a.png")


def test_an_image_stays_while_any_file_lists_it(library):
    record = PromptRecord("a cat", image="/x/a.png", steps=20)
    other = replace(record, steps=30)
    saved(library, rows("1", record), rows("2", other))
    assert content(library) == {"a cat": (False, 1)} and library.facts.images == 1
    saved(library, rows("1", stamp="2", anew=True))
    assert content(library) == {"a cat": (False, 1)} and library.facts.images == 1
    assert library.records([1])[1][0] == [other]
    saved(library, rows("1", record, stamp="3", anew=True))
    assert library.records([1])[1][0] == [record], "what the first file says counts"


def test_new_texts_are_those_of_new_prompts(library):
    saved(library, rows("a.csv", PromptRecord("a cat")))
    with writing(library) as writer:
        assert writer.new_texts(["A CAT", "a dog", "a  dog", "a bird"]) == ["a dog", "a bird"]
        assert writer.new_texts(f"a cat {number}" for number in range(2000)) == [f"a cat {n}" for n in range(2000)]


def test_a_file_that_is_read_anew_replaces_its_old_rows(library):
    both, one, other = PromptRecord("both"), PromptRecord("one"), PromptRecord("other")
    saved(library, rows("a.csv", both.marked(), one, skipped=3), rows("b.csv", both, other))
    assert content(library) == {"both": (True, 2), "one": (False, 1), "other": (False, 1)}
    saved(library, rows("a.csv", one, stamp="2", anew=True, skipped=1))
    assert content(library) == {"both": (False, 1), "other": (False, 1), "one": (False, 1)}
    assert library.facts.skipped == 1
    saved(library, rows("b.csv", stamp="2", anew=True))
    assert content(library) == {"one": (False, 1)}


def test_a_refused_prompt_stays_hidden_whatever_its_images(library):
    saved(library, rows("a.csv", PromptRecord("bad"), PromptRecord("good")), refused=("bad",))
    saved(library, rows("b.csv", PromptRecord("BAD").marked()))
    saved(library, rows("b.csv", stamp="2", anew=True))
    assert content(library) == {"bad": (True, 1), "good": (False, 1)}
    assert library.facts.unsafe == 1


def test_files_that_are_gone_are_forgotten(library):
    saved(library, rows("a", PromptRecord("a")), rows("b", PromptRecord("b")), rows("c", PromptRecord("c")))
    with writing(library) as writer:
        writer.save([rows("c", PromptRecord("d"), stamp="2", anew=True)], (), ("b",))
        assert writer.file("a") == KnownFile("1", 1, True) and writer.file("x") is None
        assert writer.forget_missing(are_images=True) == 0
        assert writer.forget_missing(are_images=False) == 1 and writer.forget_missing(are_images=False) == 0
        assert writer.file("a") is None
        writer.drop_unused()
    assert content(library) == {"b": (False, 1), "d": (False, 1)}


def test_reading_goes_on_in_a_file(library):
    first = FileRows("a", "1", False, 2, False, 1, [PromptRecord("a")])
    saved(library, first)
    with writing(library) as writer:
        assert writer.file("a") == KnownFile("1", 2, False)
    saved(library, FileRows("a", "1", False, 4, True, 1, [PromptRecord("b")]))
    assert library.facts.skipped == 2 and set(content(library)) == {"a", "b"}


def test_only_changes_make_the_index_stale(library):
    assert library.is_stale and not library.is_indexed(0)
    saved(library, rows("a", PromptRecord("a"), PromptRecord("b")))
    library.begin_index()
    assert not library.is_stale and library.is_indexed(2) and not library.is_indexed(1)
    saved(library, seen=("a",))
    saved(library, rows("empty", skipped=1))
    assert library.is_indexed(2)
    for change in (rows("c", PromptRecord("a")), rows("c", stamp="2", anew=True)):
        saved(library, change)
        assert library.is_stale and not library.is_indexed(2)
        library.begin_index()


def test_prompts_keep_their_numbers_which_are_not_used_again(library):
    saved(library, rows("a", PromptRecord("a"), PromptRecord("b")))
    saved(library, rows("a", PromptRecord("c"), PromptRecord("A"), stamp="2", anew=True))
    assert [(each.prompt, each.text) for each in library.prompts(0, 9)] == [(1, "a"), (3, "c")]
    saved(library, rows("a", stamp="3", anew=True))
    saved(library, rows("a", PromptRecord("d"), stamp="4", anew=True))
    (last,) = library.prompts(0, 9)
    assert last.text == "d" and last.prompt > 3


def test_a_transaction_that_fails_changes_nothing(library):
    saved(library, rows("a", PromptRecord("a")))
    broken = replace(PromptRecord("c"), negative=object())  # type: ignore[arg-type]
    with pytest.raises(sqlite3.Error), writing(library) as writer:
        writer.save([rows("a", PromptRecord("b"), stamp="2", anew=True), rows("b", broken)], ())
    assert content(library) == {"a": (False, 1)}
    with writing(library) as writer:
        assert writer.file("a") == KnownFile("1", 1, True) and writer.file("b") is None


def test_a_full_disk_is_one_line(library, monkeypatch):
    connect = sqlite3.connect

    def small(*given, **more):
        database = connect(*given, **more)
        database.execute("pragma max_page_count = 40")
        return database

    monkeypatch.setattr(sqlite3, "connect", small)
    many = [PromptRecord(f"a cat {number} " * 50) for number in range(500)]
    with pytest.raises(Unavailable) as raised:
        saved(library, rows("a", *many))
    assert str(raised.value) == (
        f"no space is left to write '{library.folder}'; free some disk space, then repeat the command"
    )
    monkeypatch.undo()
    assert content(library) == {}
    saved(library, rows("a", *many))
    assert len(content(library)) == 500


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda path: path.write_bytes(b"no database at all" * 1000), "is damaged; remove it and add it again"),
        (lambda path: sqlite3.connect(path).executescript("pragma user_version = 99"), "was made by another version"),
    ],
)
def test_a_damaged_library(libraries, library, damage, expected):
    saved(library, rows("a", PromptRecord("a")))
    damage(library.folder / prompt_libraries.DATABASE)
    with pytest.raises(LimnerError) as raised:
        saved(library)
    assert str(raised.value).startswith(f"library 'pets' {expected}") and str(raised.value).endswith(
        "limner discover remove pets"
    )
    assert [each.facts.name for each in libraries] == ["pets"], "it is listed, and can be removed"
    libraries.remove("pets")
    assert [*libraries] == []


def test_names_and_sources(libraries, library, tmp_path):
    assert "pets" in libraries and "../pets" not in libraries and "cats" not in libraries
    for name in ("", "..", "a/b", "A", ".x", "x" * 65, "a\n", "é"):
        with pytest.raises(LimnerError, match="is no name of a library; use up to 64"):
            libraries.create(LibraryFacts(name, "/x"))
    with pytest.raises(LimnerError, match="there is no library 'cats'; `limner discover list` lists them"):
        libraries.get("cats")
    with pytest.raises(LimnerError, match="library 'pets' is of '/pets'; choose another --name, or remove it"):
        libraries.create(LibraryFacts("pets", "/other"))
    with pytest.raises(LimnerError, match=r"^the name 'pets' is taken; choose another --name$"):
        libraries.create(LibraryFacts("pets", "/pets", owner="anna"))
    with pytest.raises(LimnerError, match=r"the source .* has bytes that are no UTF-8"):
        libraries.create(LibraryFacts("odd", "/\udcff"))
    assert "odd" not in libraries


def test_what_is_given_again_counts(libraries):
    first = LibraryFacts("pets", "/pets", "CC0", columns={"prompt": "x"}, complete=True, prompts=7)
    assert libraries.create(first).facts == replace(first, complete=False, prompts=0)
    assert libraries.create(LibraryFacts("pets", "/pets")).facts.columns == {"prompt": "x"}
    found = libraries.create(LibraryFacts("pets", "/pets", "MIT", columns={"prompt": "y"})).facts
    assert (found.licence, found.columns) == ("MIT", {"prompt": "y"})


def test_a_library_is_removed_as_a_whole(libraries, library):
    saved(library, rows("a", PromptRecord("a")))
    libraries.remove("pets")
    assert [*libraries] == [] and not library.folder.exists()
    with pytest.raises(LimnerError, match="there is no library 'pets'"):
        libraries.remove("pets")
    assert content(libraries.create(LibraryFacts("pets", "/other"))) == {}


def test_what_a_killed_removal_left_is_not_taken_over(libraries, library):
    saved(library, rows("a", PromptRecord("a")))
    (library.folder / prompt_libraries.FACTS).unlink()
    assert [*libraries] == []
    assert content(libraries.create(LibraryFacts("pets", "/other"))) == {}


def test_a_lock_is_that_of_one_library(tmp_path):
    with library_lock(tmp_path / "a"), library_lock(tmp_path / "b"):
        expected = "library 'a' is being imported by another program; wait until that ends, or stop it"
        with pytest.raises(Locked, match=f"^{expected}$"), library_lock(tmp_path / "a"):
            pass
    with library_lock(tmp_path / "a"):
        assert not (tmp_path / "a").exists()


IMAGES = st.sampled_from(["", "x.png", "/x.png"])
RECORDS = st.builds(PromptRecord, st.sampled_from(["a", "A", "b"]), image=IMAGES, unsafe=st.booleans())
CONTENTS = st.dictionaries(st.sampled_from(["1", "2", "3"]), st.lists(RECORDS, max_size=6), max_size=3)


@given(st.lists(CONTENTS, min_size=1, max_size=4))
@settings(max_examples=25, deadline=None)
def test_after_any_changes_it_is_as_if_it_were_new(tmp_path_factory, contents):
    """A source is imported in several states; each file that changed is read anew, in any number of transactions."""
    folder = tmp_path_factory.mktemp("libraries")
    changed = PromptLibraries(folder / "changed").create(LibraryFacts("x", "/x"))
    for state in contents:
        with writing(changed) as writer:
            for name, records in state.items():
                stamp = repr(records)
                known = writer.file(name)
                if known and known.stamp == stamp:
                    writer.save((), (), (name,))
                    continue
                half = len(records) // 2
                writer.save([FileRows(name, stamp, known is not None, half, False, 0, records[:half])], ())
                writer.save([FileRows(name, stamp, False, len(records), True, 0, records[half:])], ())
            writer.forget_missing(are_images=False)
            writer.drop_unused()
    fresh = PromptLibraries(folder / "fresh").create(LibraryFacts("x", "/x"))
    with writing(fresh) as writer:
        for name, records in contents[-1].items():
            writer.save([rows(name, *records, stamp=repr(records))], ())
    assert {key.lower(): value for key, value in content(changed).items()} == {
        key.lower(): value for key, value in content(fresh).items()
    }
