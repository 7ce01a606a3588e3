"""WebDataset shards: our own, the stock library's, and hostile ones."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest

from gathering import entries, gathered, kept, lost, png, tarred
from limner.core.datasets import Entry, Skipped
from limner.core.errors import LimnerError
from limner.data.entries import unpacked_sizes
from limner.data.entries.byte_sources import BytesInMemory
from limner.plugins.sources import webdataset as source


def test_what_the_stock_library_writes(tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    with webdataset.ShardWriter(str(tmp_path / "pets-%03d.tar"), maxcount=2, verbose=0) as writer:
        for number in range(5):
            metadata = {"author": "Ann", "breed": "corgi", "sha256": "0"}
            sample = {"png": png(number), "txt": f"dog {number}", "cls": number % 2, "json": metadata}
            writer.write({"__key__": f"train/{number:04d}", **sample})
    found = entries(tmp_path)
    ours = list(found.items())
    assert [key for key, _ in ours][:3] == [
        "pets-000/train/0000.png",
        "pets-000/train/0001.png",
        "pets-001/train/0002.png",
    ]
    for number, (_, entry) in enumerate(ours):
        assert entry.data.read() == png(number) and entry.caption == f"dog {number}" and entry.folder == "train"
        assert entry.fields == {"class": str(number % 2), "breed": "corgi"} and entry.rights.author == "Ann"
        assert entry.data.name == f"{number:04d}.png"
    braces = entries(str(tmp_path / "pets-{000..002}.tar"))
    assert braces == found


def test_one_shard_and_several_pictures_in_a_sample(tmp_path: Path) -> None:
    files = {"a.b/0.left.png": png(0), "a.b/0.right.jpg": png(1), "a.b/0.mask.png": png(2), "a.b/0.txt": "a dog"}
    found = entries(tarred(tmp_path / "a.tar", files))
    assert list(found) == ["a.b/0.left.png", "a.b/0.right.jpg"]
    for entry in found.values():
        assert entry.caption == "a dog" and entry.mask is not None and entry.mask.read() == png(2)


@pytest.mark.parametrize("ending", [".tar.gz", ".tgz"])
def test_compressed_shards(tmp_path: Path, ending: str) -> None:
    files = {"0.png": png(0), "0.txt": "a dog", "1.png": png(1)}
    found = entries(tarred(tmp_path / f"a{ending}", files, "w:gz"))
    assert [(entry.caption, entry.data.read()) for entry in found.values()] == [("a dog", png(0)), (None, png(1))]


def test_links_devices_and_path_traversal_are_reported_and_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        for kind, name in (
            (tarfile.SYMTYPE, "link.png"),
            (tarfile.LNKTYPE, "hard.png"),
            (tarfile.CHRTYPE, "device.png"),
            (tarfile.FIFOTYPE, "pipe.png"),
            (tarfile.DIRTYPE, "folder.png"),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
        for name in ("../slip.png", "/etc/slip.png", "new\nline.png", "inner.zip", "no_dot", ".hidden.png"):
            member = tarfile.TarInfo(name)
            member.size = len(png())
            archive.addfile(member, io.BytesIO(png()))
    found = kept(path)
    assert set(found) == {"new\nline.png"}
    assert {entry.data.read() for entry in found.values()} == {png()}
    problems = lost(path)
    assert set(problems) == {
        "link.png",
        "hard.png",
        "device.png",
        "pipe.png",
        "inner.zip",
        "../slip.png",
        "/etc/slip.png",
    }
    assert sorted(at.name for at in tmp_path.rglob("*")) == ["a.tar"] and not (tmp_path.parent / "slip.png").exists()


def test_texts_that_cannot_be_used(tmp_path: Path) -> None:
    files = {
        "0.png": png(0),
        "0.txt": b"caf\xe9",
        "1.png": png(1),
        "1.json": "[]",
        "2.png": png(2),
        "2.cls": "x" * 3000,
    }
    path = tarred(tmp_path / "a.tar", files)
    assert len(kept(path)) == 3
    assert {key: kind for key, (kind, _) in lost(path).items()} == dict.fromkeys(("0.png", "1.png", "2.png"), "caption")


def test_a_shard_that_ends_early(tmp_path: Path) -> None:
    path = tarred(tmp_path / "a.tar", {"0.png": png(0), "1.png": png(1), "2.png": bytes(4000)})
    path.write_bytes(path.read_bytes()[: 512 * 6])
    found = kept(path)
    assert found["0.png"].data.read() == png(0)
    assert [kind for kind, _ in lost(path).values()] == ["unreadable"] and "damaged or unfinished" in lost(path)[
        "a.tar"
    ][1]
    with pytest.raises(LimnerError, match=r"ends within '2\.png'"):
        found["2.png"].data.read()


@pytest.mark.parametrize("data", [b"", b"not a tar" * 100, bytes(100)])
@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
def test_what_is_no_tar(tmp_path: Path, data: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(data)
    assert kept(tmp_path / name) == {} and lost(tmp_path / name)[name][0] == "unreadable"


def test_a_name_twice_and_a_sample_without_end(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        for name in ("0.png", "1.png", "0.png", *(f"9.{number}.png" for number in range(400))):
            member = tarfile.TarInfo(name)
            member.size = len(png())
            archive.addfile(member, io.BytesIO(png()))
    assert len([key for key in kept(path) if key.startswith("9.")]) == 256
    problems = lost(path)
    assert "appears twice" in problems["0.png"][1] and "more than 256 files" in problems["9"][1] and len(problems) == 2


@pytest.mark.parametrize("name", ["a-{5..1}.tar", "a-{0..999999999}.tar"])
def test_ranges_that_name_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(LimnerError, match="is an empty or too large range of shards"):
        gathered(str(tmp_path / name))


def test_a_shard_that_is_missing(tmp_path: Path) -> None:
    tarred(tmp_path / "a-0.tar", {"0.png": png()})
    with pytest.raises(LimnerError, match=r"'a-1\.tar' does not exist"):
        gathered(str(tmp_path / "a-{0..1}.tar"))


def test_members_are_not_kept(tmp_path: Path) -> None:
    """A shard of many samples takes no more memory than one of few."""
    import tracemalloc

    files: dict[str, bytes | str] = {f"{number:05d}.json": json.dumps({"n": number}) for number in range(1000)}
    path = tarred(tmp_path / "a.tar", {**files, "9.png": png()})
    tracemalloc.start()
    assert len(gathered(path)) == 1
    assert tracemalloc.get_traced_memory()[1] < 300_000
    tracemalloc.stop()


class Packed:
    """A compressed shard of a few kilobytes and the bytes that were unpacked of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.unpacked = 0
        read = gzip.GzipFile.read

        def counted(file: gzip.GzipFile, size: int | None = -1) -> bytes:
            data = read(file, size)
            self.unpacked += len(data)
            return data

        monkeypatch.setattr(gzip.GzipFile, "read", counted)


def held(found: list[Entry | Skipped]) -> int:
    """Bytes that entries keep in memory, each once."""
    places = {id(place): place for each in found if isinstance(each, Entry) for place in (each.data, each.mask)}
    return sum(len(place.data) for place in places.values() if isinstance(place, BytesInMemory))


def test_a_sample_of_a_compressed_shard_keeps_no_more_than_its_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "SAMPLE_BYTES", 2**20)
    bomb = bytes(2**18)
    files = {f"0.{number}.png": bomb for number in range(40)} | {"1.png": png(), "1.txt": "a dog"}
    path = tarred(tmp_path / "a.tar.gz", files, "w:gz")
    assert path.stat().st_size < 30_000
    found = gathered(path)
    assert held(found) == 2**20 + len(png())
    assert len([each for each in found if isinstance(each, Entry)]) == 5, "the sample after it has a budget of its own"
    problems = lost(path)
    assert len(problems) == 36 and "its sample unpacks to more than 1 MiB; unpack the shard" in problems["0.4.png"][1]
    masked = {"2.png": png(), **{f"2.{number}.mask.png": bomb for number in range(9)}, "2.txt": bytes(2**20)}
    assert held(gathered(tarred(tmp_path / "b.tgz", masked, "w:gz"))) <= 2**20


def test_a_shard_that_is_not_compressed_has_no_such_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "SAMPLE_BYTES", 100)
    assert len(entries(tarred(tmp_path / "a.tar", {"0.png": png(), "0.1.png": png()}))) == 2


def test_what_is_of_no_use_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_unpacked", lambda tar, member: pytest.fail(f"{member.name} was unpacked"))
    assert gathered(tarred(tmp_path / "a.tar.gz", {"0.npy": bytes(2**20), "0.zip": bytes(2**20)}, "w:gz"))


def test_an_archive_unpacks_to_no_more_than_its_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacked_sizes, "ARCHIVE_BYTES", 2**20)
    monkeypatch.setattr(unpacked_sizes, "RATIO", 2)
    path = tarred(tmp_path / "a.tar.gz", {f"{number}.npy": bytes(2**18) for number in range(40)}, "w:gz")
    packed = Packed(monkeypatch)
    assert "it unpacks to more than 1,048,576 bytes" in lost(path)["a.tar.gz"][1]
    assert packed.unpacked < 3 * 2**20
    monkeypatch.setattr(unpacked_sizes, "RATIO", 10**6)
    assert "a.tar.gz" not in lost(path)


@pytest.mark.parametrize("ending", [".tar", ".tar.gz"])
@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_headers_that_unpack_to_much_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, kind: bytes
) -> None:
    head = tarfile.TarInfo("0.png")
    head.type, head.size = kind, 2**24
    body = b"16777216 path=" + b"a" * (2**24 - 15) + b"\n"
    shard = head.tobuf() + body + tarfile.TarInfo("1.png").tobuf() + bytes(1024)
    path = tmp_path / f"a{ending}"
    path.write_bytes(gzip.compress(shard, 1) if ending.endswith("gz") else shard)
    packed = Packed(monkeypatch)
    assert "more than 1,048,576 bytes stand between two files" in lost(path)[path.name][1]
    assert packed.unpacked < 3 * 2**20


def test_a_chain_of_sparse_headers_without_end_is_not_followed(tmp_path: Path) -> None:
    head = tarfile.TarInfo("0.png")
    head.type = tarfile.GNUTYPE_SPARSE
    block = bytearray(head.tobuf(tarfile.GNU_FORMAT))
    block[482] = 1  # more of it follows
    block[148:156] = b" " * 8
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    more = (b"0" * 11 + b"\0") * 42 + b"\1" + bytes(7)
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(bytes(block) + more * 2**14, 1))
    assert "stand between two files" in lost(path)["a.tar.gz"][1]


def test_the_name_of_a_shard_is_what_is_before_its_suffix(tmp_path: Path) -> None:
    for number in (0, 1):
        tarred(tmp_path / f"a.b-{number}.tar.gz", {f"{number}.png": png()}, "w:gz")
    assert list(entries(tmp_path)) == ["a.b-0/0.png", "a.b-1/1.png"]
    assert list(entries(str(tmp_path / "a.b-{0..1}.tar.gz"))) == ["a.b-0/0.png", "a.b-1/1.png"]
    assert list(entries(str(tmp_path / "a.b-{1..1}.tar.gz"))) == ["1.png"]


def test_ranges_have_the_width_of_their_first_number_and_there_may_be_several() -> None:
    assert source._expand_range("s-{08..10}.tar") == ["s-08.tar", "s-09.tar", "s-10.tar"]
    assert source._expand_range("{0..1}/{9..10}.tar") == ["0/9.tar", "0/10.tar", "1/9.tar", "1/10.tar"]
    assert source._expand_range("{3..3}.tar") == ["3.tar"]
    assert len(source._expand_range("{0..99999}.tar")) == 100_000
    for wrong in ("{0..100000}.tar", "{4..3}.tar"):
        with pytest.raises(LimnerError, match="empty or too large range"):
            source._expand_range(wrong)


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "A.TAR"])
def test_endings_may_be_in_capitals_and_hidden_members_are_skipped(tmp_path: Path, name: str) -> None:
    files = {
        **{"./x/0.PNG": png(), "./x/0.Mask.PNG": png(1), "./x/0.TXT": "a dog", "README": "x"},
        **{".git/1.png": png(), "x/.y/2.png": png(), "x/.3.png": png()},
    }
    found = entries(tarred(tmp_path / name, files, "w:gz" if name.endswith("gz") else "w"))
    ((key, entry),) = found.items()
    assert key.endswith("x/0.png") and (entry.caption, entry.data.read()) == ("a dog", png())
    assert entry.mask is not None and entry.mask.read() == png(1)


def test_a_member_of_the_largest_size_is_read_and_a_sparse_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tarred(tmp_path / "a.tar", {"0.png": png()})
    monkeypatch.setattr(source, "BYTE_CAP", len(png()))
    assert list(entries(path)) == ["0.png"]
    monkeypatch.setattr(source, "BYTE_CAP", len(png()) - 1)
    assert kept(path) == {} and lost(path)["0.png"][0] == "unreadable"
    with tarfile.open(tmp_path / "b.tar", "w") as archive:
        member = tarfile.TarInfo("1.png")
        member.type = tarfile.GNUTYPE_SPARSE
        archive.addfile(member)
    assert kept(tmp_path / "b.tar") == {} and "is a link or a device" in lost(tmp_path / "b.tar")["1.png"][1]


def test_a_sample_may_have_256_files(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {f"0.{number}.npy": b"" for number in range(255)}
    assert list(entries(tarred(tmp_path / "a.tar", files | {"0.png": png()}))) == ["0.png"]
    path = tarred(tmp_path / "b.tar", files | {"0.npy": b"", "0.png": png()})
    assert kept(path) == {} and "more than 256 files" in lost(path)["0"][1]


def test_later_texts_of_a_sample_give_way_to_earlier_kinds_and_json_is_last(tmp_path: Path) -> None:
    note = json.dumps({"caption": "from json", "class": "from json", "breed": "corgi"})
    files: dict[str, bytes | str] = {
        **{"0.png": png(), "0.txt": "from txt", "0.caption": "from caption", "0.json": note, "0.cls": "from cls"},
        **{"1.png": png(), "1.text": "from text", "1.caption": "from caption", "1.cls": ""},
        **{"2.png": png(), "2.note.txt": "not its caption"},
        **{"3.png": png(), "3.cls": b"caf\xe9"},
    }
    found = kept(tarred(tmp_path / "a.tar", files))
    assert found["0.png"].caption == "from txt" and found["0.png"].fields == {"class": "from cls", "breed": "corgi"}
    assert found["1.png"].caption == "from caption" and found["1.png"].fields == {}
    assert found["2.png"].caption is None
    assert [fault.kind for fault in found["3.png"].faults] == ["caption"] and found["3.png"].fields == {}


def test_masks_have_their_word_before_the_ending_and_the_first_counts(tmp_path: Path) -> None:
    files = {
        **{"0.png": png(), "0.mask.png": png(1), "0.seg.png": png(2)},
        **{"1.png": png(), "1.left.seg.png": png(3), "1.seg.left.png": png(4)},
    }
    found = entries(tarred(tmp_path / "a.tar", files))
    assert list(found) == ["0.png", "1.png", "1.seg.left.png"]
    masks = [entry.mask.read() for entry in found.values() if entry.mask is not None]
    assert masks == [png(1), png(3), png(3)]


def test_faults_name_the_shard_and_the_sample(tmp_path: Path) -> None:
    many: dict[str, bytes | str] = {f"d/0.{number}.npy": b"" for number in range(257)}
    tarred(tmp_path / "a.tar", many | {"d/1.zip": b"", "../2.png": png()})
    (tmp_path / "b.tar").write_bytes(b"x" * 700)
    found = lost(tmp_path)
    assert {"a/d/0", "a/d/1.zip", "b"} <= found.keys() and found["a/d/1.zip"][0] == "stray"
    assert "is an archive" in found["a/d/1.zip"][1] and found["b"][0] == "unreadable"
