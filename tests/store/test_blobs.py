"""Tests of content-addressed files, locally and on S3."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest

from limner.core.errors import LimnerError, Unavailable
from limner.store import blobs as blobs_module
from limner.store.blobs import FRESH_SECONDS, Blobs
from limner.store.prune import ORPHAN_SECONDS


@pytest.fixture(params=["folder", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    """A store in a folder, and one that is elsewhere."""
    url = str(tmp_path / "files") if request.param == "folder" else request.getfixturevalue("bucket")
    return Blobs(url, tmp_path / "cache")


@pytest.fixture
def local(tmp_path: Path) -> Blobs:
    return Blobs(str(tmp_path / "files"), tmp_path / "cache")


def write(place: Path, body: bytes) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(body)
    return place


def test_a_file_is_read_by_its_hash(blobs: Blobs, tmp_path: Path) -> None:
    stored = blobs.put(write(tmp_path / "a.png", b"one"))
    assert stored == sha256(b"one").hexdigest()
    assert blobs.put(write(tmp_path / "b.png", b"one")) == stored
    assert stored in blobs and blobs.size(stored) == 3
    with blobs.open(stored) as file:
        assert file.read() == b"one"
        file.seek(1)
        assert file.read() == b"ne"
    assert blobs.path(stored).read_bytes() == b"one"
    named = blobs.local_path(f"sha256:{stored}", ".safetensors")
    assert named.suffix == ".safetensors" and named.read_bytes() == b"one"


def test_a_folder_is_restored_with_its_files(blobs: Blobs, tmp_path: Path) -> None:
    for name, body in (("a.png", b"1"), ("b.txt", b"a cat"), ("masks/a.png", b"2")):
        write(tmp_path / "cats" / name, body)
    write(tmp_path / "cats" / ".limner", b"")
    reference = blobs.save(tmp_path / "cats")
    assert reference == blobs.save(tmp_path / "cats") and reference.startswith("folder:")
    for _ in range(2):
        place = blobs.local_path(reference)
        found = {p.relative_to(place).as_posix(): p.read_bytes() for p in place.rglob("*") if p.is_file()}
        assert {name: body for name, body in found.items() if name != ".limner"} == {
            "a.png": b"1",
            "b.txt": b"a cat",
            "masks/a.png": b"2",
        }


@pytest.mark.slow
def test_several_threads_load_a_folder_at_once(blobs: Blobs, tmp_path: Path) -> None:
    for number in range(6):
        write(tmp_path / "many" / f"{number}.png", str(number).encode())
    reference = blobs.save(tmp_path / "many")
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: sorted(p.name for p in blobs.local_path(reference).iterdir()), range(8)))
    assert all(names == found[0] and len(names) == 6 for names in found)
    assert [path.name for path in (tmp_path / "cache").iterdir() if path.name.startswith("tmp")] == []


def test_missing_files(blobs: Blobs) -> None:
    nothing = "0" * 64
    assert nothing not in blobs
    for ask in (blobs.size, blobs.path, lambda it: blobs.local_path(f"folder:{it}")):
        with pytest.raises(LimnerError, match="there is no file 000000000000"):
            ask(nothing)
    with pytest.raises(LimnerError, match="there is no file"), blobs.open(nothing):
        pass
    blobs.remove(nothing)


def test_removed_files_are_missing(blobs: Blobs, tmp_path: Path) -> None:
    stored = blobs.put(write(tmp_path / "a", b"one"))
    blobs.path(stored, ".png")
    blobs.remove(stored)
    assert stored not in blobs
    with pytest.raises(LimnerError, match="there is no file"):
        blobs.path(stored, ".png")


@pytest.mark.parametrize("reference", ["/etc/passwd", "sha256:../../x", "sha256:" + "g" * 64, "folder:", "a" * 64, ""])
def test_invalid_references(local: Blobs, reference: str) -> None:
    with pytest.raises(LimnerError, match="is not a reference"):
        local.local_path(reference)


@pytest.mark.parametrize(
    "manifest",
    [
        b"no json",
        b"[1]",
        b"[" * 100_000,
        *(
            json.dumps({name: "0" * 64}).encode()
            for name in ("../a", "/a", "a/../../b", "", "a\\b", "C:a", "a\x00b", ".")
        ),
        json.dumps({"a": "1"}).encode(),
        json.dumps({"a": None}).encode(),
    ],
)
def test_forged_manifests(local: Blobs, tmp_path: Path, manifest: bytes) -> None:
    stored = local.put(write(tmp_path / "list", manifest))
    with pytest.raises(LimnerError, match="is not a folder"):
        local.local_path(f"folder:{stored}")


def test_an_unusable_file_system(tmp_path: Path) -> None:
    with pytest.raises(LimnerError, match="no way to reach the files at 'nosuch://bucket'"):
        Blobs("nosuch://bucket", tmp_path)


def test_several_threads_store_the_same_file_at_once(blobs: Blobs, tmp_path: Path) -> None:
    place = write(tmp_path / "a", bytes(10_000))
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: blobs.put(place), range(16)))) == 1
    assert [blob.bytes for blob in blobs] == [10_000]


def test_all_stored_files_are_listed(blobs: Blobs, tmp_path: Path) -> None:
    assert list(blobs) == []
    blobs.check("one")
    assert blobs.users() == {"one"}
    hashes = sorted(blobs.put(write(tmp_path / body.decode(), body)) for body in (b"one", b"three"))
    found = list(blobs)
    assert [blob.sha256 for blob in found] == hashes and {blob.bytes for blob in found} == {3, 5}
    assert all(-5 < blob.age < 60 for blob in found)


def test_a_file_that_is_stored_again_counts_as_new(
    blobs: Blobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, written = write(tmp_path / "a", b"one"), []
    blobs.put(place)
    if blobs.url.startswith("s3"):  # it has no way to make a file older; one that is written anew is young
        monkeypatch.setattr("limner.store.blobs.FRESH_SECONDS", -60.0)
        monkeypatch.setattr(blobs._files, "put_file", lambda *given: written.append(given))
        blobs.put(place)
        assert len(written) == 1
        return
    (stored,) = (tmp_path / "files").rglob("?" * 64)
    os.utime(stored, (0, 0))
    assert next(iter(blobs)).age > 1e9
    blobs.put(place)
    assert next(iter(blobs)).age < 60


def test_new_files_are_far_younger_than_orphans() -> None:
    assert 0 < FRESH_SECONDS <= ORPHAN_SECONDS / 2


def test_a_range_of_a_file(blobs: Blobs, tmp_path: Path) -> None:
    stored = blobs.put(write(tmp_path / "a", b"0123456789"))
    assert (blobs.read(stored, 0, 4), blobs.read(stored, 8, 99)) == (b"0123", b"89")


def test_the_size_of_a_manifest_is_limited(local: Blobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert blobs_module.MANIFEST_BYTES == 4 * 2**20
    write(tmp_path / "cats" / "a.png", b"1")
    sha256_of_manifest = local.save(tmp_path / "cats").removeprefix("folder:")
    size = local.size(sha256_of_manifest)
    monkeypatch.setattr(blobs_module, "MANIFEST_BYTES", size)
    assert local.manifest(sha256_of_manifest) == {"a.png": sha256(b"1").hexdigest()}
    monkeypatch.setattr(blobs_module, "MANIFEST_BYTES", size - 1)
    with pytest.raises(LimnerError, match=f"{sha256_of_manifest[:12]} is not a folder"):
        local.manifest(sha256_of_manifest)


def test_bytes_of_files_and_folders(blobs: Blobs, tmp_path: Path) -> None:
    for name, body in (("a.png", b"123"), ("b.png", b"123"), ("in/c.png", b"45")):
        write(tmp_path / "cats" / name, body)
    assert blobs.bytes(blobs.save(tmp_path / "cats")) == 8 and blobs.bytes(blobs.save(tmp_path / "cats/a.png")) == 3


def test_what_is_no_folder_has_no_files_unless_the_storage_is_away(
    local: Blobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "cats" / "a.png", b"1")
    folder = local.save(tmp_path / "cats").removeprefix("folder:")
    file = local.put(write(tmp_path / "a", b"no list"))
    wanted = {folder: {sha256(b"1").hexdigest()}, file: set(), "0" * 64: set()}
    assert local.folder_hashes(wanted) == wanted

    def away(*given: object) -> None:
        raise Unavailable("the files cannot be reached")

    monkeypatch.setattr(local, "manifest", away)
    with pytest.raises(Unavailable):
        local.folder_hashes([folder])


def test_copies_of_this_machine_are_listed_by_hash_and_removed(local: Blobs, tmp_path: Path) -> None:
    write(tmp_path / "cats" / "a.png", b"1")
    folder = local.save(tmp_path / "cats")
    file = f"sha256:{local.put(write(tmp_path / 'a', b'one'))}"
    local.local_path(folder), local.local_path(file, ".png"), local.local_path(file, ".safetensors")
    write(tmp_path / "cache" / ("z" * 70), b"of somebody else")
    write(tmp_path / "cache" / "short", b"of somebody else")
    hashes = [reference.partition(":")[2] for reference in (file, folder)]
    assert sorted(local.copies()) == sorted([hashes[0], *hashes])
    local.remove(hashes[0])
    assert list(local.copies()) == [hashes[1]]
    local.remove_copies(hashes[1])
    assert {path.name for path in (tmp_path / "cache").iterdir()} == {"z" * 70, "short"}


@pytest.mark.parametrize("name", ["", "a" * 63, "../x", "A" * 64])
def test_only_hashes_name_files(local: Blobs, name: str) -> None:
    with pytest.raises(LimnerError, match="is not a SHA-256; give 64 hexadecimal digits"):
        local.size(name)


def test_files_are_stored_on_disks_without_links_and_over_files_of_other_users(
    local: Blobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*given: object) -> None:
        raise PermissionError(1, "not permitted")

    monkeypatch.setattr(os, "link", denied)
    stored = local.put(write(tmp_path / "a", b"one"))
    assert local.path(stored).read_bytes() == b"one" and local.path(stored).stat().st_nlink == 1
    monkeypatch.setattr(os, "utime", denied)
    monkeypatch.setattr(blobs_module, "_link_or_copy", denied)
    assert local.put(write(tmp_path / "b", b"one")) == stored, "it is there already"
