"""Tests of names and sizes in manifests, on both sides of each limit."""

from __future__ import annotations

from pathlib import Path

import pytest

from limner.core.errors import LimnerError
from limner.store.manifests import (
    FOLDER_BYTES,
    MANIFEST_BYTES,
    MAX_FILES,
    REPEATED_BYTES,
    check_size,
    is_safe_name,
    write_manifest,
)


@pytest.mark.parametrize(
    "name", ["a.png", "dog/01.jpg", "ä ö.txt", ".hidden", "a..b", "...", "x" * 255, "/".join(["x" * 199] * 4), "a//b"]
)
def test_safe_names(name: str) -> None:
    assert is_safe_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../a",
        "a/../b",
        "a/..",
        "/etc/passwd",
        "a\\b",
        "..\\a",
        "c:a",
        "a:b",
        "a\0b",
        "a\nb",
        "\x1f",
        "\ud800",
    ]
    + ["x" * 256, "/".join(["x" * 200] * 5), "a/" * 500 + "b"],
)
def test_unsafe_names(name: str) -> None:
    assert not is_safe_name(name)


def test_a_name_has_at_most_999_characters() -> None:
    longest = "/".join(["x" * 198] * 5) + "/xxxx"
    assert len(longest) == 999 and is_safe_name(longest) and not is_safe_name(longest + "x")


@pytest.mark.parametrize(("count", "fits"), [(MAX_FILES, True), (MAX_FILES + 1, False)])
def test_a_folder_has_at_most_10_000_files(count: int, fits: bool) -> None:
    hashes = {str(number): "a" * 64 for number in range(count)}
    assert MAX_FILES == 10_000
    refused(hashes, {"a" * 64: 0}, None if fits else f"holds {count:,} files")


@pytest.mark.parametrize(("size", "fits"), [(FOLDER_BYTES, True), (FOLDER_BYTES + 1, False)])
def test_a_folder_has_at_most_64_gib(size: int, fits: bool) -> None:
    assert FOLDER_BYTES == 64 * 1024**3
    refused({"a": "a" * 64}, {"a" * 64: size}, None if fits else "is larger than")


@pytest.mark.parametrize(("size", "fits"), [(REPEATED_BYTES, True), (REPEATED_BYTES + 1, False)])
def test_repeated_files_have_at_most_256_mib(size: int, fits: bool) -> None:
    assert REPEATED_BYTES == 256 * 1024**2
    refused({"a": "a" * 64, "b": "a" * 64}, {"a" * 64: size}, None if fits else "contains the same files many times")


def refused(hashes: dict[str, str], sizes: dict[str, int], problem: str | None) -> None:
    if problem is None:
        check_size(hashes, sizes, "f" * 64)
        return
    with pytest.raises(LimnerError, match=problem):
        check_size(hashes, sizes, "f" * 64)


def test_a_folder_of_many_names_is_too_large_before_its_files_are_repeated() -> None:
    hashes = {str(number): "a" * 64 for number in range(3)}
    refused(hashes, {"a" * 64: FOLDER_BYTES // 2}, "is larger than 68,719,476,736 bytes")


def test_a_manifest_has_the_same_bytes_whatever_the_order(tmp_path: Path) -> None:
    names = {"b": "1" * 64, "a": "2" * 64}
    first, second = (
        write_manifest(dict(items), tmp_path / "list").read_bytes()
        for items in (names.items(), reversed(names.items()))
    )
    assert first == second and MANIFEST_BYTES == 4 * 2**20
