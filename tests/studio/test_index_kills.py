"""A program that is killed at any moment leaves all libraries, and an index that opens or is built again."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from forking import forked
from limner.core.accounts import Caller
from limner.core.discover import Filters
from limner.models.text_vectors import DIMENSIONS, ENCODER
from limner.store.search.index import Damaged, SearchIndex
from limner.studio.studio import Studio
from prompt_libraries import add_library

ACTS = ("add", "remove", "rebuild")
PROMPTS, MOST = 30, 3
"""Prompts of a library, and libraries that are kept."""


@pytest.fixture
def studio(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("limner.studio.index_upkeep.BATCH", 20)
    studio = Studio()
    yield studio
    studio.store.close()


def prompts_of(name: str) -> list[str]:
    return [f"a corgi of {name}, number {number}" for number in range(PROMPTS)]


def change(log: Path, round: int) -> None:
    """Change libraries and the index until this process is killed. log: gets what is begun and what is done."""
    studio, chance = Studio(), random.Random(round)
    out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for number in range(1000):
        names = [facts.name for facts in studio.discover.list(Caller())]
        act = chance.choice([each for each in ACTS if each != "remove" or names])
        act = "remove" if len(names) > MOST else act
        name = chance.choice(names) if act == "remove" else f"of-{round}-{number}"
        os.write(out, f"{act} {name}\n".encode())
        if act == "add":
            add_library(studio, name, *prompts_of(name))
            studio.discover.upkeep.refresh()
        elif act == "remove":
            studio.discover.remove(Caller(), name)
        else:
            studio.discover.upkeep.rebuild()
        os.write(out, b"done\n")


def last_line(log: Path) -> str:
    return (log.read_text().splitlines() or [""])[-1] if log.exists() else ""


def indexed(studio: Studio) -> Counter[tuple[str, int]]:
    """The prompts in the index, by library and the hash of their texts."""
    state = studio.discover.upkeep.index._state()
    names = state.numbers.names["library"]
    found = Counter((names[row[0]], row[3]) for row in state.entries.records.tolist())
    return Counter({key: count for key, count in found.items() if not key[0].startswith("\0")})


@pytest.mark.slow
def test_a_hundred_kills_lose_no_library(studio: Studio, home: Path, tmp_path: Path) -> None:
    chance, known, during = random.Random(5), set[str](), Counter[str]()
    for round in range(100):
        log = tmp_path / f"{round}.log"
        process = forked(studio, lambda log=log, round=round: change(log, round))
        wanted, until = ACTS[round % len(ACTS)], time.monotonic() + 60
        while last_line(log).split()[:1] != [wanted] and time.monotonic() < until:
            time.sleep(0.001)
        process.join(chance.uniform(0, 0.02 if wanted == "remove" else 0.15))
        assert process.is_alive()
        process.kill()
        process.join()
        lines = log.read_text().splitlines()
        unfinished = lines[-1].split() if lines and lines[-1] != "done" else ["", ""]
        during[unfinished[0]] += 1
        for line in lines:
            act, _, name = line.partition(" ")
            known = known | {name} if act == "add" else known - {name} if act == "remove" else known
        maybe = {unfinished[1]}
        found = {facts.name: facts for facts in studio.discover.list(Caller())}
        assert known - maybe <= {*found} <= known | maybe, "a library is there unless it was removed"
        try:
            len(SearchIndex(home / "index", ENCODER, DIMENSIONS))
        except Damaged:
            during["damaged"] += 1
        for name in [name for name, facts in found.items() if not facts.complete]:
            assert name in maybe
            studio.discover.remove(Caller(), name)
            del found[name]
        known = {*found}
        studio.discover.upkeep.refresh()
        rows = indexed(studio)
        assert Counter(library for library, _ in rows) == dict.fromkeys(known, PROMPTS)
        assert [*rows.values()] == [1] * len(rows), "nothing is indexed twice"
        assert all(studio.discover.libraries.get(name).facts.prompts == PROMPTS for name in known)
        for name in [*known][:1]:
            hits = studio.discover.search(Caller(), prompts_of(name)[-1], Filters(libraries=(name,)), 1)
            assert [hit.text for hit in hits] == [prompts_of(name)[-1]], "by words"
    assert all(during[act] >= 5 for act in ACTS), during
