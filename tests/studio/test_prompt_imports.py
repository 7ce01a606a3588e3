"""Imports of prompts into libraries: what is read twice, what changed, what is stopped, and what the index has then."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from forking import forked
from limner.core.accounts import Caller
from limner.core.discover import Filters
from limner.core.errors import LimnerError
from limner.core.prompt_records import LibraryFacts
from limner.data.prompts.grammar import made_prompts
from limner.store.locks import Locked, library_lock, waiting_lock
from limner.studio import prompt_imports
from limner.studio.prompt_imports import Import, PromptImport
from limner.studio.studio import Studio

UNSAFE = "a fake passport"


@pytest.fixture
def studio(home: Path):
    studio = Studio()
    yield studio
    studio.store.close()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return lines(tmp_path / "pets.jsonl", *({"prompt": f"a cat {number}", "seed": number} for number in range(4)))


def lines(path: Path, *found: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(each) + "\n" for each in found))
    return path


def append(path: Path, *found: Any) -> None:
    with path.open("a") as file:
        file.writelines(json.dumps(each) + "\n" for each in found)


def picture(path: Path, prompt: str = "") -> None:
    info = PngInfo()
    if prompt:
        info.add_text("parameters", prompt)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8)).save(path, pnginfo=info)


def add(studio: Studio, source: Path, name: str = "pets", **more: Any) -> Import:
    stop = more.pop("stop", lambda: False)
    facts = LibraryFacts(name, str(source), **more)
    return studio.discover.add(Caller(), facts, lambda event: None, stop)


def indexed(studio: Studio) -> Counter[Any]:
    """What the index has of libraries: their prompts, with their images, by texts."""
    state = studio.discover.upkeep.index._state()
    names = state.numbers.names
    images: dict[int, list[Any]] = {}
    for row, *values in state.pictures.records.tolist():
        images.setdefault(row, []).append(tuple(values))
    found: Counter[Any] = Counter()
    for row, (library, owner, _, text, _, unsafe) in enumerate(state.entries.records.tolist()):
        if not (name := names["library"][library]).startswith("\0"):
            found[name, names["owner"][owner], text, unsafe, tuple(sorted(images.get(row, ())))] += 1
    return found


def search(studio: Studio, text: str, **filters: Any) -> dict[str, int]:
    """The prompts that are found, with the numbers of their images."""
    hits = studio.discover.search(Caller(), text, Filters(**filters), 100)
    return {hit.text: hit.images for hit in hits}


def equals_a_fresh_import(studio: Studio, source: Path, name: str = "pets") -> bool:
    before, known = indexed(studio), studio.discover.libraries.get(name).facts
    studio.discover.remove(Caller(), name)
    assert not [key for key in indexed(studio) if key[0] == name]
    facts = add(studio, source, name).facts
    return before == indexed(studio) and (facts.prompts, facts.images, facts.unsafe, facts.skipped) == (
        known.prompts, known.images, known.unsafe, known.skipped,
    )  # fmt: skip


def test_a_source_that_is_added_twice_adds_nothing(studio, source):
    append(source, {"prompt": "A  CAT 1"}, {"prompt": ""})
    done = add(studio, source)
    assert (done.rows, done.skipped, done.facts.prompts, done.facts.images) == (6, 1, 4, 0)
    assert done.problems == (("line 6 of pets.jsonl", "there is no prompt; fill it in"),)
    before = indexed(studio)
    again = add(studio, source)
    assert (again.rows, again.skipped, again.facts) == (0, 0, done.facts) and again.facts.complete
    assert indexed(studio) == before and len(studio.discover.upkeep.index) == 4, "nothing is indexed again"
    assert search(studio, "a cat 1")["a cat 1"] == 2


def test_a_file_that_changed_is_read_anew(studio, source):
    add(studio, source)
    append(source, {"prompt": "a dog"}, {"prompt": "a cat 1"})
    done = add(studio, source)
    assert (done.rows, done.facts.prompts) == (6, 5)
    assert search(studio, "a")["a dog"] == 1 and search(studio, "a")["a cat 1"] == 2
    lines(source, {"prompt": "a bird"})
    done = add(studio, source)
    assert done.facts.prompts == 1 and search(studio, "a") == {"a bird": 1}
    os.utime(source, (1, 1))
    assert add(studio, source).facts == done.facts and search(studio, "a") == {"a bird": 1}
    assert equals_a_fresh_import(studio, source)


def test_other_columns_are_read_anew(studio, tmp_path):
    source = lines(tmp_path / "a.jsonl", {"prompt": "a cat", "other": "a dog"})
    add(studio, source)
    assert add(studio, source, columns={"prompt": "other"}).facts.columns == {"prompt": "other"}
    assert search(studio, "a") == {"a dog": 1}
    assert add(studio, source).rows == 0, "they are remembered"


def test_a_folder_whose_files_come_and_go(studio, tmp_path):
    folder = tmp_path / "set"
    lines(folder / "a.jsonl", {"prompt": "a cat"}, {"prompt": "a dog"})
    lines(folder / "b.jsonl", {"prompt": "a cat"})
    picture(folder / "c.png", "a cat")
    assert add(studio, folder).facts.images == 1 and search(studio, "a") == {"a cat": 3, "a dog": 1}
    (folder / "a.jsonl").unlink()
    picture(folder / "d.png", "a bird")
    done = add(studio, folder)
    assert done.rows == 1, "only the new one is read"
    assert search(studio, "a") == {"a cat": 2, "a bird": 1}
    picture(folder / "d.png", "a fox")
    (folder / "e").mkdir()
    (folder / "c.png").rename(folder / "e/c.png")
    assert add(studio, folder).rows == 2 and search(studio, "a") == {"a cat": 2, "a fox": 1}
    assert equals_a_fresh_import(studio, folder)


def test_nothing_is_forgotten_where_a_folder_cannot_be_read(studio, tmp_path, monkeypatch):
    folder = tmp_path / "set"
    lines(folder / "a.jsonl", {"prompt": "a cat"})
    lines(folder / "b/b.jsonl", {"prompt": "a dog"})
    add(studio, folder)
    scan = os.scandir

    def closed(path: Path):
        if Path(path).name == "b":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", closed)
    done = add(studio, folder)
    assert done.problems == (("b", "you have no permission to read 'b'; allow it: chmod u+r 'b'"),)
    assert search(studio, "a") == {"a cat": 1, "a dog": 1}


def test_images_that_a_table_names_are_not_read_again(studio, tmp_path):
    folder = tmp_path / "set"
    lines(
        folder / "metadata.jsonl", {"prompt": "a cat", "file_name": "a.png"}, {"prompt": "a same one", "image": "a.png"}
    )
    lines(folder / "more.jsonl", {"prompt": "a cat", "file_name": "a.png", "nsfw": True})
    picture(folder / "a.png", "a fox")
    picture(folder / "b.png", "a dog")
    done = add(studio, folder)
    assert (done.rows, done.skipped, done.facts.images) == (4, 0, 3)
    assert search(studio, "a", unsafe=True) == {"a cat": 1, "a same one": 1, "a dog": 1}
    assert search(studio, "a") == {"a same one": 1, "a dog": 1}, "one table says that it is unsafe"
    (folder / "metadata.jsonl").unlink()
    (folder / "more.jsonl").unlink()
    assert add(studio, folder).rows == 1 and search(studio, "a") == {"a fox": 1, "a dog": 1}


def test_unsafe_prompts_are_hidden(studio, tmp_path):
    found = (
        {"prompt": UNSAFE},
        {"prompt": "a cat", "nsfw": 0.9},
        {"prompt": "a dog", "image_nsfw": 2.0},
        {"prompt": "a fox"},
    )
    source = lines(tmp_path / "a.jsonl", *found)
    assert add(studio, source).facts.unsafe == 3
    assert search(studio, "a") == {"a fox": 1}
    assert set(search(studio, "a", unsafe=True)) == {UNSAFE, "a cat", "a dog", "a fox"}


def test_one_prompt_in_many_libraries_is_one_hit(studio, source):
    add(studio, source, "one")
    add(studio, source, "two")
    assert len(search(studio, "a")) == 4
    assert len(studio.discover.search(Caller(), "cat", Filters(), 100)) == 4


def test_removing_a_library_leaves_nothing_and_frees_its_name(studio, source, tmp_path):
    add(studio, source)
    other = lines(tmp_path / "other.jsonl", {"prompt": "a dog"})
    with pytest.raises(LimnerError, match="library 'pets' is of"):
        add(studio, other)
    studio.discover.remove(Caller(), "pets")
    assert search(studio, "a") == {} and studio.discover.list(Caller()) == []
    add(studio, other)
    assert search(studio, "a") == {"a dog": 1}
    studio.discover.upkeep.rebuild()
    assert search(studio, "a") == {"a dog": 1} and len(studio.discover.upkeep.index) == 1


def test_a_removal_that_was_killed_is_finished_by_the_next_search(studio, source, tmp_path, monkeypatch):
    add(studio, source)
    add(studio, lines(tmp_path / "other.jsonl", {"prompt": "a dog"}), "other")

    def killed(name: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(studio.discover.upkeep.index, "remove", killed)
        studio.discover.remove(Caller(), "pets")
    assert search(studio, "a") == {"a dog": 1}
    assert {key[0] for key in indexed(studio)} == {"other"}


def test_a_hit_whose_library_is_removed_meanwhile_is_left_out(studio, source, monkeypatch):
    add(studio, source)
    monkeypatch.setattr(studio.discover.upkeep, "refresh", lambda: studio.discover.libraries.remove("pets"))
    assert search(studio, "a") == {}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([{"x": 1}, {"x": 2}], "line 1 of a.jsonl: there is no prompt; name its column"),
        ([{"prompt": "a", "seed": "x"}], "line 1 of a.jsonl: seed is 'x'"),
        ([], "a.jsonl: 'a.jsonl' is empty"),
    ],
)  # fmt: skip
def test_a_source_without_prompts_makes_no_library(studio, tmp_path, rows, expected):
    source = lines(tmp_path / "a.jsonl", *rows)
    with pytest.raises(LimnerError) as raised:
        add(studio, source)
    assert str(raised.value).startswith(f"'a.jsonl' has no prompt that can be used: {expected}")
    with pytest.raises(LimnerError, match="does not exist"):
        add(studio, tmp_path / "gone.csv")
    assert studio.discover.list(Caller()) == []


def test_a_library_outlives_a_source_that_is_gone(studio, source):
    add(studio, source)
    source.unlink()
    with pytest.raises(LimnerError, match="does not exist"):
        add(studio, source)
    assert len(search(studio, "a")) == 4 and studio.discover.list(Caller())[0].complete


def test_an_unknown_field_is_named(studio, source):
    with pytest.raises(LimnerError, match="unknown field 'promt'; did you mean 'prompt'"):
        add(studio, source, columns={"promt": "x"})


def test_an_import_stops_after_a_batch_and_goes_on(studio, source, monkeypatch):
    monkeypatch.setattr(prompt_imports, "BATCH", 2)
    append(source, {"prompt": ""}, {"prompt": "a dog"})
    for rows in (2, 4, 6):
        done = add(studio, source, stop=lambda: True)
        assert (done.facts.complete, done.rows, done.facts.skipped) == (False, 2, int(rows > 4))
        assert search(studio, "a") == {}, "it is searched when all of it is read"
        assert studio.discover.list(Caller())[0].prompts == done.facts.prompts
    done = add(studio, source)
    assert (done.rows, done.facts.complete, done.facts.skipped) == (0, True, 1) and len(search(studio, "a")) == 5
    assert equals_a_fresh_import(studio, source)


def test_reading_changes_is_stopped_and_goes_on(studio, source, monkeypatch):
    add(studio, source)
    monkeypatch.setattr(prompt_imports, "BATCH", 2)
    append(source, {"prompt": "a dog"})
    assert not add(studio, source, stop=lambda: True).facts.complete
    assert add(studio, source).rows == 3 and len(search(studio, "a")) == 5
    assert equals_a_fresh_import(studio, source)


def test_a_damaged_file_is_reported_once_also_where_it_is_read_in_parts(studio, tmp_path, monkeypatch):
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tmp_path / "set"
    lines(folder / "a.jsonl", {"prompt": "a cat"})
    pq.write_table(pa.table({"prompt": [f"a dog {n}" for n in range(9)]}), folder / "b.parquet", row_group_size=3)
    data = bytearray((folder / "b.parquet").read_bytes())
    data[len(data) // 3 : len(data) // 3 + 40] = b"\xff" * 40
    (folder / "b.parquet").write_bytes(data)
    monkeypatch.setattr(prompt_imports, "BATCH", 1)
    for asked in range(1, 30):
        answers = iter([False] * asked + [True] * 100)
        if (done := add(studio, folder, stop=lambda answers=answers: next(answers))).facts.complete:
            break
    assert asked > 1 and done.facts.complete and done.facts.skipped == 1 and 1 <= done.facts.prompts < 10
    assert equals_a_fresh_import(studio, folder)


def test_indexing_is_stopped_and_goes_on(studio, source, monkeypatch):
    monkeypatch.setattr("limner.studio.index_upkeep.BATCH", 3)
    done = add(studio, source, stop=lambda: True)
    assert done.facts.complete and not done.indexed and len(indexed(studio)) == 3
    assert add(studio, source).indexed and len(indexed(studio)) == 4
    studio.discover.upkeep.rebuild()
    add(studio, lines(source, {"prompt": "a dog"}))
    assert search(studio, "a") == {"a dog": 1}


@pytest.mark.parametrize("step", ["begin_index", "prompts"])
def test_an_index_that_was_killed_is_finished_by_the_next_search(studio, source, monkeypatch, step):
    monkeypatch.setattr("limner.studio.index_upkeep.BATCH", 3)
    add(studio, source)
    append(source, {"prompt": "a dog"}, {"prompt": "a cat 1"})
    library, calls = type(studio.discover.libraries.get("pets")), list[str]()
    real = getattr(library, step)

    def killed(self, *given):
        calls.append(step)
        if len(calls) == (1 if step == "begin_index" else 2):
            raise KeyboardInterrupt
        return real(self, *given)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(library, step, killed)
        add(studio, source)
    assert search(studio, "a cat 1")["a cat 1"] == 2 and len(search(studio, "a")) == 5
    assert equals_a_fresh_import(studio, source)


def test_two_imports_of_a_library_at_once(studio, source, limner, home):
    with library_lock(home / "libraries/pets"):
        said = limner("discover", "add", source)
        assert said.code and said.error == (
            "library 'pets' is being imported by another program; wait until that ends, or stop it"
        )
        assert "discover" not in said.out
        add(studio, source, "other")
    add(studio, source)
    with library_lock(home / "libraries/pets"), pytest.raises(Locked):
        studio.discover.remove(Caller(), "pets")


def test_a_damaged_index_is_built_again(studio, source, tmp_path, home):
    add(studio, source)
    other = lines(tmp_path / "other.jsonl", {"prompt": "a dog"})
    for act in (lambda: add(studio, other, "other"), lambda: studio.discover.remove(Caller(), "pets")):
        (home / "index/index.json").write_text("{")
        act()
    assert search(studio, "a") == {"a dog": 1} and {key[0] for key in indexed(studio)} == {"other"}


def test_an_import_while_another_program_indexes_for_long(studio, source, monkeypatch):
    monkeypatch.setattr("limner.studio.index_upkeep.UPKEEP_SECONDS", 0)
    with waiting_lock(studio.discover.upkeep._lock):
        done = add(studio, source)
    assert done.facts.complete and not done.indexed and not indexed(studio)
    assert len(search(studio, "a")) == 4 and add(studio, source).indexed


def test_a_search_does_not_wait_for_an_import(studio, source, tmp_path):
    add(studio, source)
    append(source, {"prompt": "a dog"})
    with waiting_lock(studio.discover.upkeep._lock):
        library = studio.discover.libraries.get("pets")
        PromptImport(library, studio.gate.moderator, lambda event: None).read(lambda: False)
        before = time.monotonic()
        assert len(search(studio, "a")) == 4 and time.monotonic() - before < 20
    assert len(search(studio, "a")) == 5


def test_a_full_disk_is_one_line_and_the_import_goes_on(studio, limner, tmp_path, monkeypatch):
    monkeypatch.setattr(prompt_imports, "BATCH", 20)
    source = lines(tmp_path / "pets.jsonl", *({"prompt": f"a cat {number} " * 60} for number in range(200)))
    connect = sqlite3.connect

    def small(path, *given, **more):
        database = connect(path, *given, **more)
        if str(path).endswith("prompts.sqlite"):
            database.execute("pragma max_page_count = 40")
        return database

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", small)
        said = limner("discover", "add", source)
    assert said.code and said.error.startswith("no space is left to write '") and "repeat the command" in said.error
    facts = studio.discover.list(Caller())[0]
    assert not facts.complete and 0 < facts.prompts < 200
    assert "200 prompts" in limner("discover", "add", source).out
    assert equals_a_fresh_import(studio, source)


def test_a_full_disk_while_changes_are_read(studio, source, monkeypatch):
    """A library that has only a part of what its source has now is not indexed, nor complete."""
    monkeypatch.setattr(prompt_imports, "BATCH", 2)
    add(studio, source)
    before = indexed(studio)
    append(source, {"prompt": "a dog"})

    def full(self, texts):
        if "a dog" in texts:
            raise LimnerError("no space is left", "free some disk space")
        return set()

    with monkeypatch.context() as patch, pytest.raises(LimnerError, match="no space is left"):
        patch.setattr("limner.moderation.bulk.BulkJudge.refused", full)
        add(studio, source)
    assert not studio.discover.list(Caller())[0].complete
    search(studio, "a")
    assert indexed(studio) == before
    add(studio, source)
    assert equals_a_fresh_import(studio, source)


def test_ctrl_c(limner, source, monkeypatch):
    monkeypatch.setattr(prompt_imports, "BATCH", 2)
    save, asked = PromptImport._save, list[bool]()

    def interrupted(self, writer):
        if not asked:
            asked.append(True)
            signal.raise_signal(signal.SIGINT)
        save(self, writer)

    with monkeypatch.context() as patch:
        patch.setattr(PromptImport, "_save", interrupted)
        said = limner("discover", "add", source)
    assert said.code == 130 and "stopping after this step" in said.out + said.err
    assert "library 'pets': 2 prompts, 0 images so far; repeat the command to go on" in said.out
    assert "not read to its end" in limner("discover", "list").out
    assert "library 'pets': 4 prompts, 0 images\n" in limner("discover", "add", source).out


def test_the_command(limner, tmp_path):
    source = tmp_path / "My Prompts.csv"
    source.write_text("words,n\na cat,1\n,2\n" + "a dog,x\n" * 30)
    said = limner("discover", "add", source)
    assert said.error.startswith(
        "'My Prompts.csv' has no prompt that can be used: My Prompts.csv: 'My Prompts.csv' has no col"
    )
    said = limner("discover", "add", source, "--columns", "prompt=words", "--columns", "seed=N", "--licence", "CC0-1.0")
    assert said.code == 0 and said.out.splitlines()[-1] == "library 'my-prompts': 1 prompts, 0 images"
    assert said.out.count("left out: ") == 21 and "left out: 11 more rows" in said.out
    assert "left out: line 3 of My Prompts.csv: there is no prompt; fill it in" in said.out
    assert "CC0-1.0" in limner("discover", "list").out
    assert "a cat" in limner("discover", "cat").out
    assert limner("discover", "add", source, "--columns", "words").error.startswith("--columns 'words' has no '='")
    assert "Removed the library" in limner("discover", "remove", "my-prompts").out
    assert limner("discover", "remove", "my-prompts").error.startswith("there is no library 'my-prompts'")


def made_source(folder: Path, rows: int) -> Path:
    """A folder with tables, rows that are left out, prompts that come again, unsafe ones, and images."""
    chance = random.Random(3)
    prompts = [prompt.text for prompt in made_prompts(rows // 2)]
    for number in range(3):
        found = (
            {"prompt": chance.choice(prompts), "seed": chance.randrange(9), "nsfw": chance.random() < 0.1}
            for _ in range(rows)
        )
        lines(folder / f"{number}.jsonl", *found, {"prompt": ""})
    lines(folder / "part-000001/part-000001.json", {"0.png": {"p": "a cat"}, "1.png": {"p": prompts[0]}, "2.png": 1})
    for number in range(12):
        picture(folder / f"part-000001/{number}.png", chance.choice(["", prompts[number]]))
    return folder


@pytest.mark.parametrize("kills", [3, pytest.param(30, marks=pytest.mark.slow)])
def test_an_import_that_is_killed_again_and_again(studio, tmp_path, monkeypatch, kills):
    monkeypatch.setattr(prompt_imports, "BATCH", 60)
    monkeypatch.setattr("limner.studio.index_upkeep.BATCH", 100)
    source, chance = made_source(tmp_path / "set", 60 * kills), random.Random(kills)
    begun = time.monotonic()
    add(studio, source)
    whole = time.monotonic() - begun
    studio.discover.remove(Caller(), "pets")
    killed = 0
    for _ in range(kills):
        process = forked(studio, lambda: add(Studio(), source) and None)
        process.join(chance.uniform(0, whole / 3))
        killed += process.is_alive()
        process.kill()
        process.join()
        if chance.random() < 0.2:
            append(source / "1.jsonl", {"prompt": f"a late dog {chance.random()}"})
    assert killed >= kills // 2
    studio.discover.search(Caller(), "cat", Filters(), 5)
    assert add(studio, source).facts.complete
    assert all(count == 1 for count in indexed(studio).values()), "nothing is indexed twice"
    assert equals_a_fresh_import(studio, source)
