"""The command that updates vendored files: their content, the manifest, and what goes wrong."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile

import pytest

from limner.web import vendor


@pytest.fixture
def folder(tmp_path):
    """A vendored package of one file and a licence, at version 1."""
    files = {"a.js": {"from": "dist/a.min.js", "hash": "old"}, "a.LICENSE": {"from": "LICENSE", "hash": "old"}}
    packages = [{"name": "a", "version": "1", "integrity": "old", "licence": "MIT", "files": files}]
    made = tmp_path / "vendor"
    made.mkdir()
    (made / "manifest.json").write_text(json.dumps({"packages": packages}))
    (made / "a.js").write_text("old")
    return made


def archive(tmp_path, **files):
    path = tmp_path / "a.tgz"
    with tarfile.open(path, "w:gz") as packed:
        for name, text in files.items():
            member = tarfile.TarInfo("package/" + {"script": "dist/a.min.js", "licence": "LICENSE"}[name])
            member.size = len(text)
            packed.addfile(member, io.BytesIO(text.encode()))
    return path


def test_files_and_manifest_are_those_of_the_archive(folder, tmp_path):
    vendor.update(folder, "a", "2", packed := archive(tmp_path, script="new", licence="mine"))
    (package,) = json.loads((folder / "manifest.json").read_text())["packages"]
    assert (folder / "a.js").read_text() == "new" and (folder / "a.LICENSE").read_text() == "mine"
    assert package["version"] == "2" and package["licence"] == "MIT"
    assert package["integrity"] == vendor.digest("sha512", packed.read_bytes())
    assert package["files"]["a.js"]["hash"] == vendor.digest("sha256", b"new")
    assert vendor.digest("sha256", b"") == "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    assert hashlib.sha256(b"new").digest() not in (folder / "manifest.json").read_bytes()
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize(
    ("name", "files", "message"),
    [
        ("b", {"script": "new", "licence": "mine"}, "no package 'b'"),
        ("a", {"script": "new"}, "no file 'LICENSE'"),
    ],
)
def test_what_is_missing_is_named_and_nothing_changes(folder, tmp_path, name, files, message):
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(SystemExit, match=message):
        vendor.update(folder, name, "2", archive(tmp_path, **files))
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_without_npm_it_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match="npm is not installed"):
        vendor.pack("a", "1", tmp_path)


def test_a_version_that_does_not_exist_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "npm").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(SystemExit, match="could not download a@99; check name, version and network"):
        vendor.pack("a", "99", tmp_path)
