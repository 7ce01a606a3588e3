"""An album of drawn images: numbered files, each with its caption, labelled as drawn by a program."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from limner.data.sets.album import write_album
from limner.data.sets.folder import scan
from limner.provenance.xmp import source_type


def test_an_album_is_a_folder_to_train_on(tmp_path: Path) -> None:
    images = [(Image.new("RGB", (8, 8), (number, 0, 0)), f"image {number}") for number in range(11)]
    found = write_album(tmp_path / "album", images)
    assert [path.name for path in found] == [f"{number:02d}.png" for number in range(1, 12)]
    assert list(found.values()) == [caption for _, caption in images]
    scanned = scan(tmp_path / "album").images
    assert {image.path: image.caption for image in scanned} == found
    assert {source_type(path.read_bytes()) for path in found} == {"algorithmicMedia"}
    assert (tmp_path / "album/11.txt").read_text() == "image 10\n"
