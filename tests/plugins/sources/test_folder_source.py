"""Folders of images, and single images."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gathering import entries, kept, lost, png, put
from limner.core.datasets import Entry, Rights, Skipped
from limner.core.errors import LimnerError
from limner.plugins.sources import folder as source


def test_nested_folders_in_order(tmp_path: Path) -> None:
    for name in ("b.png", "A.JPG", "z/1.png", "a/x/2.png", ".hidden/3.png", "a/.4.png"):
        put(tmp_path / name, png())
    found = entries(tmp_path)
    assert list(found) == ["A.JPG", "b.png", "a/x/2.png", "z/1.png"]
    assert [entry.folder for entry in found.values()] == ["", "", "a/x", "z"]
    assert found["a/x/2.png"].data.read() == png()


def test_captions_beside_pictures(tmp_path: Path) -> None:
    for name in "abcdef":
        put(tmp_path / f"{name}.png", png())
    put(tmp_path / "a.txt", "\ufeffa dog\r\n  on grass ")
    put(tmp_path / "b.caption", "a cat")
    put(tmp_path / "c.txt", b"caf\xe9")
    put(tmp_path / "d.txt", "x" * 2001)
    put(tmp_path / "e.txt", "")
    found = kept(tmp_path)
    assert [found[f"{name}.png"].caption for name in "abcdef"] == ["a dog on grass", "a cat", None, None, None, None]
    problems = lost(tmp_path)
    assert set(problems) == {"c.png", "d.png"} and {kind for kind, _ in problems.values()} == {"caption"}
    assert "'c.txt' is not UTF-8" in problems["c.png"][1] and "2,001 characters" in problems["d.png"][1]


def test_json_beside_pictures_as_img2dataset_writes_it(tmp_path: Path) -> None:
    row = {"caption": "a dog", "url": "https://a.example/1.jpg", "license": "CC0", "author": "Ann", "width": 8}
    put(tmp_path / "0.png", png())
    put(tmp_path / "0.json", json.dumps({**row, "key": "0", "status": "success", "exif": "{}", "Breed": "corgi"}))
    put(tmp_path / "1.png", png())
    put(tmp_path / "1.json", "[" * 100_000)
    put(tmp_path / "2.png", png())
    put(tmp_path / "2.json", json.dumps({"caption": "\ud800", "training": "refused", "breed": ["a"], "n": 3}))
    found = kept(tmp_path)
    assert found["0.png"].caption == "a dog" and found["0.png"].fields == {"breed": "corgi"}
    assert found["0.png"].rights == Rights("Ann", "CC0", "https://a.example/1.jpg")
    assert found["1.png"].caption is None and found["2.png"].caption is None
    assert found["2.png"].fields == {"n": "3"} and found["2.png"].rights.training == "refused"
    assert {key: kind for key, (kind, _) in lost(tmp_path).items()} == {"1.png": "caption", "2.png": "caption"}


def test_imagefolder_metadata_is_read_again(tmp_path: Path) -> None:
    rows = [
        {"file_name": "train/0.png", "text": "a dog", "breed": "corgi", "licence": "CC0"},
        {"file_name": "./1.png", "text": None, "breed": None},
        {"file_name": "gone.png", "text": "nothing"},
        {"text": "no name"},
    ]
    put(tmp_path / "metadata.jsonl", "\n".join(map(json.dumps, rows)) + "\nnot json\n")
    put(tmp_path / "cats/metadata.csv", '\ufefffile_name,text,age\n2.png,"a ""cat""\non, a mat",3\n')
    for name in ("train/0.png", "1.png", "cats/2.png"):
        put(tmp_path / name, png())
    found = kept(tmp_path)
    first = found["train/0.png"]
    assert (first.caption, first.fields, first.rights) == ("a dog", {"breed": "corgi"}, Rights(licence="CC0"))
    assert (found["1.png"].caption, found["1.png"].fields) == (None, {})
    assert (found["cats/2.png"].caption, found["cats/2.png"].fields) == ('a "cat" on, a mat', {"age": "3"})
    problems = lost(tmp_path)
    assert problems["gone.png"][0] == "unreadable" and problems["metadata.jsonl"][0] == "caption" and len(problems) == 2


def test_what_lies_beside_a_picture_stands_above_metadata(tmp_path: Path) -> None:
    put(tmp_path / "0.png", png())
    put(tmp_path / "0.txt", "by hand")
    put(tmp_path / "metadata.csv", "file_name,text,breed\n0.png,by table,corgi\n")
    entry = entries(tmp_path)["0.png"]
    assert (entry.caption, entry.fields) == ("by hand", {"breed": "corgi"})


def test_kohya_folders(tmp_path: Path) -> None:
    for name in ("img/10_sks dog/0.png", "img/10_sks dog/1.png", "img/2024_summer/2.png", "img/0_x/3.png"):
        put(tmp_path / name, png())
    put(tmp_path / "img/10_sks dog/1.txt", "sks dog on a beach")
    found = list(entries(tmp_path / "img").values())
    assert [(entry.repeats, entry.caption) for entry in found] == [
        (1, None),
        (10, "sks dog"),
        (10, "sks dog on a beach"),
        (1, None),
    ]
    inside = entries(tmp_path / "img/10_sks dog")["0.png"]
    assert (inside.repeats, inside.caption) == (10, "sks dog")


def test_masks(tmp_path: Path) -> None:
    for name in ("0.jpg", "1.jpg", "masks/0.png", "masks/9.png", "only/masks/5.png"):
        put(tmp_path / name, png())
    found = kept(tmp_path)
    assert list(found) == ["0.jpg", "1.jpg", "only/masks/5.png"]
    mask = found["0.jpg"].mask
    assert mask is not None and mask.name == "0.png" and found["1.jpg"].mask is None
    assert {key: kind for key, (kind, _) in lost(tmp_path).items()} == {"masks/9.png": "mask"}


def test_one_picture(tmp_path: Path) -> None:
    for name in ("0.png", "1.png", "masks/0.png"):
        put(tmp_path / name, png())
    put(tmp_path / "0.txt", "a dog")
    found = entries(tmp_path / "0.png")
    assert list(found) == ["0.png"] and found["0.png"].caption == "a dog" and found["0.png"].mask is not None


@pytest.mark.parametrize("missing", ["gone.png", "loop.png", "pipe.png"])
def test_one_picture_that_is_none(tmp_path: Path, missing: str) -> None:
    (tmp_path / "loop.png").symlink_to("loop.png")
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(LimnerError, match=missing):
        kept(tmp_path / missing)


def test_what_is_no_picture(tmp_path: Path) -> None:
    put(tmp_path / "good.png", png())
    for name in ("film.mp4", "more.zip", "readme.md", "no_suffix", "new\nline.doc"):
        put(tmp_path / name)
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "dangling.png").symlink_to("nowhere.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    os.mkfifo(tmp_path / "pipe.png")
    assert list(kept(tmp_path)) == ["good.png"]
    problems = lost(tmp_path)
    assert {key: kind for key, (kind, _) in problems.items()} == {
        "film.mp4": "stray",
        "more.zip": "stray",
        "no_suffix": "stray",
        "new\nline.doc": "stray",
        "folder.jpg": "stray",
        "dangling.png": "unreadable",
        "loop.png": "unreadable",
        "pipe.png": "unreadable",
    }
    assert (
        "source of its own" in problems["more.zip"][1]
        and "link to a file that does not exist" in problems["dangling.png"][1]
    )


def test_odd_names(tmp_path: Path) -> None:
    for name in (b"new\nline.png", b"\xff.png", b"\\xff.png", "é ü 狗.png".encode()):
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
            file.write(png())
    found = entries(tmp_path)
    assert len(found) == 4 and {"new\nline.png", "\\xff.png", "é ü 狗.png"} < set(found)
    for key, entry in found.items():
        assert key.encode() and entry.data.name.encode() and entry.data.read() == png()


def test_links_to_folders_are_followed_once_and_never_back(tmp_path: Path) -> None:
    put(tmp_path / "in/a/0.png", png())
    put(tmp_path / "out/1.png", png())
    (tmp_path / "out/back").symlink_to(tmp_path / "in")
    (tmp_path / "in/a/up").symlink_to("..")
    (tmp_path / "in/above").symlink_to(tmp_path)
    (tmp_path / "in/b").symlink_to(tmp_path / "in/a")
    (tmp_path / "in/more").symlink_to(tmp_path / "out")
    (tmp_path / "in/twice").symlink_to(tmp_path / "out")
    assert list(kept(tmp_path / "in")) == ["a/0.png"]
    assert set(lost(tmp_path / "in")) == {"a/up", "above", "b", "more", "twice"}
    items = list(source.plugin.linked_entries(str(tmp_path / "in")))
    assert [item.key for item in items if isinstance(item, Entry)] == ["a/0.png", "more/1.png"]
    problems = {item.key: item.fault.kind for item in items if isinstance(item, Skipped)}
    assert problems == dict.fromkeys(("a/up", "above", "b", "twice", "more/back"), "stray")


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked of the system by stand-ins, for root may read everything."""
    for name in ("a.png", "secret.png", "closed/b.png"):
        put(tmp_path / name, png())
    listed, allowed = os.listdir, os.access

    def list_of(path: Path) -> list[str]:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(source.os, "listdir", list_of)
    monkeypatch.setattr(source.os, "access", lambda path, mode: "secret" not in str(path) and allowed(path, mode))
    assert list(kept(tmp_path)) == ["a.png"]
    problems = lost(tmp_path)
    assert {key: kind for key, (kind, _) in problems.items()} == {"secret.png": "unreadable", "closed": "unreadable"}
    assert "chmod u+r 'secret.png'" in problems["secret.png"][1]


@pytest.fixture
def deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A picture under more folders than Python recurses. Taken down again, as pytest's own clearing recurses."""
    monkeypatch.chdir(tmp_path)
    for _ in range(1050):
        os.mkdir("d")
        os.chdir("d")
    Path("0.png").write_bytes(png())
    yield tmp_path
    os.remove("0.png")
    for _ in range(1050):
        os.chdir("..")
        os.rmdir("d")


def test_a_deep_tree(deep: Path) -> None:
    assert len(kept(deep)) == 1


def test_a_link_to_a_folder_has_the_name_of_the_folder(tmp_path: Path) -> None:
    put(tmp_path / "10_sks dog/0.png", png())
    (tmp_path / "link").symlink_to("10_sks dog")
    assert entries(tmp_path / "link")["0.png"].repeats == 10


def test_only_a_prepared_dataset_has_contact_sheets(tmp_path: Path) -> None:
    names = ["a.png", "contact-1.jpg", "contact-1.jpg.png", "contact-12.jpg"]
    for name in names:
        put(tmp_path / name, png())
    assert list(entries(tmp_path)) == names
    put(tmp_path / ".limner")
    assert list(entries(tmp_path)) == ["a.png", "contact-1.jpg.png"]


def test_a_folder_that_cannot_be_listed_is_an_error_and_a_subfolder_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "a.png", png())
    put(tmp_path / "sub/b.png", png())
    real, locked = os.listdir, tmp_path / "sub"

    def listdir(path: Path) -> list[str]:
        if Path(path) == locked:
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "listdir", listdir)
    walk = source.FolderWalk(tmp_path)
    assert not walk.listing("").lost
    (skipped,) = walk.listing("sub").lost
    assert (skipped.key, skipped.fault.kind) == ("sub", "unreadable")
    with pytest.raises(LimnerError, match="cannot be listed"):
        source.FolderWalk(locked).listing("")


def test_of_a_single_image_only_what_has_its_name_is_read(tmp_path: Path) -> None:
    for name in ("m.png", "m.jpg", "masks/m.jpg", "masks/mm.png", "mm.png"):
        put(tmp_path / name, png())
    put(tmp_path / "m.txt", "a dog")
    put(tmp_path / "metadata.jsonl", '{"file_name": "m.png", "breed": "corgi"}')
    ((key, entry),) = entries(tmp_path / "m.png").items()
    assert (key, entry.caption, entry.fields) == ("m.png", "a dog", {})
    assert entry.mask is not None and entry.mask.name == "m.jpg"
    put(tmp_path / "alone/m.png", png())
    put(tmp_path / "alone/m.txt", b"caf\xe9")
    assert kept(tmp_path / "alone/m.png")["m.png"].mask is None
    assert [kind for kind, _ in lost(tmp_path / "alone/m.png").values()] == ["caption"]
