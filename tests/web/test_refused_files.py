"""Files that a form of Create refused: they stay refused until another one is chosen or they are left out."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from pages import PART, adapter_file, text_of, tree

PLACES = [
    ("/create", "image", "image"),
    ("/create", "guide", "control"),
    ("/create", "mask", "mask"),
    ("/create", "adapter", "adapter"),
    ("/create/marketing", "base_image_url", "base_image_url"),
]


def png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 64), "white").save(out, "PNG")
    return out.getvalue()


def good(name: str) -> bytes:
    return adapter_file(modelspec__title="Rex") if name == "adapter" else png()


def fields_of(page) -> dict[str, str]:
    """What the browser sends when the form is sent again, without files."""
    inputs = page.xpath("//form//input[@type='hidden' or @type='text']")
    return {each.get("name"): each.get("value", "") for each in inputs if each.get("name")}


def message(page, field) -> str:
    return text_of(page.xpath(f"//*[@data-field='{field}']//*[@role='alert' and not(@hidden)]")[0])


@pytest.mark.parametrize("headers", [{}, PART])
@pytest.mark.parametrize(("place", "name", "field"), PLACES)
def test_a_refused_file_stands_until_another_is_chosen_or_it_is_left_out(site, place, name, field, headers):
    form = {"prompt": "a cat"} | ({"image": site.studio.files.upload(stored(site))} if name == "mask" else {})
    broken = {f"{name}.file": ("notes.png", b"This is text.", "image/png")}
    first = site.client.post(place, data=form, files=broken, headers=headers)
    page = tree(first)
    assert first.status_code == 422 and "notes.png" in message(page, field)
    again = site.client.post(place, data=fields_of(page) | form, headers=headers)
    assert again.status_code == 422 and message(tree(again), field) == message(page, field)
    copied = site.client.post(f"{place}/copy", data=fields_of(page) | form, headers=headers)
    assert copied.status_code == 422 and message(tree(copied), field) == message(page, field)
    assert not site.studio.runs.list(), "nothing is made without the file"
    (button,) = page.xpath(f"//button[@name='remove'][@value='{name}.refused'][not(@hidden)]/@value")
    without = tree(site.client.post(place, data=fields_of(page) | form | {"remove": button}, headers=headers))
    assert not without.xpath("//*[@role='alert' and not(@hidden)]") and not site.studio.runs.list()
    for files in ({}, {f"{name}.file": ("good", good(name), "image/png")}):
        left = fields_of(without) | form if not files else fields_of(page) | form
        made = site.client.post(place, data=left, files=files or None, headers=headers)
        assert made.status_code in (200, 303), made.text
    without_it, with_it = (run.request.model_dump(mode="json") for run in site.studio.runs.list(2)[::-1])
    used = {"guide": "control", "base_image_url": "image"}.get(name, name)
    assert not without_it[used] and with_it[used]


def stored(site):
    place = site.studio.home / "start.png"
    place.write_bytes(png())
    return place


def test_a_chosen_image_stays_while_another_file_is_refused(site):
    reference = site.studio.files.upload(stored(site))
    form = {"prompt": "a cat", "image": reference}
    broken = {"image.file": ("notes.png", b"This is text.", "image/png")}
    page = tree(site.client.post("/create", data=form, files=broken))
    assert fields_of(page)["image"] == reference
    (keep,) = page.xpath("//button[@value='image.refused']")
    assert text_of(keep) == "Keep the picture above"
    kept = tree(site.client.post("/create", data=fields_of(page) | form | {"remove": "image.refused"}))
    assert fields_of(kept)["image"] == reference and not fields_of(kept)["image.refused"]
    removed = tree(site.client.post("/create", data=fields_of(page) | form | {"remove": "image"}))
    assert not fields_of(removed)["image"] and not fields_of(removed)["image.refused"]


def test_the_text_of_a_refusal_is_shown_as_text_and_cut(site):
    form = {"prompt": "a cat", "image.refused": "<b>" + "x" * 10_000}
    page = tree(site.client.post("/create", data=form))
    assert message(page, "image").startswith("<b>xxx") and len(message(page, "image")) == 500
