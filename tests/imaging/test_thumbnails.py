"""Small copies of images, and their mean colour."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image

from limner.imaging.thumbnails import SIDES, mean_colour, thumbnail
from limner.provenance.xmp import source_type, write_packet


@pytest.mark.parametrize(("size", "small"), [((1024, 512), (160, 80)), ((300, 900), (53, 160)), ((64, 64), (64, 64))])
def test_the_longest_side_is_as_asked_and_small_images_stay(size, small):
    with Image.open(BytesIO(thumbnail(Image.new("RGB", size, "teal"), SIDES[0]))) as copy:
        assert (copy.format, copy.size) == ("WEBP", small)


def test_the_image_itself_stays_as_it_is():
    image = Image.new("RGB", (1024, 512))
    thumbnail(image, SIDES[0])
    assert image.size == (1024, 512)


def test_a_thumbnail_says_how_its_image_was_made():
    packet = write_packet("trainedAlgorithmicMedia").encode()
    assert source_type(thumbnail(Image.new("RGB", (8, 8)), SIDES[0], packet)) == "trainedAlgorithmicMedia"
    assert source_type(thumbnail(Image.new("RGB", (8, 8)), SIDES[0])) is None


def test_the_mean_colour_is_that_of_all_pixels():
    image = Image.new("RGB", (20, 10), (200, 0, 10))
    image.paste((100, 50, 10), (10, 0, 20, 10))
    assert mean_colour(image) == "96190a"
    assert mean_colour(Image.new("L", (3, 3), 255)) == "ffffff"
