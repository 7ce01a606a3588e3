"""Masks of every kind as files of the page Create: used, or refused at their field, with nothing lost."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from pages import PART, text_of, tree

SIDE = 64


def encoded(image: Image.Image, form: str = "PNG", **options) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def half(mode: str = "L", size: tuple[int, int] = (SIDE, SIDE)) -> Image.Image:
    """White in its left half."""
    made = Image.new("L", size)
    made.paste(255, (0, 0, size[0] // 2, size[1]))
    return made.convert(mode)


def deep() -> Image.Image:
    return Image.fromarray(np.asarray(half(), np.uint16) * 257)


def palette() -> Image.Image:
    made = half("P")
    made.putpalette([255, 255, 255] * 128 + [0, 0, 0] * 128)  # its numbers are no levels
    return made


USED = {
    "palette": (encoded(palette()), False),
    "16 bit": (encoded(deep()), True),
    "1 bit": (encoded(half("1")), True),
    "grey with alpha": (encoded(half("LA")), True),
    "jpeg": (encoded(half("RGB"), "JPEG"), True),
    "webp": (encoded(half("RGB"), "WEBP", lossless=True), True),
    "animated gif": (encoded(half(), "GIF", save_all=True, append_images=[Image.new("L", (SIDE, SIDE))]), True),
    "animated png": (encoded(half(), "PNG", save_all=True, append_images=[Image.new("L", (SIDE, SIDE))]), True),
}
REFUSED = {
    "another size": (encoded(half(size=(SIDE, 32))), "the mask is 64 x 32 px, and the image 64 x 64"),
    "1 x 1": (encoded(Image.new("L", (1, 1), 255)), "the mask is 1 x 1 px, and the image 64 x 64"),
    "20,000 px": (encoded(Image.new("1", (20_000, 20_000), 1)), "'mask.png' has too many pixels (400000000)"),
    "20,000 px long": (encoded(Image.new("1", (20_000, 2), 1)), "the mask is 20000 x 2 px, and the image 64 x 64"),
    "black": (encoded(Image.new("L", (SIDE, SIDE))), "the mask is empty"),
    "cut off": (encoded(half("RGB", (SIDE, SIDE)))[:60], "mask.png"),
}


def sent(site, mask: bytes, headers: dict[str, str], **form):
    image = encoded(Image.new("RGB", (SIDE, SIDE), "teal"))
    files = {"image.file": ("a.png", image, "image/png"), "mask.file": ("mask.png", mask, "image/png")}
    return site.client.post("/create", data={"prompt": "a cat", **form}, files=files, headers=headers)


@pytest.mark.parametrize("name", USED)
def test_a_mask_of_another_format_is_used(site, name):
    content, left = USED[name]
    response = sent(site, content, {}, mask_soft="2")
    assert response.status_code == 303, text_of(tree(response))
    request = site.studio.runs.list(1)[0].request
    with Image.open(site.studio.files.local_path(request.mask)) as stored:
        levels = np.asarray(stored.convert("L"))
    white, black = (levels[:, :8], levels[:, -8:]) if left else (levels[:, -8:], levels[:, :8])
    assert white.min() > 200 and black.max() < 50, "the right half is selected"


@pytest.mark.parametrize("headers", [{}, PART])
@pytest.mark.parametrize("name", REFUSED)
def test_a_mask_that_cannot_be_used_is_refused_at_its_field_and_nothing_is_lost(site, name, headers):
    content, problem = REFUSED[name]
    response = sent(site, content, headers, negative_prompt="a dog", mask_soft="3")
    page = tree(response)
    assert response.status_code == 422 and not site.studio.runs.list()
    (message,) = page.xpath("//*[@data-field='mask']//*[@role='alert']")
    assert problem in text_of(message) and "/tmp" not in text_of(message) and len(text_of(message)) < 300
    assert page.xpath("//input[@name='image']/@value")[0].startswith("sha256:")
    assert page.xpath("//textarea[@name='negative_prompt']")[0].text_content().strip() == "a dog"
    assert page.xpath("//input[@name='mask_soft']/@value") == ["3"]
