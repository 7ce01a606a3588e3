"""Teaching a subject in a browser: uploads that break, two tabs, and a whole training."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from test_teach_images import begin, photo, send

from browsing import PHONE, heard, listen, opened, overflow, serious_findings
from limner.starter.demo import write_character_images
from limner.web.assets import asset_path
from pages import site_of

pytestmark = pytest.mark.slow

SMALL = """() => [...document.querySelectorAll("main a, main button, main summary, main textarea")].filter(each => {
const box = each.getBoundingClientRect();
return box.width > 1 && getComputedStyle(each).display !== "inline" && box.height < 43.5
}).map(each => each.outerHTML)"""


@pytest.fixture
def draft(home):
    """The path of a draft with two images, made before the service starts."""
    site = site_of(home)
    at = begin(site)
    for number in range(2):
        send(site, at, photo(number), f"{number}.png")
    site.studio.close()
    return at


def tiles(page: Page):
    return page.locator("#photos article:not(.gone)")


def saved(page: Page, text: str):
    """Waits until a form with a text has saved itself."""
    return page.expect_response(lambda answer: answer.ok and text in (answer.request.post_data or ""))


def test_an_upload_survives_a_broken_connection(served, browser, tmp_path):
    (tmp_path / "dog.png").write_bytes(photo(1))
    failed = []

    def drop(route):
        if failed:
            return route.continue_()
        failed.append(route.request.url)
        return route.abort("connectionreset")

    with opened(browser, served.call.address, allowed="net::ERR_CONNECTION_RESET") as page:
        listen(page)
        page.goto("/teach")
        page.get_by_role("button", name="Begin with your photos").click()
        page.route(re.compile("/images/parts/"), drop)
        with page.expect_event("requestfailed"):
            page.locator("#files").set_input_files(tmp_path / "dog.png")
        heard(page, "connection lost, trying again")
        expect(tiles(page)).to_have_count(1)
        expect(page.locator("#uploads li")).to_have_count(0)
        assert len(failed) == 1


def test_bad_files_get_a_line_each_and_good_ones_are_kept(served, browser, tmp_path):
    with (tmp_path / "huge.jpg").open("wb") as file:
        file.truncate(200 * 2**20)
    (tmp_path / "words.png").write_bytes(b"hello there, this is text")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "good.png").write_bytes(photo(1))
    sent = []
    with opened(browser, served.call.address, allowed="status of 422") as page:
        page.goto("/teach")
        page.get_by_role("button", name="Begin with your photos").click()
        page.on("request", lambda each: sent.append(each.url) if "/images/parts/" in each.url else None)
        page.locator("#files").set_input_files(sorted(tmp_path.glob("*.*g")))
        expect(tiles(page)).to_have_count(1)
        lines = page.locator("#uploads .error")
        expect(lines).to_have_count(3)
        text = " | ".join(lines.all_inner_texts())
        assert "huge.jpg has 200 MB, and the limit is 64 MB; save a smaller copy" in text
        assert "'words.png' holds text" in text and "empty.jpg is empty" in text
        assert len(sent) == 2, "what is too large or empty is not sent"
        page.get_by_role("button", name="Dismiss").first.click()
        expect(lines).to_have_count(2)
        page.locator("#files").set_input_files(tmp_path / "good.png")
        page.wait_for_load_state("networkidle")
        assert len(sent) == 2, "what is stored is not sent again"
        expect(tiles(page), "what is stored is not sent again").to_have_count(1)


def test_hashes_are_right_without_the_browsers_own(served, browser):
    with opened(browser, served.call.address) as page:
        page.goto("/teach")
        page.get_by_role("button", name="Begin with your photos").click()
        for size in (0, 1, 55, 56, 63, 64, 65, 1000):
            code = f"""import("{asset_path("teach-upload.js")}").then(module =>
            [...module.sha256(new Uint8Array({size}).map((_, i) => i % 251))])"""
            assert bytes(page.evaluate(code)) == hashlib.sha256(bytes(i % 251 for i in range(size))).digest(), size


def test_captions_are_saved_by_themselves_and_deletion_is_undone(draft, served, browser):
    with opened(browser, served.call.address) as page:
        page.goto(f"{draft}/images")
        with saved(page, "park"):
            page.locator("textarea").first.fill("a dog in the park")
        expect(page.get_by_role("status").get_by_text("saved")).to_have_count(1)
        page.get_by_role("button", name="Delete 1.png").click()
        page.get_by_text("1.png was deleted").wait_for()
        page.get_by_role("button", name="Undo").click()
        expect(tiles(page)).to_have_count(2)
        page.reload()
        assert page.locator("textarea").first.input_value() == "a dog in the park"


def test_two_tabs_on_one_draft(draft, served, browser):
    with opened(browser, served.call.address, allowed="status of 409") as one:
        two = one.context.new_page()
        for page in (one, two):
            page.goto(f"{draft}/subject")
        with saved(one, "dog"):
            one.get_by_label("What is it?").fill("dog")
        with saved(two, "cat"):
            two.get_by_label("What is it?").fill("cat")
        two.get_by_text("changed to “dog” in another tab").wait_for()
        assert two.get_by_label("What is it?").input_value() == "cat"
        two.get_by_role("button", name="Keep mine").click()
        two.wait_for_load_state()
        one.reload()
        assert one.get_by_label("What is it?").input_value() == "cat"


def test_a_tab_is_told_that_its_draft_was_deleted_in_another(draft, served, browser, tmp_path):
    (tmp_path / "dog.png").write_bytes(photo(7))
    with opened(browser, served.call.address, allowed="status of 410") as one:
        one.goto(f"{draft}/images")
        two = one.context.new_page()
        two.goto("/teach")
        two.get_by_role("button", name="Delete the draft").click()
        two.get_by_text("The draft was deleted.").wait_for()
        one.locator("#files").set_input_files(tmp_path / "dog.png")
        expect(one.locator("#uploads .error")).to_have_text(
            re.compile("this draft was deleted; restore it on the page Teach")
        )
        expect(tiles(one)).to_have_count(2)
        one.locator("textarea").first.fill("a dog")
        one.locator("#photos").get_by_text("this draft was deleted").wait_for()
        two.get_by_text("Deleted drafts (1)").click()
        two.get_by_role("button", name="Restore the draft").click()
        one.reload()
        expect(tiles(one)).to_have_count(2)


def test_next_moves_the_focus_to_the_heading_of_the_step(draft, served, browser):
    with opened(browser, served.call.address) as page:
        page.goto(f"{draft}/images")
        for name, heading in (("Next: Subject", "Subject"), ("Next: Recipe", "Recipe"), ("Next: Train", "Train")):
            if heading == "Recipe":
                page.get_by_label("What is it?").fill("dog")
            page.get_by_text(name).focus()
            page.keyboard.press("Enter")
            focused = page.locator("h1:focus")
            expect(focused).to_have_text(heading)
            assert page.evaluate("scrollY") == 0, "the whole top of the page is in view"
        page.get_by_role("link", name="Back", exact=True).focus()
        page.keyboard.press("Enter")
        expect(page.locator("h1:focus")).to_have_text("Recipe")


@pytest.mark.parametrize(
    ("step", "field"), [("images", "textarea"), ("subject", "#class_word"), ("recipe", "[name=steps]")]
)
def test_what_is_typed_is_saved_when_the_page_is_left_at_once(draft, served, browser, step, field):
    with opened(browser, served.call.address) as page:
        page.goto(f"{draft}/{step}")
        page.locator(field).first.fill("77")
        page.goto("/queue")
        for _ in range(20):  # the browser sends it while the next page loads
            page.goto(f"{draft}/{step}")
            if page.locator(field).first.input_value() == "77":
                break
            page.wait_for_timeout(100)
        assert page.locator(field).first.input_value() == "77"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", [{}, PHONE], ids=["desktop", "phone"])
def test_every_step_fits_and_has_no_serious_finding(draft, served, browser, device, scheme):
    with opened(browser, served.call.address, color_scheme=scheme, **device) as page:
        for step in ("images", "subject", "recipe", "train"):
            page.goto(f"{draft}/{step}")
            assert overflow(page) == 0, step
            expect(page.locator("h1"), step).to_have_count(1)
            assert serious_findings(page) == [] and page.evaluate(SMALL) == [], step


def test_a_crop_is_chosen_by_keys_and_by_pointer(draft, served, browser):
    with opened(browser, served.call.address) as page:
        page.goto(f"{draft}/images")
        page.get_by_role("link", name="Crop 0.png").click()
        assert serious_findings(page) == [] and overflow(page) == 0
        corner = page.get_by_role("button", name="Resize from the bottom right")
        corner.press("ArrowLeft")
        corner.press("ArrowUp")
        values = [page.locator(f"#{name}").input_value() for name in ("left", "top", "width", "height")]
        assert values == ["0", "0", "152", "132"]
        page.locator(".crop-box").press("Shift+ArrowRight")
        box = page.locator(".crop-box").bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 100, y + 100)
        page.mouse.up()
        values = [page.locator(f"#{name}").input_value() for name in ("left", "top", "width", "height")]
        assert values == ["8", "8", "152", "132"], "it stays within the image"
        page.get_by_role("button", name="Save the crop").click()
        page.get_by_text("your crop").wait_for()


def test_a_crop_is_chosen_by_touch(draft, served, browser):
    with opened(browser, served.call.address, **PHONE) as page:
        page.goto(f"{draft}/images")
        page.get_by_role("link", name="Crop 0.png").click()
        corner = page.get_by_role("button", name="Resize from the bottom right")
        corner.scroll_into_view_if_needed()
        box = corner.bounding_box()
        assert box is not None and min(box["width"], box["height"]) >= 43.5
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        touch = page.context.new_cdp_session(page)
        for kind, place in (("touchStart", 0), *(("touchMove", -8 * n) for n in range(1, 8)), ("touchEnd", 0)):
            points = [] if kind == "touchEnd" else [{"x": x + place, "y": y + place}]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        width, height = (int(page.locator(f"#{name}").input_value()) for name in ("width", "height"))
        assert 64 <= width < 150 and 64 <= height < 130, "the corner followed the finger, and the page did not scroll"
        assert overflow(page) == 0 and serious_findings(page) == []


def test_a_character_is_taught(served, browser, tmp_path: Path):
    images = sorted(write_character_images(tmp_path / "drawn"))[:6]
    with opened(browser, served.call.address) as page:
        page.goto("/teach")
        page.get_by_role("button", name="Begin with your photos").click()
        page.locator("#files").set_input_files(images)
        expect(tiles(page)).to_have_count(6)
        page.get_by_role("button", name="Check images").click()
        page.locator("#check .verdict").wait_for(timeout=120_000)
        page.get_by_role("link", name="Next: Subject").click()
        page.get_by_label("What is it?").fill("cat")
        with saved(page, "zorvik"):
            page.get_by_label("What do you call it?").fill("zorvik")
    with opened(browser, served.call.address) as page:  # the browser was closed
        page.goto("/teach")
        page.get_by_role("link", name="zorvik").click()
        page.wait_for_url("**/subject")
        assert page.get_by_label("What do you call it?").input_value() == "zorvik"
        page.get_by_role("button", name="Next: Recipe").click()
        page.locator("[name=steps]").fill("20")
        page.locator("summary", has_text="All other settings").click()
        for name, value in (("checkpoint_every", "10"), ("preview_every", "10"), ("class_pictures", "4")):
            page.locator(f"[name={name}]").fill(value)
        page.get_by_role("button", name="Next: Train").click()
        expect(page.locator(".facts")).to_contain_text("zorvik cat")
        page.get_by_role("button", name="Start training").click()
        page.locator("#progress").wait_for()
    with opened(browser, served.call.address) as page:  # closed again, while it works
        page.goto("/teach")
        page.get_by_role("link", name="zorvik").click()
        page.get_by_role("link", name="Try it").wait_for(timeout=300_000)
        expect(page.locator(".checkpoints img")).to_have_count(2)
        expect(page.locator("svg.chart .smooth")).to_have_count(1)
        page.get_by_role("link", name="Try it").click()
        assert "zorvik cat" in page.get_by_label("What to show").input_value()
        assert page.locator("[name=subject]:checked").first.input_value().startswith("folder:")
