"""Faults of single images: added faults are found, clean images have none."""

import random

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from limner.core.image_faults import FAULTS
from limner.data.quality.borders import border_share
from limner.data.quality.measures import measure_quality, quality_faults, reduce_image
from limner.data.quality.overlays import OverlayFinder
from limner.data.quality.text import text_likelihood
from limner.starter.painter import paint, random_scene


@pytest.fixture(scope="module")
def drawings():
    """Painted pictures enlarged to 512 pixels, of no style that frames or veils."""
    rng = random.Random("quality")
    return [paint(random_scene(rng)).resize((512, 512), Image.Resampling.LANCZOS) for _ in range(24)]


def kinds(image, **limits):
    return {fault.kind for fault in quality_faults(measure_quality(reduce_image(image), image.size), limits)}


def pixelwise(image, act):
    return Image.fromarray(np.clip(act(np.asarray(image).astype(np.float32)), 0, 255).astype(np.uint8))


def test_clean_pictures_have_no_faults(drawings):
    reported = [kinds(picture) - {"grey"} for picture in drawings]
    assert reported == [set()] * len(drawings)


@pytest.mark.parametrize("side", [300, 128])
def test_clean_pictures_of_other_sizes(drawings, side):
    assert all(not kinds(picture.resize((side, side))) - {"grey"} for picture in drawings)


def motion(values):
    kernel = np.zeros((25, 25), np.float32)
    kernel[12] = 1 / 25
    return cv2.filter2D(values, -1, kernel)


PLANTED = {
    "blur": ("blurred", lambda v: cv2.GaussianBlur(v, (0, 0), 5)),
    "faint blur": ("blurred", lambda v: cv2.GaussianBlur(v, (0, 0), 5) * 0.5 + 60),
    "motion": ("blurred", motion),
    "enlarged": ("blurred", lambda v: cv2.resize(cv2.resize(v, (64, 64), interpolation=cv2.INTER_AREA), (512, 512))),
    "dark": ("dark", lambda v: v * 0.2),
    "bright": ("bright", lambda v: 200 + v / 5),
    "flat": ("flat", lambda v: v * 0 + 90),
    "pale": ("pale", lambda v: 120 + v * 0.15),
    "grey": ("grey", lambda v: v.mean(2, keepdims=True).repeat(3, 2)),
}


@pytest.mark.parametrize("name", PLANTED)
def test_planted_faults_are_found(drawings, name):
    kind, act = PLANTED[name]
    found = [kind in kinds(pixelwise(picture, act)) for picture in drawings]
    assert sum(found) >= 0.9 * len(found)


def test_a_blurred_background_is_no_blur(drawings):
    y, x = np.mgrid[:512, :512]
    inside = ((x - 256) ** 2 + (y - 280) ** 2 < 170**2)[..., None]
    reported = [
        kinds(pixelwise(picture, lambda v: np.where(inside, v, cv2.GaussianBlur(v, (0, 0), 8)))) for picture in drawings
    ]
    assert sum("blurred" in each for each in reported) <= 1


def test_a_fault_has_its_value_and_limit():
    (fault,) = quality_faults(measure_quality(Image.new("RGB", (64, 64), (90, 90, 90)), (64, 64)), {})
    assert (fault.kind, fault.value) == ("flat", 0)
    assert fault.message == f"nearly one colour: spread 0, and {FAULTS['flat'].limit:g} is the least"
    measured = {**measure_quality(reduce_image(smooth()), (512, 512)), "sharpness": 39.999}
    assert [f.message for f in quality_faults(measured, {"blurred": 40})] == [
        "blurred: sharpness 39.999, and 40 is the least"
    ]


def smooth():
    y, x = np.mgrid[:512, :512]
    return Image.fromarray(np.stack([x // 2, y // 2, (x + y) // 4], -1).astype(np.uint8))


def test_limits_are_the_users(drawings):
    assert "blurred" in kinds(drawings[0], blurred=100)
    assert "odd_shape" in kinds(drawings[0].crop((0, 0, 512, 150)))
    assert "odd_shape" in kinds(drawings[0].crop((0, 0, 150, 512))), "a tall one is as odd as a wide one"
    assert "odd_shape" not in kinds(drawings[0].crop((0, 0, 512, 150)), odd_shape=4)


@pytest.mark.parametrize(("pixels", "colour"), [(0, 0), (50, 0), (150, 1)])
def test_colour_is_that_of_the_most_colourful_hundredth(pixels, colour):
    values = np.full((100, 100, 3), 128, np.uint8)
    values.reshape(-1, 3)[:pixels] = (255, 0, 0)
    assert measure_quality(Image.fromarray(values), (100, 100))["colour"] == colour


@pytest.mark.parametrize(("colour", "share"), [("black", 0.25), ("white", 0.25), ("red", 0.5)])
def test_bars(drawings, colour, share):
    band, found = round(512 * share / 2), []
    for picture in drawings:
        framed = Image.new("RGB", picture.size, colour)
        framed.paste(picture.crop((0, band, 512, 512 - band)), (0, band))
        found += [
            border_share(np.asarray(reduce_image(framed))),
            border_share(np.asarray(reduce_image(framed.rotate(90)))),
        ]
    assert sum(abs(each - share) < 0.03 for each in found) >= 0.8 * len(found)


@pytest.mark.parametrize("dark", [False, True], ids=["bright", "dark"])
@pytest.mark.parametrize("sides", [(0, 60, 0, 60), (60, 0, 60, 0), (20, 20, 20, 20), (130, 150, 170, 140)])
def test_black_around_any_image_is_a_bar_however_thick(sides, dark):
    """A letterbox, a pillarbox and frames, of which the last leaves a quarter of the image; also around a night."""
    left, top, right, bottom = sides
    pixels = np.random.default_rng(5).integers(60, 256, (16, 16, 1), np.uint8).repeat(3, axis=2)
    if dark:
        pixels = (pixels // 8 + 3).astype(np.uint8)  # 10 to 34 of 255
    image = Image.new("RGB", (256 + left + right, 256 + top + bottom))
    image.paste(Image.fromarray(pixels).resize((256, 256), Image.Resampling.NEAREST), (left, top))
    share = 1 - 256 * 256 / (image.width * image.height)
    assert border_share(np.asarray(image)) == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize("shape", ["ellipse", "rounded_rectangle"])
def test_a_thing_before_black_is_no_frame(shape):
    picture = Image.new("RGB", (256, 256))
    more = {"radius": 12} if shape == "rounded_rectangle" else {}
    getattr(ImageDraw.Draw(picture), shape)((90, 60, 170, 200), fill="orange", **more)
    assert border_share(np.asarray(picture)) == 0


def test_a_plain_background_is_no_bar():
    picture = Image.new("RGB", (256, 256), "white")
    ImageDraw.Draw(picture).ellipse((90, 60, 170, 200), fill="brown")
    assert border_share(np.asarray(picture)) == 0


@pytest.mark.parametrize("size", [(1, 1), (4000, 1), (1, 4000), (3, 3), (5000, 7)])
def test_odd_sizes_are_measured(size):
    picture = reduce_image(Image.effect_noise(size, 50).convert("RGB"))
    measured = measure_quality(picture, size)
    assert all(np.isfinite(value) for value in measured.values())
    assert 0 <= text_likelihood(picture) <= 1


def test_measures_are_the_same_each_time(drawings):
    assert measure_quality(reduce_image(drawings[0]), (512, 512)) == measure_quality(
        reduce_image(drawings[0].copy()), (512, 512)
    )


def test_writing(drawings):
    font, found = ImageFont.load_default(40), []
    for picture in drawings:
        written = picture.copy()
        ImageDraw.Draw(written).text((20, 420), "www.example.com", "white", font, stroke_width=3, stroke_fill="black")
        found.append(text_likelihood(reduce_image(written)) > 0.5)
    assert sum(found) >= 0.9 * len(found)
    assert sum(text_likelihood(reduce_image(picture)) > 0.5 for picture in drawings) <= 1


def stamped(picture):
    layer = Image.new("RGBA", picture.size, (255, 255, 255, 0))
    ImageDraw.Draw(layer).text((280, 60), "SAMPLE", (255, 255, 255, 128), ImageFont.load_default(50))
    return reduce_image(Image.alpha_composite(picture.convert("RGBA"), layer).convert("RGB"))


def test_a_shared_mark_is_found_where_it_is(drawings):
    whole, clean = OverlayFinder(), OverlayFinder()
    for picture in drawings:
        clean.add(reduce_image(picture))
        whole.add(stamped(picture))
    assert clean.found() is None
    mark = whole.found()
    assert mark is not None and mark.images == 24 and mark.agreement > 0.7
    left, top, right, bottom = mark.box
    assert 0.45 < left < 0.58 and 0.05 < top < 0.18 and 0.85 < right < 1 and 0.18 < bottom < 0.3
    few = OverlayFinder()
    for picture in drawings[:5]:
        few.add(stamped(picture))
    assert few.found() is None


@pytest.mark.parametrize(("carrying", "found"), [(10, False), (14, True), (24, True)])
def test_a_mark_is_in_half_of_the_pictures_at_least(carrying, found):
    overlay = OverlayFinder()
    for number in range(24):
        plain = Image.new("RGB", (512, 512), (40 + 6 * number,) * 3)
        overlay.add(stamped(plain) if number < carrying else reduce_image(plain))
    assert (overlay.found() is not None) == found


def test_pictures_that_are_all_the_same_share_no_mark(drawings):
    overlay = OverlayFinder()
    for _ in range(10):
        overlay.add(reduce_image(drawings[0]))
    assert overlay.found() is None, "they share most of what they show"
