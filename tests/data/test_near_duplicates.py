"""Copies are found among many images after many kinds of changes, and other images are not."""

from __future__ import annotations

import io
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance

from limner.core.image_faults import FAULTS
from limner.data.duplicates import near_duplicates
from limner.data.duplicates.cropped import crop_candidates, find_crops
from limner.data.duplicates.near_duplicates import (
    NearDuplicate,
    dropped_duplicates,
    duplicate_groups,
    find_near_duplicates,
)
from limner.data.duplicates.signatures import LENGTH, MIRRORED, ORIENTATIONS, UPRIGHT, signature, similarity
from limner.starter.painter import COLOURS, PRODUCTS, paint, random_scene

BENCH = Path(__file__).parents[2] / "../shared/data/dreambench"
LIMIT = FAULTS["near_duplicate"].limit or 0.0
CLEAN = 150


def _jpeg(image: Image.Image, quality: int = 30) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    with Image.open(file) as again:
        return again.convert("RGB")


def _mirrored(image: Image.Image) -> Image.Image:
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def _scaled(image: Image.Image, by: float) -> Image.Image:
    return image.resize((round(image.width * by), round(image.height * by)))


def _signed(image: Image.Image) -> Image.Image:
    image = image.copy()
    place = (0.6 * image.width, 0.9 * image.height)
    ImageDraw.Draw(image).text(place, "studio 24", fill="white", font_size=max(6, image.height // 20))
    return image


def _cut(image: Image.Image, left: float, top: float, side: float) -> Image.Image:
    width, height = image.size
    box = left * width, top * height, (left + side) * width, (top + side) * height
    return image.crop(tuple(map(round, box)))


EDITS = {
    "jpeg": (_jpeg, "same"),
    "half": (lambda image: _scaled(image, 0.5), "same"),
    "double": (lambda image: _scaled(image, 2), "same"),
    "mirrored": (_mirrored, "mirrored"),
    "mirrored, jpeg": (lambda image: _jpeg(_mirrored(image)), "mirrored"),
    "dark": (lambda image: ImageEnhance.Brightness(image).enhance(0.7), "same"),
    "pale": (lambda image: ImageEnhance.Contrast(image).enhance(0.7), "same"),
    "strong": (lambda image: ImageEnhance.Contrast(image).enhance(1.3), "same"),
    "grey": (lambda image: image.convert("L").convert("RGB"), "same"),
    "palette": (lambda image: image.quantize(256).convert("RGB"), "same"),
    "signed": (_signed, "same"),
    "turned": (lambda image: image.transpose(Image.Transpose.ROTATE_90), "turned"),
}
CROPS = {
    "middle": lambda image: _cut(image, 0.15, 0.15, 0.71),
    "corner": lambda image: _cut(image, 0, 0, 0.85),
    "edge": lambda image: _cut(image, 0.05, 0.1, 0.9),
    "mirrored, jpeg": lambda image: _jpeg(_mirrored(_cut(image, 0.1, 0.05, 0.85)), 60),
    "dark, larger": lambda image: ImageEnhance.Brightness(_scaled(_cut(image, 0.1, 0.2, 0.8), 1.4)).enhance(0.75),
}


def _signatures(pictures: list[Image.Image]) -> np.ndarray:
    return np.stack([signature(image) for image in pictures])


@pytest.fixture(scope="module")
def clean() -> list[Image.Image]:
    """Pictures of all kinds, some of products on plain backdrops, some of one scene but for the seed."""
    rng, scenes = random.Random(7), []
    for index in range(CLEAN):
        if index % 10 == 1:
            scenes.append(scenes[-1].model_copy(update={"seed": rng.getrandbits(31)}))
        elif index % 10 == 2:
            colour = rng.choice(tuple(COLOURS))
            scenes.append(random_scene(rng, subject=rng.choice(PRODUCTS), place="studio", backdrop=colour))
        else:
            scenes.append(random_scene(rng))
    return [paint(scene) for scene in scenes]


@pytest.fixture(scope="module")
def photographs() -> list[Image.Image]:
    if not BENCH.is_dir():
        pytest.skip("the photographs are not here")
    found: list[Image.Image] = []
    for path in sorted(BENCH.glob("*/*.jpg")):
        with Image.open(path) as image:
            image.draft("RGB", (384, 384))
            found.append(image.convert("RGB"))
    return found


def test_no_clean_picture_is_a_copy(clean):
    assert list(find_near_duplicates(_signatures(clean), LIMIT)) == []


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_copy_is_found(edit, clean):
    change, how = EDITS[edit]
    planted = [0, 35, 77, 140]
    signatures = _signatures([*clean, *(change(clean[index]) for index in planted)])
    found = list(find_near_duplicates(signatures, LIMIT))
    expected = [(index, CLEAN + at) for at, index in enumerate(planted)]
    assert [(twin.first, twin.second) for twin in found] == expected
    assert {twin.kind for twin in found} == {how}
    assert all(LIMIT <= twin.similarity <= 1 for twin in found)


def test_equal_pixels_and_near_duplicates_are_distinguished(clean):
    signatures = _signatures([clean[3], clean[4], clean[3], _jpeg(clean[3]), clean[3]])
    found = list(find_near_duplicates(signatures, LIMIT))
    assert [(twin.first, twin.second, twin.kind) for twin in found] == [
        (0, 2, "exact"),
        (0, 3, "same"),
        (0, 4, "exact"),
    ]


def test_turned_copies_are_found(clean):
    signatures = _signatures([clean[3], clean[3].transpose(Image.Transpose.TRANSVERSE)])
    assert [twin.kind for twin in find_near_duplicates(signatures, LIMIT)] == ["turned"]


def test_photographs_of_one_subject_are_no_copies_but_the_known_pair_is(photographs):
    found = list(find_near_duplicates(_signatures(photographs), LIMIT))
    assert [(twin.first, twin.second, twin.kind) for twin in found] == [(52, 53, "mirrored")]  # dog5/02.jpg, 03.jpg


def test_the_result_depends_on_nothing_but_the_signatures(clean, tmp_path, monkeypatch):
    edited = [change(clean[10 * at]) for at, (change, _) in enumerate(EDITS.values())]
    signatures = _signatures([*clean, *edited])
    found = list(find_near_duplicates(signatures, LIMIT))
    assert found == sorted(found) and len(found) == len(EDITS)
    signatures.tofile(tmp_path / "signatures")
    kept = np.memmap(tmp_path / "signatures", dtype=np.uint8, mode="r", shape=signatures.shape)
    for block in (1, 7, 100_000):
        monkeypatch.setattr(near_duplicates, "BLOCK", block)
        assert list(find_near_duplicates(kept, LIMIT)) == found


def test_copies_are_found_where_the_hashes_are_in_bands():
    rng = np.random.default_rng(0)
    luma = np.kron(rng.integers(0, 256, (800, 6, 6)), np.ones((4, 4)))
    planted = np.clip(luma[:100, :, ::-1] + rng.normal(0, 1, (100, 24, 24)), 0, 255)
    pixels = np.concatenate([luma, planted]).reshape(-1, 576).astype(np.uint8)
    digests = rng.integers(0, 256, (len(pixels), 16), dtype=np.uint8)
    signatures = np.concatenate([digests, pixels, np.full((len(pixels), LENGTH - 592), 128, dtype=np.uint8)], axis=1)
    found = list(find_near_duplicates(signatures, LIMIT))
    assert [(twin.first, twin.second) for twin in found] == [(at, 800 + at) for at in range(100)]


def test_the_best_of_a_group_is_kept():
    twins = [
        NearDuplicate(0, 3, 1.0, "exact"),
        NearDuplicate(3, 5, 0.95, "same"),
        NearDuplicate(1, 2, 0.97, "mirrored"),
        NearDuplicate(6, 4, 0.99, "cropped"),
    ]
    pixels = [100, 50, 50, 900, 20, 400, 80]
    assert dropped_duplicates(duplicate_groups(twins, 7), lambda number: pixels[number]) == {0: 3, 2: 1, 4: 6, 5: 3}
    assert (
        dropped_duplicates(duplicate_groups([], 3), lambda number: 0)
        == dropped_duplicates(duplicate_groups([], 0), lambda number: 0)
        == {}
    )


def test_flat_pictures_are_copies_only_in_one_colour():
    colours = ["red", "blue", "white", "black", "grey", (254, 1, 1)]
    found = list(find_near_duplicates(_signatures([Image.new("RGB", (64, 64), colour) for colour in colours]), LIMIT))
    assert [(twin.first, twin.second) for twin in found] == [(0, 5)]


def test_one_form_in_other_colours_is_no_copy():
    pictures = []
    for backdrop, colour in (("navy", "red"), ("navy", "green"), ("olive", "red"), ("maroon", "gold")):
        image = Image.new("RGB", (128, 128), backdrop)
        ImageDraw.Draw(image).ellipse((30, 40, 90, 110), fill=colour)
        pictures.append(image)
    assert list(find_near_duplicates(_signatures(pictures), LIMIT)) == []


def test_the_smallest_pictures_and_the_smallest_sets():
    sizes = [(1, 1), (1, 500), (500, 1), (3, 2)]
    pictures = [Image.new("RGB", size, (90 * at, 40, 0)) for at, size in enumerate(sizes)]
    assert all(signature(image).shape == (LENGTH,) for image in pictures)
    assert list(find_near_duplicates(_signatures(pictures[:1]), LIMIT)) == []
    assert list(find_near_duplicates(np.zeros((0, LENGTH), dtype=np.uint8), LIMIT)) == []
    assert list(crop_candidates(np.zeros((0, LENGTH), dtype=np.uint8))) == []
    assert list(find_crops([(0, 1), (2, 3), (1, 1)], lambda number: pictures[number])) == []


def _textured(size: tuple[int, int] = (400, 300)) -> Image.Image:
    """Blots of all colours, each of which has its place."""
    blots = np.random.default_rng(0).integers(0, 256, (size[1] // 5, size[0] // 5, 3), dtype=np.uint8)
    return Image.fromarray(blots).resize(size, Image.Resampling.BICUBIC)


def _cropped(*pictures: Image.Image) -> list[tuple[int, int, str]]:
    found = find_crops([(0, 1)], lambda number: pictures[number])
    return [(twin.first, twin.second, twin.kind) for twin in found]


def test_the_second_is_a_part_of_the_first_in_whatever_order_they_come():
    whole = _textured()
    part = _cut(whole, 0.1, 0.15, 0.8)
    assert _cropped(whole, part) == _cropped(whole, _mirrored(part)) == [(0, 1, "cropped")]
    assert _cropped(part, whole) == [(1, 0, "cropped")]


@pytest.mark.parametrize(("side", "found"), [(0.6, False), (0.66, True)])
def test_a_crop_has_four_tenths_of_the_area(side, found):
    whole = _textured()
    assert bool(_cropped(whole, _cut(whole, 0.1, 0.1, side))) == found


def test_a_crop_is_hardly_rotated_and_more_than_one_thing_on_a_plain_ground():
    whole = _textured()
    assert _cropped(whole, _cut(whole.rotate(4, Image.Resampling.BICUBIC), 0.1, 0.1, 0.8)) == []
    plain = Image.new("RGB", (400, 300), "grey")
    plain.paste(whole.crop((0, 0, 100, 100)), (150, 100))
    assert _cropped(plain, _cut(plain, 0.12, 0.12, 0.75)) == []


def test_pictures_of_the_same_bytes_in_another_shape_are_not_the_same():
    pixels = np.arange(24, dtype=np.uint8)
    wide, tall = (signature(Image.fromarray(pixels.reshape(shape))) for shape in ((2, 4, 3), (4, 2, 3)))
    assert not np.array_equal(wide[:16], tall[:16])


def test_what_is_turned_is_laid_back(clean):
    """By Pillow's own turns: which way lays each of the eight back on the picture, and no other does."""
    turns = Image.Transpose
    laid_by = {
        None: UPRIGHT,
        turns.FLIP_LEFT_RIGHT: MIRRORED,
        turns.FLIP_TOP_BOTTOM: (False, True, False),
        turns.ROTATE_180: (False, True, True),
        turns.TRANSPOSE: (True, False, False),
        turns.TRANSVERSE: (True, True, True),
        turns.ROTATE_90: (True, False, True),
        turns.ROTATE_270: (True, True, False),
    }
    assert set(laid_by.values()) == set(ORIENTATIONS)
    values = _signatures([clean[5]])
    for turn, back in laid_by.items():
        turned = _signatures([clean[5] if turn is None else clean[5].transpose(turn)])
        assert [way for way in ORIENTATIONS if similarity(values, turned, way)[0] > LIMIT] == [back]


@pytest.mark.parametrize("crop", CROPS)
def test_crops_of_photographs_are_found_and_nothing_else(crop, photographs):
    photographs = photographs[:60:5]
    pictures = [*photographs, *(CROPS[crop](photographs[at]) for at in (2, 6))]
    found = list(find_crops(crop_candidates(_signatures(pictures)), lambda number: pictures[number]))
    count = len(photographs)
    assert [(twin.first, twin.second, twin.kind) for twin in found] == [
        (2, count, "cropped"),
        (6, count + 1, "cropped"),
    ]


def test_photographs_of_one_subject_are_no_crops(photographs):
    some = [*photographs[50:56], *photographs[88:96]]  # the known pair, and a cartoon in one pose
    found = list(find_crops(crop_candidates(_signatures(some)), lambda number: some[number]))
    assert [(twin.first, twin.second, twin.kind) for twin in found] == [(2, 3, "mirrored")]


def test_a_copy_with_writing_is_the_same(photographs):
    pictures = [photographs[0], _signed(photographs[0]), photographs[40]]
    found = list(find_crops([(1, 0), (0, 2)], lambda number: pictures[number]))
    assert [(twin.first, twin.second, twin.kind) for twin in found] == [(0, 1, "same")]
