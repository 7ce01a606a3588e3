"""Every source of the registry keeps the promises that preparing makes of it."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from gathering import EXAMPLES, entries, gathered, png
from limner import fetch as fetching
from limner.core.datasets import Source
from limner.data.entries import byte_sources
from limner.plugins import registry


@pytest.fixture(params=registry.sources.names())
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def reference(name: str, tmp_path: Path) -> str:
    return EXAMPLES[name](tmp_path)


def test_it_is_a_source(name: str) -> None:
    source = registry.sources.get(name)
    assert isinstance(source, Source) and source.title


def test_it_alone_claims_its_kind(name: str, reference: str) -> None:
    assert [other for other, source in registry.sources.all().items() if source.claims(reference)] == [name]


def test_it_finds_the_same_again(reference: str) -> None:
    found = entries(reference)
    assert gathered(reference) == list(found.values()) and len(found) == 2


def test_its_places_can_be_sent_and_read(name: str, reference: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fetching.fetch is byte_sources.fetch
    monkeypatch.setattr(byte_sources, "fetch", lambda url, headed: png(int(url[-5])))
    shades = []
    for entry in entries(reference).values():
        sent = pickle.dumps(entry.data)
        place = pickle.loads(sent)
        assert place == entry.data and len(sent) < 1000
        assert place.name and place.stamp == entry.data.stamp != "gone"
        shades.append(place.read())
    assert sorted(shades) == sorted([png(0), png(1)])


@pytest.mark.parametrize(
    ("reference", "claiming"),
    [
        ("lambdalabs/naruto", "hub"),
        ("owner/name:config@train", "hub"),
        ("owner/na.me@validation", "hub"),
        ("nowhere.zip", "zip"),
        ("some/nowhere.zip", "zip"),
        ("data/{000..012}.tar", "webdataset"),
        ("shards/0.tar.gz", "webdataset"),
        ("nowhere/a.parquet", "parquet"),
        ("nowhere.JSONL", "table"),
        ("nowhere/list.txt", "urls"),
        ("nowhere/a.JPG", "folder"),
        ("nowhere", None),
        ("./owner/name", None),
        ("../name", None),
        ("owner/../name", None),
        ("owner/name/more", None),
        ("/etc/passwd", None),
        ("", None),
        ("owner/name\n", None),
        ("a\0b/c", None),
    ],
)
def test_names_alone(reference: str, claiming: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = [name for name, source in registry.sources.all().items() if source.claims(reference)]
    assert found == ([claiming] if claiming else [])


def test_folders_by_what_is_in_them(tmp_path: Path) -> None:
    made = {
        "folder": ["a/b/1.png", "a/notes.txt", "b/x.zip"],
        "webdataset": ["shards/000.tar", "shards/000.parquet", "shards/000_stats.json"],
        "parquet": ["README.md", "data/train-0.parquet"],
        "hub": ["dataset_dict.json", "train/state.json"],
    }
    for claiming, names in made.items():
        for name in names:
            (tmp_path / claiming / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / claiming / name).touch()
        told = [it for it, source in registry.sources.all().items() if source.claims(str(tmp_path / claiming))]
        assert told == [claiming]
    (tmp_path / "empty").mkdir()
    assert gathered(tmp_path / "empty") == []
