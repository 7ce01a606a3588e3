"""PNGs with much text: they are read like any other, whatever the texts unpack to."""

from __future__ import annotations

import time
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from limner.core.errors import LimnerError
from limner.imaging.damage import has_wrong_checksum, verified_png_info
from limner.imaging.decode import decode
from limner.imaging.png_texts import TEXT_CAP, TEXTS_CAP, without_large_texts

CASES = Path(__file__).parents[2] / "../shared/cases/png-with-much-text"


def png_with(*texts: tuple[str, bytes]) -> bytes:
    """A PNG of noise with these texts, each with the kind of its chunk, before its pixels."""
    buffer = BytesIO()
    pixels = np.random.default_rng(1).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    data = buffer.getvalue()
    more = b"".join(chunk(kind.encode(), number, text) for number, (kind, text) in enumerate(texts))
    return data[:33] + more + data[33:]


def chunk(kind: bytes, number: int, text: bytes) -> bytes:
    head = b"text%d\0" % number
    content = {
        b"tEXt": lambda: head + text,
        b"zTXt": lambda: head + b"\0" + zlib.compress(text),
        b"iTXt": lambda: head + b"\1\0\0\0" + zlib.compress(text),
    }[kind]()
    return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")


PLAIN = png_with()


@pytest.mark.parametrize("kind", ["zTXt", "iTXt"])
@pytest.mark.parametrize(("length", "stays"), [(TEXT_CAP, True), (TEXT_CAP + 1, False), (5 * TEXT_CAP, False)])
def test_a_large_text_does_not_make_a_png_damaged(kind, length, stays):
    data = png_with(("tEXt", b"small"), (kind, b"w" * length))
    assert without_large_texts(data) == (data if stays else png_with(("tEXt", b"small")))
    assert np.array_equal(np.asarray(decode(data, "a.png")), np.asarray(decode(PLAIN, "a.png")))
    assert verified_png_info(data)["text0"] == "small" and not has_wrong_checksum(data)


def test_many_texts_are_bounded_together():
    many = chunk(b"zTXt", 0, b"w" * TEXT_CAP) * (TEXTS_CAP // TEXT_CAP)
    full = PLAIN[:33] + many + PLAIN[33:]
    assert without_large_texts(full) == full and decode(full, "a.png").size == (7, 9)
    more = chunk(b"zTXt", 1, b"w") + chunk(b"tEXt", 2, b"w")
    assert without_large_texts(PLAIN[:33] + many + more + PLAIN[33:]) == full
    hostile = PLAIN[:33] + chunk(b"zTXt", 0, b"w" * 4 * TEXT_CAP) * 900 + PLAIN[33:]
    begin = time.process_time()
    decode(hostile, "a.png")
    assert time.process_time() - begin < 4


def test_damage_in_a_large_text_is_still_damage():
    data = bytearray(png_with(("zTXt", b"w" * 2 * TEXT_CAP)))
    data[33 + 8 + 100] ^= 1
    assert has_wrong_checksum(bytes(data))
    with pytest.raises(LimnerError, match="damaged"):
        decode(bytes(data), "a.png")


def test_small_texts_and_other_files_stay_as_they_are():
    info, buffer = PngInfo(), BytesIO()
    info.add_text("limner", "{}")
    info.add_itxt("XML:com.adobe.xmp", "<x/>", zip=True)
    Image.new("RGB", (3, 2)).save(buffer, "PNG", pnginfo=info)
    for data in (buffer.getvalue(), buffer.getvalue()[:50], b"", b"GIF89a"):
        assert without_large_texts(data) is data


@pytest.mark.skipif(not CASES.is_dir(), reason="the files in ../shared/cases/png-with-much-text are not here")
@pytest.mark.parametrize("name", ["big_itxt.png", "big_ztxt.png"])
def test_files_of_other_programs(name):
    assert decode((CASES / name).read_bytes(), name).size[0] > 0
