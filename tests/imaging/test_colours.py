"""Colour profiles, and the notes about conversions."""

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageCms

from limner.core.errors import LimnerError
from limner.imaging import colours
from limner.imaging.decode import decode, read_image

# Primaries adapted to D50, as columns X, Y, Z, of SMPTE EG 432-1 with white D65 (Display P3).
P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))


def number(value):
    return struct.pack(">i", round(value * 65536))


def profile(name, space, tags):
    """An ICC profile of version 2.4 with these tags besides its name and white."""
    text = name.encode()
    white = b"XYZ \0\0\0\0" + number(0.9642) + number(1) + number(0.8249)
    described = b"desc\0\0\0\0" + struct.pack(">I", len(text) + 1) + text + bytes(79)
    body, table, start = b"", b"", 128 + 4 + 12 * (len(tags) + 2)
    for tag, value in {b"desc": described, b"wtpt": white, **tags}.items():
        table += tag + struct.pack(">II", start + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    size = start + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x02400000, b"mntr", space, b"XYZ ") + bytes(12) + b"acsp"
    head += bytes(28) + number(0.9642) + number(1) + number(0.8249) + bytes(48)
    return head + struct.pack(">I", len(tags) + 2) + table + body


def curve(gamma):
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"


def matrix_profile(name, columns, gamma=2.2):
    tags = {
        f"{c}XYZ".encode(): b"XYZ \0\0\0\0" + b"".join(map(number, column))
        for c, column in zip("rgb", columns, strict=True)
    }
    return profile(name, b"RGB ", tags | {f"{c}TRC".encode(): curve(gamma) for c in "rgb"})


def encoded(image, kind, **options):
    out = BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def by_hand(colour, columns, gamma=2.2):
    """What a colour is in sRGB by the matrices (IEC 61966-2-1)."""
    linear = np.linalg.inv(np.array(SRGB).T) @ np.array(columns).T @ (np.array(colour) / 255) ** gamma
    linear = np.clip(linear, 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("colour", [(255, 0, 0), (100, 150, 100), (30, 60, 200), (255, 255, 255), (128, 128, 128)])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_wide_colours_become_those_of_srgb(colour, kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(Image.new("RGB", (8, 8), colour), kind, icc_profile=matrix_profile("Display P3", P3), **options)
    reading = read_image(data, f"a.{kind.lower()}")
    assert reading.notes == ("colours converted from the profile 'Display P3'",)
    assert np.abs(np.asarray(reading.image, int)[4, 4] - by_hand(colour, P3)).max() <= 3
    assert decode(data, "a").tobytes() == reading.image.tobytes()


def test_what_is_srgb_already_is_untouched():
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8))
    built_in = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    reading = read_image(encoded(picture, "PNG", icc_profile=built_in), "a.png")
    assert (reading.notes, reading.image.tobytes()) == ((), picture.tobytes())


def test_a_profile_that_is_near_srgb_is_used():
    """A plain gamma of 2.2 is some levels darker in the shadows."""
    data = encoded(Image.new("RGB", (8, 8), (32, 32, 32)), "PNG", icc_profile=matrix_profile("Gamma 2.2", SRGB))
    reading = read_image(data, "a.png")
    assert reading.notes == ("colours converted from the profile 'Gamma 2.2'",)
    assert reading.image.getpixel((4, 4))[0] == pytest.approx(by_hand((32, 32, 32), SRGB)[0], abs=1)


def test_an_mpos_second_picture_is_no_frame():
    """Cameras put a preview or a map of depths there."""
    first = Image.new("RGB", (16, 16), "red")
    data = encoded(first, "MPO", save_all=True, append_images=[Image.new("RGB", (8, 8), "blue")])
    reading = read_image(data, "a.jpg")
    assert (reading.format, reading.frames, reading.notes) == ("JPEG", 1, ())


def test_no_profile_and_no_exif_data_is_left_in_what_is_read():
    exif = Image.Exif()
    exif[0x010E] = "at home"
    data = encoded(Image.new("RGB", (8, 8)), "JPEG", icc_profile=matrix_profile("Display P3", P3), exif=exif)
    saved = Image.open(BytesIO(encoded(decode(data, "a"), "PNG")))
    assert "icc_profile" not in saved.info and not saved.getexif()


def test_a_grey_profile():
    bright = profile("Gamma 1.0", b"GRAY", {b"kTRC": curve(1.0)})
    reading = read_image(encoded(Image.new("L", (8, 8), 55), "PNG", icc_profile=bright), "a.png")
    assert abs(reading.image.getpixel((4, 4))[0] - by_hand((55, 55, 55), SRGB, 1.0)[0]) <= 2
    assert reading.notes == ("colours converted from the profile 'Gamma 1.0'",)


def test_a_profile_of_colours_on_a_grey_picture():
    data = encoded(Image.new("L", (8, 8), 100), "PNG", icc_profile=matrix_profile("Linear", SRGB, 1.0))
    assert abs(decode(data, "a").getpixel((4, 4))[1] - by_hand((100,) * 3, SRGB, 1.0)[1]) <= 2


def test_transparency_stays_where_it_is_under_a_profile():
    picture = Image.new("RGBA", (2, 1), (255, 0, 0, 0))
    picture.putpixel((1, 0), (100, 150, 100, 255))
    reading = read_image(encoded(picture, "PNG", icc_profile=matrix_profile("Display P3", P3)), "a.png")
    assert reading.image.getpixel((0, 0)) == (255, 255, 255)
    assert np.abs(np.array(reading.image.getpixel((1, 0))) - by_hand((100, 150, 100), P3)).max() <= 3
    assert reading.notes == ("colours converted from the profile 'Display P3'", "transparency laid on white")


@pytest.mark.parametrize(
    "broken", [b"rubbish" * 40, matrix_profile("cut", P3)[:200], profile("empty", b"RGB ", {}), b"\0" * 128]
)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_broken_profile_is_skipped_and_noted(broken, mode):
    picture = Image.new("RGB", (8, 8), (90, 90, 90)).convert(mode)
    kind = "TIFF" if mode == "CMYK" else "PNG"
    reading = read_image(encoded(picture, kind, icc_profile=broken), f"a.{kind.lower()}")
    assert reading.image.getpixel((4, 4)) == (90, 90, 90)
    assert "its colour profile cannot be used, so it is taken for sRGB" in reading.notes


def test_a_profile_for_other_pictures_is_left_out():
    data = encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "TIFF", icc_profile=matrix_profile("Display P3", P3))
    reading = read_image(data, "a.tif")
    assert reading.image.getpixel((4, 4)) == (255, 0, 0)
    assert reading.notes[0] == "converted from CMYK" and "cannot be used" in reading.notes[1]


def test_lab_pictures():
    reading = read_image(encoded(Image.new("LAB", (4, 4), (255, 128, 128)), "TIFF"), "a.tif")
    assert min(reading.image.getpixel((2, 2))) >= 250
    assert reading.notes == ("converted from Lab",)


def test_conversions_are_noted():
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = read_image(encoded(Image.new("RGB", (8, 4)), "JPEG", exif=exif), "a.png")
    assert (turned.size, turned.image.size, turned.format, turned.frames) == ((4, 8), (4, 8), "JPEG", 1)
    assert turned.notes == ("named .png, and a JPEG inside", "turned as its EXIF says")
    tiff = read_image(encoded(Image.new("RGB", (8, 4)), "TIFF", exif=exif), "a.tif")
    assert (tiff.size, tiff.notes) == ((4, 8), ("turned as its EXIF says",))
    deep = read_image(encoded(Image.fromarray(np.full((4, 4), 999, np.uint16)), "PNG"), "a")
    assert (deep.notes, deep.mode) == (("16 bits a channel brought to 8",), "I;16")
    frames = [Image.new("RGB", (8, 8), (60 * i, 0, 0)) for i in range(4)]
    moving = read_image(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]), "a.gif")
    assert (moving.frames, moving.notes) == (4, ("the first of 4 frames",))
    plain = read_image(encoded(frames[0], "MPO", save_all=True, append_images=frames[1:]), "a.jpg")
    assert (plain.frames, plain.notes, plain.format) == (1, (), "JPEG")


def smooth(width, height):
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    waves = [128 + 100 * np.sin(x / 97 + c) * np.cos(y / (61 + 9 * c)) for c in range(3)]
    return Image.fromarray(np.stack(waves, -1).astype(np.uint8))


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_large_jpeg_may_be_read_reduced(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(smooth(1600, 800), "JPEG", quality=95, exif=exif)
    whole = read_image(data, "a.jpg")
    least = (100, 200) if orientation == 6 else (200, 100)
    less = read_image(data, "a.jpg", least=least)
    assert less.size == whole.size == whole.image.size
    assert less.image.size == tuple(side // 4 for side in whole.size)
    assert all(side >= 2 * wish for side, wish in zip(less.image.size, least, strict=True))
    reduced = np.asarray(whole.image.resize(less.image.size, Image.Resampling.BOX), int)
    assert np.abs(np.asarray(less.image, int) - reduced).mean() < 1
    assert read_image(data, "a.jpg", least=(401, 401)).image.size == whole.size
    assert read_image(data, "a.jpg", least=least).image.tobytes() == less.image.tobytes()


@pytest.mark.parametrize("least", [None, (8, 8)])
@pytest.mark.parametrize("padding", [b"", b"\0" * 4000])
def test_a_jpeg_without_its_end_is_never_half_grey(least, padding):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8))
    data = encoded(noise, "JPEG")
    assert read_image(data + b"\0" * 4000, "a.jpg", least=least).image.size[0] in (256, 32)
    with pytest.raises(LimnerError, match="damaged or unfinished JPEG"):
        read_image(data[: len(data) * 2 // 3] + padding, "a.jpg", least=least)


def test_a_jpeg_that_was_padded_with_zeros_is_unfinished():
    """As some programs leave a download that broke off; the decoder takes zeros for grey and says nothing."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    data = encoded(noise, "JPEG")
    with pytest.raises(LimnerError, match=r"damaged or unfinished JPEG file \(its end is missing\)"):
        decode(data[: len(data) // 2] + bytes(len(data) // 2), "a.jpg")
    assert decode(data, "a.jpg").size == (64, 64)


@pytest.mark.parametrize(("extra", "used"), [(0, True), (1, False)])
def test_a_profile_of_more_than_16_mib_is_not_used(monkeypatch, extra, used):
    assert colours.PROFILE_CAP == 16 * 2**20
    wide = matrix_profile("Display P3", P3)
    monkeypatch.setattr(colours, "PROFILE_CAP", len(wide) - extra)
    colours._conversion.cache_clear()
    note = read_image(encoded(Image.new("RGB", (4, 4), "red"), "PNG", icc_profile=wide), "a.png").notes
    assert note == (
        "colours converted from the profile 'Display P3'"
        if used
        else "its colour profile cannot be used, so it is taken for sRGB",
    )
    colours._conversion.cache_clear()


def test_a_profile_of_other_colours_and_one_without_a_name(monkeypatch):
    with pytest.raises(colours.BrokenProfile, match="its colours are HSV"):
        colours._conversion(profile("odd", b"HSV ", {}))

    def nameless(profile):
        raise ImageCms.PyCMSError("it has none")

    monkeypatch.setattr(ImageCms, "getProfileDescription", nameless)
    colours._conversion.cache_clear()
    assert colours._conversion(matrix_profile("Display P3", P3)).name == "without a name"
    monkeypatch.setattr(ImageCms, "getProfileDescription", lambda profile: "n" * 61)
    colours._conversion.cache_clear()
    assert colours._conversion(matrix_profile("Display P3", P3)).name == "n" * 59 + "…"
    colours._conversion.cache_clear()


# Gamma


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunks(image, *chunks):
    """A PNG file of the image with more chunks before its pixels."""
    data = encoded(image, "PNG")
    return data[:33] + b"".join(chunks) + data[33:]


def gama(value):
    return chunk(b"gAMA", struct.pack(">I", round(value * 100_000)))


GAMMA_NOTE = "brightness converted from its gamma"


@pytest.mark.parametrize("gamma", [1.0, 1 / 1.8, 0.25])
@pytest.mark.parametrize("colour", [(0, 0, 0), (100, 150, 55), (255, 255, 255)])
def test_a_png_with_a_gamma_is_as_bright_as_it_says(gamma, colour):
    reading = read_image(with_chunks(Image.new("RGB", (8, 8), colour), gama(gamma)), "a.png")
    assert np.abs(np.asarray(reading.image, int)[4, 4] - by_hand(colour, SRGB, 1 / gamma)).max() <= 1
    assert reading.notes == (GAMMA_NOTE,)


@pytest.mark.parametrize("mode", ["L", "P", "LA", "RGBA", "I;16"])
def test_a_gamma_is_of_every_mode(mode):
    """Opacity has none."""
    image = Image.new("RGBA", (8, 8), (55, 55, 55, 255))
    image.putpixel((0, 0), (55, 55, 55, 0))
    image.putpixel((1, 0), (0, 0, 0, 128))
    deep = Image.fromarray(np.full((8, 8), 55 * 257, np.uint16))
    reading = read_image(with_chunks(deep if mode == "I;16" else image.convert(mode), gama(1.0)), "a.png")
    assert np.abs(np.asarray(reading.image, int)[4, 4] - by_hand((55,) * 3, SRGB, 1.0)).max() <= 1
    assert GAMMA_NOTE in reading.notes
    if mode in ("LA", "RGBA"):
        assert [reading.image.getpixel((x, 0)) for x in (0, 1)] == [(255,) * 3, (127,) * 3]


@pytest.mark.parametrize(
    "chunks",
    [
        (gama(0.45455),),
        (gama(0.433),),
        (gama(0.477),),
        (gama(1.0), chunk(b"sRGB", b"\0")),
        (gama(0),),
        (gama(0.09),),
        (gama(10.1),),
        (chunk(b"gAMA", b"\xff" * 4),),
    ],
)
def test_a_gamma_that_says_srgb_or_nothing_changes_no_bit(chunks):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8))
    reading = read_image(with_chunks(picture, *chunks), "a.png")
    assert (reading.notes, reading.image.tobytes()) == ((), picture.tobytes())


def test_a_profile_goes_before_a_gamma():
    def read(profile):
        picture = Image.new("RGB", (8, 8), (100, 150, 100))
        data = encoded(picture, "PNG", icc_profile=profile)
        return read_image(data[:33] + gama(1.0) + data[33:], "a.png")

    reading = read(matrix_profile("Display P3", P3))
    assert reading.notes == ("colours converted from the profile 'Display P3'",)
    assert np.abs(np.array(reading.image.getpixel((4, 4))) - by_hand((100, 150, 100), P3)).max() <= 3
    assert read(b"rubbish" * 40).notes == (GAMMA_NOTE,)
