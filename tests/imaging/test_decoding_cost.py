"""Small files that would take long to decode are rejected at once; ordinary ones are read."""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from limner.core.errors import LimnerError
from limner.imaging import decoding_cost
from limner.imaging.decode import DecodedImage, read_image
from limner.imaging.decoding_cost import CHUNKS, PIECES, check_bytes
from limner.provenance import verify

Entry = tuple[int, int, int, int]
SHORT, LONG = 3, 4


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def tiff(directories: int, entries: Sequence[Entry], extra: bytes = b"", big: bool = False) -> bytes:
    """Directories in a chain, each with the same entries; pixels at 16, and `extra` at 80."""
    head = struct.pack("<HHHHQ", 0x4949, 43, 8, 0, 80 + len(extra)) if big else b"II*\0"
    out = bytearray(head if big else head + struct.pack("<I", 80 + len(extra)))
    out += bytes(80 - len(out)) + extra
    number, counted, entry = ("<Q", "<Q", "<HHQQ") if big else ("<I", "<H", "<HHII")
    for at in range(directories):
        body = struct.pack(counted, len(entries)) + b"".join(struct.pack(entry, *each) for each in entries)
        end = len(out) + len(body) + struct.calcsize(number)
        out += body + struct.pack(number, end if at < directories - 1 else 0)
    return bytes(out)


def bilevel(directories: int, big: bool = False) -> bytes:
    return tiff(directories, [(256, SHORT, 1, 8), (257, SHORT, 1, 8), (273, LONG, 1, 16)], big=big)


def tiled(width: int, height: int, tile: tuple[int, int]) -> bytes:
    count = -(-width // tile[0]) * -(-height // tile[1])
    sides = [(256, LONG, 1, width), (257, LONG, 1, height), (258, SHORT, 1, 8), (259, SHORT, 1, 1), (262, SHORT, 1, 1)]
    tiles = [(322, LONG, 1, tile[0]), (323, LONG, 1, tile[1]), (324, LONG, count, 80 if count > 1 else 16)]
    pixels = bytes(tile[0] * tile[1])
    return tiff(1, [*sides, *tiles], struct.pack("<I", 80 + 4 * count) * count + pixels)


def strips(count: int) -> bytes:
    sides = [(256, SHORT, 1, 8), (257, LONG, 1, count), (258, SHORT, 1, 8), (259, SHORT, 1, 1), (262, SHORT, 1, 1)]
    return tiff(1, [*sides, (273, LONG, count, 80), (278, SHORT, 1, 1)], struct.pack("<I", 16) * count)


def scanned(scans: int, between: bytes = b"") -> bytes:
    """A progressive JPEG whose last scan is there again and again."""
    data = encoded(Image.new("L", (64, 64), 128), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + (between + last) * (scans - data.count(b"\xff\xda")) + data[-2:]


def runs(side: int) -> bytes:
    """A BMP of run lengths that ends each row after its first pixel."""
    body = b"\x01\x00\x00\x00" * side + b"\x00\x01"
    header = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, len(body), 0, 0, 256, 0) + bytes(1024)
    return b"BM" + struct.pack("<IHHI", 14 + len(header) + len(body), 0, 0, 14 + len(header)) + header + body


def quickly(data: bytes, seconds: float = 1) -> DecodedImage:
    began = time.process_time()
    found = read_image(data, "x")
    assert time.process_time() - began < seconds
    return found


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(("directories", "frames", "said"), [(1, 1, None), (3, 3, "3"), (20_000, 1000, "several")])
def test_frames_of_a_tiff_are_counted_with_an_end(big: bool, directories: int, frames: int, said: str | None) -> None:
    found = quickly(bilevel(directories, big))
    assert found.frames == frames and found.size == (8, 8)
    assert found.notes == ((f"the first of {said} frames",) if said else ())


def test_a_chain_of_frames_that_is_a_ring_or_leads_out_of_the_file() -> None:
    data = bilevel(3)
    assert quickly(data[:-4] + struct.pack("<I", 80)).frames == 3
    assert quickly(data[:-4] + struct.pack("<I", 2**31)).frames == 3


REFUSED: list[tuple[Callable[[], bytes], str]] = [
    (lambda: scanned(101), "more than 100 scans"),
    (lambda: scanned(101, b"\xff\xfe\x00\x04\xff\xd9"), "more than 100 scans"),
    (lambda: strips(2**16 + 1), "65537 strips or tiles"),
    (lambda: tiled(16, 16 * 100, (65536, 16)), "tiles of 104857600 pixels"),
    (lambda: tiled(1600, 16, (16, 65536)), "tiles of 104857600 pixels"),
    (lambda: runs(2001), "4004001 pixels in runs"),
]


@pytest.mark.parametrize(("made", "reason"), REFUSED)
def test_what_takes_long_is_refused_at_once(monkeypatch: pytest.MonkeyPatch, made: Callable[[], bytes], reason: str):
    data = made()
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(LimnerError, match=rf"'x' takes too long to decode \({reason}\)"):
        read_image(data, "x")


@pytest.mark.parametrize(
    "made",
    [
        lambda: scanned(100),
        lambda: scanned(8, b"\xff\xfe\x00\x04\xff\xda" * 200),
        lambda: strips(1000),
        lambda: tiled(300, 300, (256, 256)),
        lambda: tiled(10, 10, (1024, 1024)),
        lambda: runs(100),
        lambda: encoded(Image.new("RGB", (500, 500)), "TIFF", compression="tiff_adobe_deflate"),
        lambda: encoded(Image.new("RGB", (50, 50)), "JPEG", quality=100, restart_marker_blocks=1),
    ],
)
def test_their_ordinary_like_is_read(made: Callable[[], bytes]) -> None:
    quickly(made())


def test_scans_are_counted_in_linear_time() -> None:
    began = time.process_time()
    assert decoding_cost._scans(b"\xff\xd8" + b"\xff" * 4_000_000 + b"\x00") == 0
    assert decoding_cost._scans(b"\xff\xd8" + b"\xff\xd0" * 2_000_000) == 0
    assert time.process_time() - began < 1


def chunks(kind: bytes, count: int) -> bytes:
    """A PNG of one pixel with so many empty chunks of a kind before its own."""
    file = BytesIO()
    Image.new("L", (1, 1)).save(file, "PNG")
    whole = file.getvalue()
    empty = struct.pack(">I", 0) + kind + struct.pack(">I", zlib.crc32(kind))
    return whole[:33] + empty * count + whole[33:]


@pytest.mark.parametrize(
    ("kind", "count", "refused"),
    [
        (b"teXt", CHUNKS - 2, False),  # besides the first and the last chunk
        (b"teXt", CHUNKS - 1, True),
        (b"IDAT", PIECES - 1, False),
        (b"IDAT", PIECES, True),
    ],
)
def test_chunks_of_a_png_are_bounded(kind: bytes, count: int, refused: bool) -> None:
    data = chunks(kind, count)
    if not refused:
        check_bytes(data, "a.png")
        return
    with pytest.raises(LimnerError, match="takes too long to decode"):
        check_bytes(data, "a.png")


def test_a_png_of_too_many_chunks_is_not_examined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "inspect_credentials", lambda *arguments: pytest.fail("its credentials were read"))
    (tmp_path / "a.png").write_bytes(chunks(b"teXt", CHUNKS))
    with pytest.raises(LimnerError, match="takes too long to decode"):
        verify.verify(tmp_path / "a.png")


@pytest.mark.parametrize("tag", [273, 324])
@pytest.mark.parametrize(("count", "read"), [(2**16, True), (2**16 + 1, False)])
def test_a_tiff_has_at_most_65536_strips_or_tiles(tag: int, count: int, read: bool) -> None:
    data = b"II*\0" + struct.pack("<IHHHII", 8, 1, tag, 4, count, 0) + bytes(4)
    if read:
        check_bytes(data, "a.tif")
        return
    with pytest.raises(LimnerError, match=r"'a\.tif' takes too long to decode \(65537 strips or tiles\)"):
        check_bytes(data, "a.tif")
