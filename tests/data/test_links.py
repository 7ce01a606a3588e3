"""Symbolic links in sources: those that lead out of a folder are read only when asked for, and reported."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from gathering import png
from limner.core.datasets import Entry, LinkedSource, Skipped
from limner.core.requests import PrepareRequest
from limner.core.workspace import Workspace
from limner.engine.prepare.entries import entries_of, source_of
from limner.plugins.registry import sources


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """A folder with one image, and a folder outside of it with another, its caption and its mask."""
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside, outside, outside / "masks"):
        folder.mkdir()
    (inside / "own.png").write_bytes(png(0))
    (outside / "secret.png").write_bytes(png(1))
    (outside / "secret.txt").write_text("a secret")
    (outside / "masks" / "own.png").write_bytes(png(1))
    return inside, outside


def found(*references: Path, **fields: object) -> tuple[dict[str, Entry], list[Skipped]]:
    request = PrepareRequest(sources=tuple(map(str, references)), **fields)  # pyright: ignore[reportArgumentType]
    workspace = Workspace("run", Path(), Path(), Path())
    items = list(entries_of(request, None, workspace))
    entries = {item.key: item for item in items if isinstance(item, Entry)}
    return entries, [item for item in items if isinstance(item, Skipped)]


@pytest.mark.parametrize(
    ("link", "target", "key"),
    [
        ("1.png", "secret.png", "1.png"),
        ("own.txt", "secret.txt", "own.png"),
        ("own.caption", "secret.txt", "own.png"),
        ("more", "", "more/secret.png"),
        ("more/and", "", "more/and/secret.png"),
        ("masks", "masks", "own.png"),
        ("metadata.csv", "secret.txt", None),
    ],
)
def test_a_link_that_leads_out_is_reported_and_read_only_when_asked_for(
    places: tuple[Path, Path], link: str, target: str, key: str | None
) -> None:
    inside, outside = places
    (inside / link).parent.mkdir(exist_ok=True)
    (inside / link).symlink_to(outside / target)
    entries, skipped = found(inside)
    assert list(entries) == ["own.png"] and entries["own.png"].caption is entries["own.png"].mask is None
    assert [each.key for each in skipped] == [link] and skipped[0].fault.kind == "unreadable"
    assert "is a link that leads out of the folder; --follow-links reads such links" in skipped[0].fault.message
    entries, skipped = found(inside, follow_links=True)
    if key is not None:
        own = entries[key]
        assert not any("--follow-links" in each.fault.message for each in skipped)
        assert key != "own.png" or own.caption or own.mask


def test_links_within_the_folder_are_followed(places: tuple[Path, Path]) -> None:
    inside, _ = places
    (inside / "again.png").symlink_to("own.png")
    assert set(found(inside)[0]) == {"again.png", "own.png"}


def test_what_the_user_names_may_be_a_link(places: tuple[Path, Path], tmp_path: Path) -> None:
    _, outside = places
    (tmp_path / "named").symlink_to(outside)
    (tmp_path / "named.png").symlink_to(outside / "secret.png")
    (tmp_path / "named.txt").symlink_to(outside / "secret.txt")
    assert found(tmp_path / "named")[0]["secret.png"].caption == "a secret"
    entries, skipped = found(tmp_path / "named.png")
    assert entries["named.png"].caption == "a secret" and not skipped, "it leads to another place in the same folder"
    assert found(outside / "secret.png")[0]["secret.png"].caption == "a secret"


def test_files_beside_a_named_image_may_not_lead_out(places: tuple[Path, Path]) -> None:
    inside, outside = places
    (inside / "own.txt").symlink_to(outside / "secret.txt")
    (inside / "masks").symlink_to(outside / "masks")
    entries, skipped = found(inside / "own.png")
    assert entries["own.png"].caption is entries["own.png"].mask is None
    assert [each.key for each in skipped] == ["own.txt"]
    assert found(inside / "own.png", follow_links=True)[0]["own.png"].caption == "a secret"


def test_a_folder_of_masks_may_not_lead_out(places: tuple[Path, Path], tmp_path: Path) -> None:
    inside, outside = places
    (tmp_path / "white").mkdir()
    (tmp_path / "white" / "own.png").symlink_to(outside / "masks" / "own.png")
    mask = found(inside, masks=str(tmp_path / "white"))[0]["own.png"].mask
    assert mask is not None and mask.stamp == "gone"
    mask = found(inside, masks=str(tmp_path / "white"), follow_links=True)[0]["own.png"].mask
    assert mask is not None and mask.read() == png(1)


@pytest.mark.parametrize("suffix", [".tar", ".parquet"])
def test_links_to_shards_and_tables_may_not_lead_out(places: tuple[Path, Path], tmp_path: Path, suffix: str) -> None:
    _, outside = places
    packed, folder = outside / f"0{suffix}", tmp_path / "packed"
    folder.mkdir()
    if suffix == ".tar":
        with tarfile.open(packed, "w") as tar:
            tar.add(outside / "secret.png", "secret.png")
    else:
        parquet.write_table(pyarrow.table({"image": [{"bytes": png(1), "path": "secret.png"}]}), packed)
    (folder / packed.name).symlink_to(packed)
    entries, skipped = found(folder)
    assert not entries and [each.key for each in skipped] == [packed.name]
    entries, skipped = found(folder, follow_links=True)
    assert len(entries) == 1 and not skipped
    assert len(found(packed)[0]) == 1


def test_broken_links_say_what_is_wrong_with_them(places: tuple[Path, Path]) -> None:
    inside, outside = places
    (inside / "gone.png").symlink_to(outside / "nothing.png")
    (inside / "loop.png").symlink_to("loop.png")
    messages = [each.fault.message for each in found(inside)[1]]
    assert "'gone.png' is a link to a file that does not exist" in messages[0] and "a link to itself" in messages[1]


def test_sources_of_local_folders_can_follow_links() -> None:
    assert {name for name, source in sources.all().items() if isinstance(source, LinkedSource)} == {
        "folder",
        "hub",
        "parquet",
        "webdataset",
    }
    assert source_of(str(Path(__file__).parent)).title
