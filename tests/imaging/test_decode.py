"""All kinds of valid, unusual and invalid image files."""

import errno
import os
import struct
import sys
import types
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from limner.core import files
from limner.core.errors import LimnerError
from limner.imaging import decode as decoding
from limner.imaging import formats
from limner.imaging.decode import decode, open_image, open_stored, read_image


def gradient(width=48, height=32):
    """An RGB picture whose four corners differ."""
    y, x = np.mgrid[0:height, 0:width]
    return Image.fromarray(
        np.stack([x * 255 // max(width - 1, 1), y * 255 // max(height - 1, 1), (x + y) % 256], -1).astype(np.uint8)
    )


def encoded(image, kind, **options):
    out = BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width, height, body, *, depth=8, colour=2, extra=b""):
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")
    )


def refusal(path):
    """The one line of the error that opening the file raises."""
    with pytest.raises(LimnerError) as caught:
        open_image(path)
    line = str(caught.value)
    assert line.isprintable(), line
    assert caught.value.remedy
    return line


NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF", "WEBP", "JPEG", "AVIF"])
def test_formats_are_detected_by_content_not_by_name(tmp_path, kind):
    path = tmp_path / "dog.txt.JPG"
    path.write_bytes(encoded(gradient(), kind, **({"lossless": True} if kind == "WEBP" else {})))
    image = open_image(path)
    assert (image.mode, image.size) == ("RGB", (48, 32))
    error = np.abs(np.asarray(image, int) - np.asarray(gradient(), int)).mean()
    assert error < (12 if kind in ("GIF", "JPEG", "AVIF") else 1e-9)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_pixelwise(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    a = np.asarray(gradient())
    stored = {  # the picture as a camera held in that way stores it (EXIF 2.32, 4.6.4 Orientation)
        1: a,
        2: a[:, ::-1],
        3: a[::-1, ::-1],
        4: a[::-1],
        5: a.transpose(1, 0, 2),
        6: np.rot90(a, 1),
        7: a[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(a, -1),
    }[orientation]
    data = encoded(Image.fromarray(np.ascontiguousarray(stored)), kind, exif=exif)
    np.testing.assert_array_equal(np.asarray(decode(data, "x")), a)


def test_jpeg_orientation_and_broken_exif():
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode(encoded(gradient(), "JPEG", exif=exif), "x").size == (32, 48)
    assert decode(encoded(gradient(), "JPEG", exif=b"Exif\0\0rubbish rubbish"), "x").size == (48, 32)
    exif[0x0112] = 99
    assert decode(encoded(gradient(), "JPEG", exif=exif), "x").size == (48, 32)


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "RGBX"])
def test_plain_modes(mode):
    image = Image.new("RGB", (4, 4), "white").convert("RGB" if mode == "RGBX" else mode)
    kind = "TIFF" if mode in ("YCbCr", "RGBX", "CMYK") else "PNG"
    assert np.asarray(decode(encoded(image, kind), "x")).min() >= 254


def test_cmyk_jpeg_is_not_inverted():
    red = encoded(Image.new("RGB", (16, 16), (250, 10, 10)).convert("CMYK"), "JPEG", quality=95)
    assert Image.open(BytesIO(red)).mode == "CMYK"
    pixel = np.asarray(decode(red, "x"), int)[8, 8]
    assert np.abs(pixel - [250, 10, 10]).max() < 12


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_not_clipped(kind):
    deep = Image.fromarray(np.array([[0, 257 * 100], [257 * 200, 65535]], np.uint16))
    grey = np.asarray(decode(encoded(deep, kind), "x"))[..., 1]
    assert grey.tolist() == [[0, 100], [200, 255]]


def test_sixteen_bits_of_a_dark_picture_stay_dark():
    assert np.asarray(decode(encoded(Image.fromarray(np.full((2, 2), 200, np.uint16)), "PNG"), "x")).max() <= 1


def test_sixteen_bit_colour_and_transparent_grey():
    colour = png(2, 1, b"\0" + struct.pack(">6H", 65535, 0, 0, 0, 65535, 257 * 7), depth=16)
    assert np.asarray(decode(colour, "x")).tolist() == [[[255, 0, 0], [0, 255, 7]]]
    grey = png(2, 1, b"\0" + struct.pack(">2H", 0, 5140), depth=16, colour=0, extra=chunk(b"tRNS", b"\0\0"))
    assert np.asarray(decode(grey, "x"))[0, :, 0].tolist() == [255, 20]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 0.5, 1]], np.float32), [0, 128, 255]),
        (np.array([[0, 100, 255]], np.float32), [0, 100, 255]),
        (np.array([[np.nan, np.inf, 1]], np.float32), [0, 0, 255]),
        (np.array([[-5, 100, 255]], np.int32), [0, 100, 255]),
        (np.array([[0, 25700, 65535]], np.int32), [0, 100, 255]),
        (np.zeros((1, 3), np.float32), [0, 0, 0]),
    ],
)
def test_float_and_32_bit_modes(values, expected):
    assert np.asarray(decode(encoded(Image.fromarray(values), "TIFF"), "x"))[0, :, 0].tolist() == expected


def test_transparency_is_laid_on_white():
    rgba = Image.fromarray(np.array([[[255, 0, 0, 0], [255, 0, 0, 255], [0, 0, 0, 128]]], np.uint8))
    pixels = np.asarray(decode(encoded(rgba, "PNG"), "x"), int)[0]
    assert pixels[:2].tolist() == [[255, 255, 255], [255, 0, 0]]
    assert np.abs(pixels[2] - 127).max() <= 1
    grey = Image.fromarray(np.array([[[0, 0], [0, 255]]], np.uint8), "LA")
    assert np.asarray(decode(encoded(grey, "PNG"), "x"))[0].tolist() == [[255] * 3, [0] * 3]
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((1, 0), 1)
    data = encoded(palette, "PNG", transparency=0)
    assert np.asarray(decode(data, "x"))[0].tolist() == [[255] * 3, [40, 50, 60]]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "MPO"])
def test_the_first_of_many_frames(kind):
    frames = [Image.new("RGB", (16, 16), colour) for colour in ((255, 0, 0), (0, 255, 0))]
    image = decode(encoded(frames[0], kind, save_all=True, append_images=frames[1:]), "x")
    assert np.abs(np.asarray(image, int)[8, 8] - [255, 0, 0]).max() < 8


@pytest.mark.parametrize("size", [(1, 1), (4000, 1), (1, 4000)])
def test_extreme_shapes(size):
    assert decode(encoded(Image.new("RGB", size), "PNG"), "x").size == size


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
@pytest.mark.parametrize("share", [0.1, 0.6])
def test_truncated(tmp_path, kind, share):
    data = encoded(NOISE, kind)
    path = tmp_path / "cut.png"
    path.write_bytes(data[: int(len(data) * share)])
    assert "'cut.png' is a damaged or unfinished" in refusal(path)


def test_flipped_byte_in_a_png(tmp_path):
    data = bytearray(encoded(NOISE, "PNG"))
    data[len(data) // 2] ^= 0xFF
    (tmp_path / "x.png").write_bytes(data)
    assert "damaged" in refusal(tmp_path / "x.png")


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("empty.jpg", b"", "is empty"),
        ("text.jpg", b"Dear diary,\nno picture here. \xc3\xa9", "holds text"),
        ("page.png", b"<html><body>404</body></html>", "holds text"),
        ("noise.jpg", bytes(range(256)) * 4, "no image of a known format"),
        ("script.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "holds text"),
        ("head.jpg", b"\xff\xd8\xff", "damaged or unfinished JPEG"),
        ("sig.png", b"\x89PNG\r\n\x1a\n", "damaged or unfinished PNG"),
        ("zero.png", png(0, 0, b""), "damaged"),
        ("bad\nname\x1b[31m.jpg", b"", r"'bad\nname\x1b[31m.jpg'"),
    ],
)
def test_not_a_picture(tmp_path, name, data, words):
    (tmp_path / name).write_bytes(data)
    assert words in refusal(tmp_path / name)


@pytest.mark.parametrize("size", [(10_001, 10_000), (13_000, 13_000), (100_000, 100_000), (2**31 - 1, 2**31 - 1)])
def test_picture_bomb_is_refused_from_its_header(tmp_path, size, monkeypatch):
    (tmp_path / "bomb.png").write_bytes(png(*size, b"\0" * 100))
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    assert "the limit is 100 million" in refusal(tmp_path / "bomb.png")


def test_the_cap_itself_is_allowed():
    data = encoded(gradient(), "PNG")
    assert decode(data, "x", cap=48 * 32).size == (48, 32)
    with pytest.raises(LimnerError, match="too many pixels"):
        decode(data, "x", cap=48 * 32 - 1)


def test_no_warning_below_our_cap(recwarn):
    with pytest.raises(LimnerError, match="damaged"):
        decode(png(9_990, 10_000, b"\0"), "x")
    assert not recwarn.list


def test_what_is_no_regular_file(tmp_path):
    (tmp_path / "folder.jpg").mkdir()
    assert "'folder.jpg' is a folder" in refusal(tmp_path / "folder.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    assert "named pipe" in refusal(tmp_path / "pipe.jpg")
    assert "is a device" in refusal("/dev/zero")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    assert "a link to itself" in refusal(tmp_path / "loop.jpg")
    (tmp_path / "dangling.jpg").symlink_to("nowhere.jpg")
    assert "link to a file that does not exist" in refusal(tmp_path / "dangling.jpg")
    assert "does not exist" in refusal(tmp_path / "missing.jpg")
    assert "cannot be read" in refusal("nul\0.jpg")
    assert "cannot be read" in refusal("x" * 5000)


def test_a_link_to_a_picture_is_followed(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(gradient(), "PNG"))
    (tmp_path / "b.png").symlink_to("a.png")
    assert open_image(tmp_path / "b.png").size == (48, 32)


def test_a_name_that_turned_into_a_pipe_does_not_block(tmp_path, monkeypatch):
    picture, pipe = tmp_path / "a.png", tmp_path / "pipe"
    picture.write_bytes(b"x")
    os.mkfifo(pipe)
    real = os.open
    monkeypatch.setattr(files.os, "open", lambda path, flags: real(pipe, flags))
    assert "named pipe" in refusal(picture)


def test_no_permission_and_a_failing_disk(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(b"x")
    for error, words in (
        (PermissionError(errno.EACCES, "Permission denied"), "no permission to read"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
    ):
        monkeypatch.setattr(files.os, "open", lambda path, flags, error=error: (_ for _ in ()).throw(error))
        assert words in refusal(tmp_path / "a.png")


def test_too_many_bytes(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(b"x" * 11)
    monkeypatch.setattr(files, "BYTE_CAP", 10)
    assert "is larger than" in refusal(tmp_path / "a.png")


HEIC = b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + b"\0" * 40


def test_heic_without_its_reader_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "phone.jpg").write_bytes(HEIC)
    assert refusal(tmp_path / "phone.jpg").endswith("pip install pillow-heif")


def test_heic_with_its_reader(monkeypatch):
    def register():
        opener = lambda fp, name=None: gradient()  # noqa: E731
        monkeypatch.setitem(Image.OPEN, "HEIF", (opener, None))

    monkeypatch.setitem(sys.modules, "pillow_heif", types.SimpleNamespace(register_heif_opener=register))
    assert decode(HEIC, "x").size == (48, 32)


def test_avif_without_its_reader(monkeypatch):
    data = encoded(gradient(), "AVIF")
    monkeypatch.setattr(formats.features, "check", lambda name: False)
    with pytest.raises(LimnerError, match="pip install --upgrade pillow"):
        decode(data, "x")


def test_own_images_are_opened_as_they_are_stored(tmp_path):
    transparent = Image.new("RGBA", (8, 4), (255, 0, 0, 0))
    transparent.save(tmp_path / "a.png")
    for source in (tmp_path / "a.png", (tmp_path / "a.png").read_bytes()):
        image = open_stored(source, ("PNG",))
        assert image.mode == "RGBA" and image.tobytes() == transparent.tobytes()
    with pytest.raises(ValueError, match="the image is 8 x 4, not 4 x 8"):
        open_stored(tmp_path / "a.png", size=(4, 8))


def frames_of(kind, count):
    frames = [Image.new("RGB", (16, 16), (80 * number, 0, 0)) for number in range(count)]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:])


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF"])
def test_frames_are_counted_in_small_files(monkeypatch, kind):
    found = read_image(frames_of(kind, 3), f"a.{kind.lower()}")
    assert found.frames == 3 and "the first of 3 frames" in found.notes
    assert read_image(frames_of(kind, 1), f"a.{kind.lower()}").frames == 1
    if kind == "TIFF":
        return
    data = frames_of(kind, 3)
    monkeypatch.setattr(decoding, "COUNTED", len(data))
    assert read_image(data, f"a.{kind.lower()}").frames == 3
    monkeypatch.setattr(decoding, "COUNTED", len(data) - 1)
    found = read_image(data, f"a.{kind.lower()}")
    assert found.frames == 2 and "the first of several frames" in found.notes
    monkeypatch.setattr(decoding, "COUNTED", 1)
    assert read_image(frames_of(kind, 1), f"a.{kind.lower()}").frames == 1


def test_the_first_frame_is_read_where_the_others_cannot_be_counted():
    class Broken:
        format = "GIF"

        @property
        def n_frames(self):
            raise SyntaxError("broken")

        def getexif(self):
            raise SyntaxError("broken")

    assert decoding._frames(Broken(), b"GIF8") == (2, True)
    assert decoding._orientation(Broken()) == 1


@pytest.mark.parametrize(("count", "note"), [(999, "the first of 999 frames"), (1000, "the first of several frames")])
def test_frames_of_a_tiff_are_counted_to_a_thousand(monkeypatch, count, note):
    monkeypatch.setattr(decoding, "tiff_frames", lambda data: count)
    assert note in read_image(encoded(gradient(), "TIFF"), "a.tiff").notes


def test_a_smaller_cap_is_the_one_that_is_told():
    data = encoded(Image.new("RGB", (2000, 1001)), "PNG")
    assert read_image(data, "a.png", cap=2_002_000).size == (2000, 1001)
    with pytest.raises(LimnerError, match=r"2000 x 1001 = 2002000\); the limit is 2 million"):
        decode(data, "a.png", cap=2_001_999)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_turned_image_is_noted_and_its_size_is_upright(kind):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = read_image(encoded(gradient(), kind, exif=exif), f"a.{kind.lower()}")
    assert turned.size == turned.image.size == (32, 48) and turned.notes == ("turned as its EXIF says",)
    exif[0x0112] = 1
    plain = read_image(encoded(gradient(), kind, exif=exif), f"a.{kind.lower()}")
    assert plain.size == (48, 32) and plain.notes == ()
