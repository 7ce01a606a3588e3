"""Journeys through the gallery in a browser, against a real service."""

from __future__ import annotations

import zipfile

import pytest
from playwright.sync_api import expect

from browsing import PHONE, opened, overflow, serious_findings
from gallery import COLOURS, add_image
from limner.core.feedback import ImageQuery
from limner.studio.images import Viewer
from limner.studio.studio import Studio

pytestmark = pytest.mark.slow

VIEW = Viewer(stored=True)
WHOLLY_SHOWN = """[...document.querySelectorAll('.virtual .cell')].find(cell => {
    const box = cell.getBoundingClientRect();
    return box.top > 200 && box.bottom < innerHeight - 100;
}).getAttribute('aria-posinset')"""
# 44 pixels, which a position between two pixels makes a fraction smaller
SMALL_TARGETS = """[...document.querySelectorAll('main :is(a, button, summary, select, input, .pick)')].filter(each =>
    !each.matches('.pick input, .away, [type=hidden]') && each.checkVisibility()
    && each.getBoundingClientRect().height < 43.9
).map(each => each.outerHTML)"""
PROMPTS = ("a black cat", "a white cat", "a red mug on a table")


@pytest.fixture
def filled(home, served):
    """A service with 36 images, a third of each prompt; the studio beside it, and the ids, newest first."""
    studio = Studio(home)
    ids = [add_image(studio, PROMPTS[n % 3], COLOURS[n % len(COLOURS)], seed=n) for n in range(36)]
    yield served.call.address, studio, ids[::-1]
    studio.close()


def ready(page, place="/gallery"):
    page.goto(place)
    page.locator("virtual-gallery[data-ready]").wait_for()
    page.locator(".virtual .cell img[src]").first.wait_for()


def cell(page, place):
    return page.locator(f".cell[aria-posinset='{place}']")


def focused_place(page):
    return page.evaluate("Number(document.activeElement.closest('.cell')?.getAttribute('aria-posinset'))")


def test_images_are_found_compared_rated_and_exported(filled, browser, tmp_path):
    address, studio, ids = filled
    cats = [id for id in ids if "cat" in studio.images.get(VIEW, id).request.prompt]
    with opened(browser, address, accept_downloads=True) as page:
        ready(page)
        page.keyboard.press("/")
        page.keyboard.type("CAT")
        page.keyboard.press("Enter")
        page.wait_for_url("**/gallery?search=CAT")
        page.locator("virtual-gallery[data-ready]").wait_for()
        assert (
            cell(page, 1).get_attribute("aria-setsize") == "24" and page.locator("h1 + p").inner_text() == "24 images"
        )
        for place in (1, 2):
            cell(page, place).hover()
            cell(page, place).locator("input").click()
        expect(page.locator(".chosen-count")).to_have_text("2 selected")
        page.get_by_role("button", name="Compare").click()
        page.wait_for_url("**/gallery/compare?*")
        slider = page.get_by_role("slider")
        slider.focus()
        page.keyboard.press("Home")
        assert page.locator("compare-slider img").nth(1).evaluate("e => e.style.clipPath") in (
            "inset(0px 0px 0px 0%)",
            "inset(0 0 0 0%)",
            "inset(0px)",
        )
        page.go_back()
        page.locator("virtual-gallery[data-ready]").wait_for()
        cell(page, 1).locator("a").click()
        page.wait_for_url(f"**/gallery/{cats[0]}?search=CAT")
        page.keyboard.press("4")
        page.locator("[id^=star-][id$='-4'][aria-pressed=true]").wait_for()
        page.keyboard.press("f")
        page.locator("[id^=heart-][aria-pressed=true]").wait_for()
        page.keyboard.press("ArrowRight")
        page.wait_for_url(f"**/gallery/{cats[1]}?search=CAT")
        page.keyboard.press("Escape")
        page.wait_for_url("**/gallery?search=CAT")
        page.locator("virtual-gallery[data-ready]").wait_for()
        expect(cell(page, 1).locator(".marks")).to_have_text("♥ ★4")
        found = studio.images.get(VIEW, cats[0])
        assert (found.mine.stars, found.favourite) == (4, True)
        for place in (1, 3):
            cell(page, place).hover()
            cell(page, place).locator("input").click()
        page.get_by_text("More", exact=True).click()
        with page.expect_download() as download:
            page.get_by_role("button", name="Export as zip").click()
        with zipfile.ZipFile(download.value.path()) as archive:
            assert len(archive.namelist()) == 4
            assert {int(name[:6]) for name in archive.namelist()} == {cats[0], cats[2]}


def test_many_are_chosen_with_shift_marked_at_once_and_undone(filled, browser):
    address, studio, ids = filled
    with opened(browser, address) as page:
        ready(page)
        cell(page, 2).hover()
        cell(page, 2).locator("input").click()
        cell(page, 6).locator("a").click(modifiers=["Shift"])
        expect(page.locator(".chosen-count")).to_have_text("5 selected")
        assert page.url.endswith("/gallery")
        page.get_by_role("button", name="♥ Favourite").click()
        page.locator("#notice").get_by_text("5 images are added to your favourites.").wait_for()
        cell(page, 4).locator(".marks", has_text="♥").wait_for()
        assert [image.id for image in studio.images.list(VIEW, ImageQuery(favourite=True))] == ids[1:6]
        page.get_by_role("button", name="Undo").click()
        page.locator("#notice").get_by_text("5 images are removed from your favourites.").wait_for()
        cell(page, 4).locator(".marks").wait_for(state="hidden")
        assert not studio.images.list(VIEW, ImageQuery(favourite=True))
        page.keyboard.press("Escape")
        expect(page.locator(".chosen")).to_be_hidden()


def test_the_keyboard_alone_goes_chooses_rates_and_opens(filled, browser):
    address, studio, ids = filled
    with opened(browser, address) as page:
        ready(page)
        assert (
            page.locator(".virtual [tabindex='0']").count() == 1
            and page.locator(".virtual input[tabindex='0']").count() == 0
        )
        page.locator(".virtual a[tabindex='0']").focus()
        columns = page.evaluate("document.querySelector('virtual-gallery').columns")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowDown")
        assert focused_place(page) == columns + 2
        page.keyboard.press("End")
        assert focused_place(page) == len(ids)
        page.keyboard.press("Home")
        page.keyboard.press("3")
        page.locator("#notice").get_by_text("1 image has 3 stars now.").wait_for()
        assert studio.images.get(VIEW, ids[0]).mine.stars == 3 and focused_place(page) == 1
        page.keyboard.press("Space")
        page.keyboard.press("Shift+ArrowRight")
        page.keyboard.press("Shift+ArrowRight")
        expect(page.locator(".chosen-count")).to_have_text("3 selected")
        page.keyboard.press("c")
        page.wait_for_url("**/gallery/compare?*")
        expect(page.locator("figure")).to_have_count(3)
        page.go_back()
        page.locator("virtual-gallery[data-ready]").wait_for()
        page.locator(".virtual a[tabindex='0']").focus()
        place = focused_place(page)
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/gallery/{ids[place - 1]}")


def test_going_back_returns_to_the_same_place(filled, browser):
    address, studio, _ = filled
    run = studio.runs.get(studio.images.list(VIEW, ImageQuery(limit=1))[0].run)
    for _ in range(100):
        add_image(studio, run=run)
    with opened(browser, address) as page:
        ready(page)
        page.evaluate("scrollTo(0, 1500)")
        place = page.evaluate(WHOLLY_SHOWN)
        before = cell(page, place).bounding_box()["y"]
        cell(page, place).locator("a").click()
        page.wait_for_url("**/gallery/*")
        page.go_back()
        page.locator("virtual-gallery[data-ready]").wait_for()
        assert abs(cell(page, place).bounding_box()["y"] - before) < 2


def test_new_images_are_announced_and_not_inserted(filled, browser):
    address, studio, ids = filled
    with opened(browser, address) as page:
        ready(page)
        page.evaluate("document.querySelector('virtual-gallery').look()")
        expect(page.locator("#fresh a")).to_have_count(0)
        add_image(studio)
        page.evaluate("document.querySelector('virtual-gallery').look()")
        assert cell(page, 1).get_attribute("aria-setsize") == str(len(ids))
        page.get_by_role("link", name="1 new image").click()
        page.locator(f".cell[aria-setsize='{len(ids) + 1}']").first.wait_for()


def test_without_javascript_images_are_chosen_and_marked(filled, browser):
    address, studio, ids = filled
    with opened(browser, address, java_script_enabled=False) as page:
        page.goto("/gallery")
        page.locator(".cell input").nth(0).check()
        page.locator(".cell input").nth(3).check()
        page.get_by_role("button", name="♥ Favourite").click()
        expect(page.get_by_text("2 images are added to your favourites.")).to_be_visible()
        page.get_by_role("link", name="Back to the gallery").click()
        page.get_by_role("link", name="♥ Favourites 2").click()
        expect(page.locator(".cell")).to_have_count(2)
        page.locator(".cell a").first.click()
        page.get_by_role("button", name="5 stars").click()
        assert studio.images.get(VIEW, ids[0]).mine.stars == 5
        page.get_by_role("button", name="Erase").click()
        page.wait_for_url("**/gallery?favourite=true")
        expect(page.locator(".cell")).to_have_count(1)
        page.get_by_role("button", name="Undo").click()
        page.locator(".cell").nth(1).wait_for()
        expect(page.locator(".cell")).to_have_count(2)
        assert len(studio.images.list(VIEW, ImageQuery())) == 36


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", [{}, PHONE], ids=["desktop", "phone"])
def test_each_page_of_the_gallery_fits_and_has_no_serious_finding(filled, browser, device, scheme):
    address, _, ids = filled
    with opened(browser, address, color_scheme=scheme, **device) as page:
        ready(page)
        cell(page, 1).locator("input").dispatch_event("click")
        cell(page, 2).locator("input").dispatch_event("click")
        expect(page.locator(".chosen")).to_be_visible()
        page.locator(".menu summary").first.click()
        small = page.evaluate(SMALL_TARGETS)
        assert small == []
        assert overflow(page) == 0 and serious_findings(page) == []
        for place in (f"/gallery/{ids[0]}", f"/gallery/compare?id={ids[0]}&id={ids[1]}", "/gallery?search=nothing"):
            page.goto(place)
            assert overflow(page) == 0 and serious_findings(page) == [], place


@pytest.mark.parametrize("options", [PHONE, {**PHONE, "java_script_enabled": False}], ids=["scripts", "plain"])
def test_filters_are_folded_on_a_phone_and_open_on_a_desktop(filled, browser, options):
    address, *_ = filled
    with opened(browser, address, **options) as page:
        page.goto("/gallery")
        button = page.locator(".folded > summary")
        expect(page.get_by_text("Favourites").first).to_be_hidden()
        third = page.locator(".cell").nth(2)
        third.wait_for()
        assert third.bounding_box()["y"] < 500, "two rows of images are on the first screen"
        button.tap()
        page.locator(".folded summary", has_text="Date").tap()
        page.locator(".folded a", has_text="7 days").tap()
        page.wait_for_url("**days=7**")
        assert button.inner_text().split()[:2] == ["Filter", "1"]
        expect(page.get_by_text("Favourites").first).to_be_hidden()
    with opened(browser, address) as page:
        page.goto("/gallery")
        expect(page.locator(".folded > summary")).to_be_hidden()
        page.locator(".folded summary", has_text="Date").click()
        expect(page.locator(".folded a", has_text="7 days")).to_be_visible()


def test_a_frame_selects_images_that_are_erased_and_come_back(filled, browser):
    address, studio, ids = filled
    with opened(browser, address) as page:
        ready(page)

        def drag(first, last, key=None):
            boxes = [cell(page, place).bounding_box() for place in (first, last)]
            (x, y), (to_x, to_y) = ((box["x"] + box["width"] / 2, box["y"] + box["height"] / 2) for box in boxes)
            if key:
                page.keyboard.down(key)
            page.mouse.move(x, y)
            page.mouse.down()
            page.mouse.move((x + to_x) / 2, (y + to_y) / 2)
            page.mouse.move(to_x, to_y)
            expect(page.locator(".frame")).to_have_count(1)
            page.mouse.up()
            if key:
                page.keyboard.up(key)
            return page.locator(".chosen-count").inner_text()

        columns = page.evaluate("document.querySelector('virtual-gallery').columns")
        assert drag(2, columns + 3) == "4 selected" and page.url.endswith("/gallery"), "a drag is no click"
        chosen = page.evaluate("[...document.querySelector('virtual-gallery').selected]")
        assert chosen == [ids[place - 1] for place in (2, 3, columns + 2, columns + 3)]
        assert drag(1, 2) == "2 selected" and drag(4, 5, "Shift") == "4 selected"
        page.mouse.move(600, 400)
        page.keyboard.press("Escape")
        assert drag(1, 2) == "2 selected"
        cell(page, 1).locator("a").focus()
        page.keyboard.press("Delete")
        page.get_by_text("2 images were erased.").wait_for()
        page.locator("virtual-gallery[data-ready]").wait_for()
        assert cell(page, 1).get_attribute("aria-setsize") == "34"
        assert not serious_findings(page)
        page.get_by_role("button", name="Undo").click()
        page.locator(".cell[aria-setsize='36']").first.wait_for()
        expect(page.get_by_text("were erased")).to_have_count(0)
    assert len(studio.images.list(VIEW, ImageQuery())) == 36
