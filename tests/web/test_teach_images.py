"""The step Images of the page Teach: uploads, captions, deletion, bad files."""

from __future__ import annotations

import hashlib
import io
import json
import random
import zipfile

import numpy as np
import pytest
from PIL import Image

from pages import PART, site_of, text_of, tree
from working import execute_queue


def photo(number: int, kind: str = "PNG", size: tuple[int, int] = (160, 140)) -> bytes:
    """An image that is like no other, and sharp."""
    out = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 256, (size[1] // 10, size[0] // 10, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST).save(out, kind)
    return out.getvalue()


def begin(site) -> str:
    response = site.client.post("/teach")
    assert response.status_code == 303
    return response.headers["location"].removesuffix("/images")


def send(site, at: str, data: bytes, name: str = "a.png"):
    headers = {"Content-Type": "application/octet-stream", "Accept": "application/json", "X-File-Name": name}
    return site.client.post(f"{at}/images", content=data, headers=headers)


def packed(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def tiles(page) -> list:
    return page.xpath("//div[@id='photos']/article")


def captions(site, at: str) -> list[str]:
    return [each.text_content().strip() for each in site.page(f"{at}/images").xpath("//textarea[@name='caption']")]


def draft_of(site, at: str):
    return site.studio.drafts.get("", at.rpartition("/")[2])


def test_the_empty_page_says_what_to_do_and_begins_a_draft(site):
    page = site.page("/teach")
    assert "Begin with your photos" in text_of(page) and not page.xpath("//li[@class='draft']")
    at = begin(site)
    assert "No images yet" in text_of(site.page(f"{at}/images"))
    for step in ("images", "subject", "recipe", "train"):
        site.page(f"{at}/{step}")
    page = site.page("/teach")
    assert not page.xpath("//li[@class='draft']") and "Try with a drawn cat" in text_of(page), "nothing is in it"
    send(site, at, photo(1))
    assert len(site.page("/teach").xpath("//li[@class='draft']")) == 1


def test_an_image_is_stored_and_shown_small(site):
    at = begin(site)
    answer = send(site, at, photo(1, size=(900, 600)), "my%20dog.png").json()
    (made,) = answer["tiles"]
    assert answer["problems"] == [] and "my dog.png" in made["html"]
    (tile,) = tiles(site.page(f"{at}/images"))
    assert tile.get("id") == made["id"]
    small = site.client.get(tile.xpath(".//img/@src")[0])
    assert small.headers["content-type"] == "image/webp"
    assert Image.open(io.BytesIO(small.content)).size == (512, 341)


def test_without_javascript_a_form_sends_several_files(site):
    at = begin(site)
    files = [("files", (f"{n}.png", photo(n), "image/png")) for n in range(3)]
    assert site.client.post(f"{at}/images", files=files).status_code == 303
    assert len(tiles(site.page(f"{at}/images"))) == 3
    response = site.client.post(f"{at}/images", files=[("files", ("words.png", b"hello there", "image/png"))])
    assert response.status_code == 422
    assert "'words.png' holds text" in text_of(tree(response).xpath("//form[@id='upload']//*[@role='alert']")[0])


def test_an_image_that_is_stored_is_not_sent_twice(site):
    at, data = begin(site), photo(1)
    known = {"sha256": hashlib.sha256(data).hexdigest(), "name": "again.png"}
    assert site.client.post(f"{at}/images/known", data=known).status_code == 204
    send(site, at, data)
    send(site, at, data, "other.png")
    assert len(draft_of(site, at).images) == 1
    other = begin(site)
    assert site.client.post(f"{other}/images/known", data=known).status_code == 200
    assert [image.name for image in draft_of(site, other).images] == ["again.png"]


def test_a_copy_under_another_name_is_said(site):
    at = begin(site)
    assert send(site, at, photo(3), "one.png").json()["problems"] == []
    assert send(site, at, photo(3), "one.png").json()["problems"] == [], "sent again, as its answer was lost"
    said = "'copy.png' is the same image as 'one.png', so it was not added again"
    assert send(site, at, photo(3), "copy.png").json()["problems"] == [said]
    known = {"sha256": hashlib.sha256(photo(3)).hexdigest(), "name": "copy.png"}
    headers = {"Accept": "application/json"}
    assert site.client.post(f"{at}/images/known", data=known, headers=headers).json()["problems"] == [said]
    assert len(draft_of(site, at).images) == 1


def test_a_zip_holds_images_and_their_captions(site):
    at = begin(site)
    files = {"dogs/1.png": photo(1), "dogs/1.txt": b"a dog", "__MACOSX/dogs/1.png": b"x", "2.png": photo(2)}
    answer = send(site, at, packed(files), "all.zip").json()
    assert len(answer["tiles"]) == 2 and answer["problems"] == []
    assert sorted(captions(site, at)) == ["", "a dog"]


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 64


@pytest.mark.parametrize(
    ("name", "data", "problem"),
    [
        ("words.png", b"hello there, this is text", "'words.png' holds text"),
        ("cut.jpg", photo(1, "JPEG")[:900], "'cut.jpg' is a damaged or unfinished JPEG"),
        ("new.heic", HEIC, "'new.heic' is a HEIC image, which this server cannot read; save it as JPEG"),
        ("none.zip", packed({}), "none.zip: the zip has no files; add images to it"),
        ("notes.zip", packed({"a.txt": b"a"}), "notes.zip contains no images"),
        ("bad.zip", b"PK\x03\x04" + b"\0" * 40, "bad.zip: the zip cannot be unpacked"),
    ],
)
def test_a_bad_file_gives_one_line_and_adds_nothing(site, name, data, problem):
    at = begin(site)
    response = send(site, at, data, name)
    assert response.status_code == 422, response.text
    said = response.json()
    line = "; ".join(filter(None, (said["detail"], said.get("remedy"))))
    assert line.startswith(problem) and "\n" not in line and "pip" not in line
    assert draft_of(site, at).images == ()


def test_a_zip_with_good_and_bad_files_keeps_the_good_ones(site):
    at = begin(site)
    answer = send(site, at, packed({"1.png": photo(1), "2.png": b"text, and no image"}), "all.zip").json()
    assert len(answer["tiles"]) == 1 and len(answer["problems"]) == 1 and "'2.png' holds text" in answer["problems"][0]


def test_an_upload_over_the_limit_is_refused(home):
    site = site_of(home, upload_bytes=2**20)
    at = begin(site)
    page = site.page(f"{at}/images")
    assert page.xpath("//form[@id='upload']/@data-limit") == [str(2**20)], "the script knows the limit"
    response = send(site, at, b"\xff" * (2**20 + 1), "big.jpg")
    assert response.status_code == 413 and "1,048,576 bytes" in response.json()["detail"]
    assert send(site, at, photo(1, size=(1200, 900))).status_code == 200
    site.studio.close()


def test_a_zip_bomb_is_refused_and_what_was_there_stays(home):
    site = site_of(home, unpacked_bytes=2**20)
    at = begin(site)
    send(site, at, photo(1), "mine.png")
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as file:
        for number in range(50):
            file.writestr(f"{number}.png", b"\0" * 2**20)
    assert len(bomb.getvalue()) < 100_000
    response = send(site, at, bomb.getvalue(), "bomb.zip")
    assert response.status_code == 422 and "bomb.zip" in response.json()["detail"]
    assert [each.get("aria-label") for each in tiles(site.page(f"{at}/images"))] == ["mine.png"]
    site.studio.close()


@pytest.mark.slow
def test_five_hundred_photographs_fit_on_the_page(site):
    at = begin(site)
    answer = send(site, at, packed({f"{n:03d}.png": photo(n, size=(40, 40)) for n in range(500)}), "all.zip").json()
    assert len(answer["tiles"]) == 500
    page = site.page(f"{at}/images")
    assert len(tiles(page)) == 500 and all(each.get("loading") == "lazy" for each in page.xpath("//article/img"))


def test_names_are_safe_and_differ(site):
    at = begin(site)
    for number, name in enumerate(["a.png", "A.png", "../../x.png", "C:\\b\\y.png", "no suffix", "..", "é" * 300]):
        assert send(site, at, photo(number), __import__("urllib.parse").parse.quote(name)).status_code == 200, name
    names = [image.name for image in draft_of(site, at).images]
    assert names[:4] == ["a.png", "A (2).png", "x.png", "y.png"] and len({each.lower() for each in names}) == 7
    assert all("/" not in name and len(name.encode()) <= 200 for name in names)


def test_captions_are_saved_one_by_one(site):
    at = begin(site)
    send(site, at, photo(1))
    (image,) = draft_of(site, at).images
    here = f"{at}/images/{image.sha256}"
    form = {"caption": "a <b>dog</b>\nin the park", "was": "", "since": str(draft_of(site, at).version)}
    assert site.client.post(here, data=form).status_code == 303
    assert captions(site, at) == ["a <b>dog</b> in the park"]
    part = tree(site.client.post(here, data={**form, "caption": "a cat"}, headers=PART))
    assert part.xpath("//textarea")[0].text_content().strip() == "a cat" and draft_of(site, at).version > 2


@pytest.mark.parametrize("headers", [{}, PART])
def test_a_caption_that_another_tab_changed_is_not_overwritten(site, headers):
    at = begin(site)
    send(site, at, photo(1))
    (image,) = draft_of(site, at).images
    here, old = f"{at}/images/{image.sha256}", str(draft_of(site, at).version)
    site.client.post(here, data={"caption": "first", "was": "", "since": old})
    response = site.client.post(here, data={"caption": "second", "was": "", "since": old}, headers=headers)
    page = tree(response)
    assert "changed to “first” in another tab" in text_of(page.xpath("//article//*[@role='alert']")[0])
    assert page.xpath("//textarea[@name='caption']")[0].text_content().strip() == "second", "what was typed stays"
    assert draft_of(site, at).images[0].caption == "first"
    site.client.post(here, data={"caption": "second", "was": "", "since": old, "mine": "true"})
    assert draft_of(site, at).images[0].caption == "second"
    site.client.post(here, data={"caption": "first", "was": "first", "since": old})
    assert draft_of(site, at).images[0].caption == "second", "a field that was not touched changes nothing"


def test_captions_are_changed_in_bulk_and_back(site):
    at = begin(site)
    files = {f"{n}.{end}": data for n in range(3) for end, data in (("png", photo(n)), ("txt", f"a dog {n}".encode()))}
    send(site, at, packed(files), "all.zip")
    site.client.post(
        f"{at}/captions", data={"find": "dog", "replace": "cat", "before": "a photo of ", "after": ", sharp"}
    )
    assert captions(site, at) == [f"a photo of a cat {n}, sharp" for n in range(3)]
    site.client.post(f"{at}/captions/undo")
    assert captions(site, at) == [f"a dog {n}" for n in range(3)]


def test_words_that_are_put_before_and_after_captions_are_set_apart(site):
    at = begin(site)
    send(site, at, packed({"a.png": photo(1), "a.txt": b"a dog"}), "p.zip")
    site.client.post(f"{at}/captions", data={"before": "a photo of", "after": "outside"})
    assert captions(site, at) == ["a photo of a dog outside"]
    site.client.post(f"{at}/captions", data={"after": ", in the garden"})
    assert captions(site, at) == ["a photo of a dog outside, in the garden"]


def test_an_image_is_deleted_and_restored(site):
    at = begin(site)
    send(site, at, photo(1))
    (image,) = draft_of(site, at).images
    part = tree(site.client.post(f"{at}/images/{image.sha256}/remove", headers=PART))
    assert "was deleted" in text_of(part) and part.xpath("//button[text()='Undo']")
    page = site.page(f"{at}/images")
    assert not tiles(page) and page.xpath("//button[text()='Restore']"), "also after the page was loaded again"
    site.client.post(f"{at}/images/{image.sha256}/restore", headers=PART)
    assert len(tiles(site.page(f"{at}/images"))) == 1


def test_a_check_shows_its_findings_on_the_images(site):
    at = begin(site)
    blurred = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").save(blurred, "PNG")
    random.seed(1)
    for name, data in (
        ("1.png", photo(1)),
        ("2.png", photo(2)),
        ("copy.png", photo(1, "WEBP")),
        ("3.png", blurred.getvalue()),
    ):
        send(site, at, data, name)
    assert site.client.post(f"{at}/check").status_code == 303
    assert "The check of your images is not finished." in text_of(site.page(f"{at}/train"))
    waiting = text_of(site.page(f"{at}/images").get_element_by_id("check"))
    assert "begins when the jobs before it have ended" in waiting and "another job" not in waiting
    check = site.page(f"{at}/images").xpath("//div[@id='check']")[0]
    assert check.get("hx-get"), "it watches the job"
    assert not check.xpath(".//progress") and "when the jobs before it have ended" in text_of(check)
    execute_queue(site.studio)
    part = tree(site.client.get(f"{at}/check", headers=PART))
    assert part.xpath("//hx-partial[starts-with(@hx-target, '#findings-')]")
    page = site.page(f"{at}/images")
    found = {each.get("aria-label"): each for each in tiles(page)}
    copy = found["copy.png"] if "unused" in found["copy.png"].get("class") else found["1.png"]
    assert "nearly the same as" in text_of(copy) and copy.xpath(".//button[text()='Use it']")
    assert "unused" not in found["2.png"].get("class")
    (keep,) = copy.xpath(".//button[text()='Use it']/@formaction")
    site.client.post(keep)
    kept = {each.get("aria-label"): each for each in tiles(site.page(f"{at}/images"))}[copy.get("aria-label")]
    assert "unused" not in kept.get("class") and kept.xpath(".//button[text()='Leave out']")
    assert page.xpath("//ul[@class='advice']/li")
    send(site, at, photo(9), "new.png")
    (link,) = site.page(f"{at}/train").xpath("//a[text()='Show the check']")
    line = text_of(link.getparent())
    assert line.startswith("Check of your images: ") and "to look at" in line and "captions since." in line
    assert "since this check. Check again" in text_of(site.page(f"{at}/images"))


def test_rights_are_part_of_the_dataset(site):
    at = begin(site)
    send(site, at, photo(1))
    page = site.page(f"{at}/images")
    form = {
        "author": "Ann",
        "licence": "CC0",
        "base": page.xpath("//form[@id='settings']//input[@name='base']/@value")[0],
    }
    site.client.post(f"{at}/settings", data=form)
    assert site.page(f"{at}/images").xpath("//input[@name='author']/@value") == ["Ann"]
    site.client.post(f"{at}/check")
    (run,) = site.studio.runs.list()
    assert (run.request.author, run.request.licence) == ("Ann", "CC0")


def test_a_mark_against_training_needs_a_reason(site):
    at = begin(site)
    out = io.BytesIO()
    image = Image.open(io.BytesIO(photo(1)))
    xmp = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:plus="http://ns.useplus.org/ldf/xmp/1.0/" plus:DataMining='
        '"http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED"/></rdf:RDF></x:xmpmeta>'
    )
    image.convert("RGB").save(out, "JPEG", xmp=xmp.encode(), quality=95)
    send(site, at, out.getvalue(), "theirs.jpg")
    send(site, at, photo(2), "mine.png")
    site.client.post(f"{at}/check")
    execute_queue(site.studio)
    page = site.page(f"{at}/images")
    tile = next(each for each in tiles(page) if each.get("aria-label") == "theirs.jpg")
    assert "not to be trained on" in text_of(tile) and "unused" in tile.get("class")
    site.client.post(tile.xpath(".//button[text()='Use it']/@formaction")[0])
    site.client.post(f"{at}/subject", data={"class_word": "dog", "base": "{}"})
    response = site.client.post(f"{at}/train")
    assert response.status_code == 422 and "give a reason" in text_of(tree(response))
    assert json.loads(page.xpath("//form[@id='settings']//input[@name='base']/@value")[0])["despite"]


def test_a_crop_is_chosen_by_numbers_and_forgotten(site):
    at = begin(site)
    send(site, at, photo(1, size=(300, 200)))
    (image,) = draft_of(site, at).images
    here = f"{at}/images/{image.sha256}/crop"
    page = site.page(here)
    assert page.xpath("//input[@name='width']/@value") == ["300"]
    assert site.client.get(page.xpath("//crop-editor/img/@src")[0]).headers["content-type"] == "image/webp"
    box = {"left": "20", "top": "10", "width": "128", "height": "130"}
    assert site.client.post(here, data=box).status_code == 303
    assert draft_of(site, at).images[0].crop == (20, 10, 148, 140)
    (shown,) = site.page(f"{at}/images").xpath("//article[.//p[text()='your crop']]/img/@src")
    with Image.open(io.BytesIO(site.client.get(shown).content)) as small:
        assert small.size == (128, 130), "the tile shows what the crop leaves"
    site.client.post(f"{at}/check")
    (run,) = site.studio.runs.list()
    folder = site.studio.files.local_path(run.request.sources[0])
    with Image.open(folder / "a.png") as cropped:
        assert cropped.size == (128, 130)
    there = site.client.post(here, data=box | {"automatic": "true"}).headers["location"]
    assert draft_of(site, at).images[0].crop is None
    page = site.page(there)
    assert page.xpath("//input[@name='width']/@value") == ["200"] == page.xpath("//input[@name='height']/@value")
    assert "the crop that Limner finds" in text_of(page.xpath("//p[@role='status']")[0])


def test_the_found_crop_is_around_the_subject(site):
    at = begin(site)
    image = Image.new("RGB", (400, 200), "white")
    image.paste((200, 30, 30), (310, 60, 380, 140))
    out = io.BytesIO()
    image.save(out, "PNG")
    send(site, at, out.getvalue())
    (sent,) = draft_of(site, at).images
    found = f"{at}/images/{sent.sha256}/crop?found=true"

    def left() -> int:
        return int(site.page(found).xpath("//input[@name='left']/@value")[0])

    assert left() > 150, "the subject is at the right"
    site.client.post(f"{at}/settings", data={"crop": "centre", "base": '{"crop": [99, ""]}'})
    assert left() == 100
    site.client.post(f"{at}/settings", data={"crop": "none", "base": '{"crop": [99, "centre"]}'})
    assert "is used whole" in text_of(site.page(found))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"left": "200"}, "leaves the image; stay within its 300 x 200 pixels"),
        ({"width": "10"}, "use at least 64 on each side"),
        ({"top": "-4"}, "top '-4' is not a whole number"),
        ({"height": ""}, "height '' is not a whole number"),
        ({"left": "9" * 30}, "is not a whole number"),
    ],
)
def test_a_crop_that_is_not_possible_is_refused(site, change, text):
    at = begin(site)
    send(site, at, photo(1, size=(300, 200)))
    (image,) = draft_of(site, at).images
    form = {"left": "20", "top": "10", "width": "128", "height": "130"} | change
    response = site.client.post(f"{at}/images/{image.sha256}/crop", data=form)
    page = tree(response)
    assert response.status_code == 422 and text in text_of(page.xpath("//*[@role='alert']")[0])
    assert page.xpath("//input[@name='width']/@value") == [form["width"]], "what was typed stays"
    assert draft_of(site, at).images[0].crop is None


def test_a_caption_in_a_zip_that_is_too_long_is_cut_and_said(site):
    at = begin(site)
    response = send(site, at, packed({"1.png": photo(1), "1.txt": b"dog " * 600}), "all.zip")
    assert response.json()["problems"] == ["the caption of '1.png' has more than 2,000 characters; it was cut"]
    (image,) = draft_of(site, at).shown
    assert 1990 < len(image.caption) <= 2000


def huge(size: tuple[int, int], kind: str) -> bytes:
    """The bytes of a plain image, small on disk however large."""
    out = io.BytesIO()
    Image.new("1", size).save(out, kind)
    return out.getvalue()


@pytest.mark.parametrize(("size", "kind"), [((20_000, 20_000), "PNG"), ((60_000, 4_000), "TIFF")])
def test_a_huge_image_is_refused_by_its_size(site, size, kind):
    at = begin(site)
    response = send(site, at, huge(size, kind), "huge.png")
    assert response.status_code == 422, response.text
    detail = response.json()["detail"]
    assert "huge.png" in detail and "pixels" in detail and not draft_of(site, at).images


def test_a_long_image_within_the_limit_is_shown_and_cropped(site):
    at = begin(site)
    assert send(site, at, huge((20_000, 1_000), "PNG"), "long.png").status_code == 200
    (image,) = draft_of(site, at).images
    place = f"{at}/images/{image.sha256}"
    for path in (f"{place}.jpg", f"{place}/preview.jpg"):
        with Image.open(io.BytesIO(site.client.get(path).content)) as copy:
            assert max(copy.size) <= 1280 and min(copy.size) >= 1
    box = {"left": "19000", "top": "0", "width": "1000", "height": "1000"}
    assert site.client.post(f"{place}/crop", data=box).status_code == 303
    with Image.open(io.BytesIO(site.client.get(f"{place}.jpg?crop=x").content)) as copy:
        assert copy.width == copy.height
