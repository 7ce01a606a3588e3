"""The forms of pets and marketing in a browser, and zooming of the mask."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from browsing import PHONE, focus_by_tab, opened, overflow, serious_findings, until
from pages import newest, picture

pytestmark = pytest.mark.slow
PLACES = ("/create/pets", "/create/pets?model=sdxl&species=dog", "/create/marketing")


def test_a_pet_is_chosen_by_pictures_and_created(served, home, browser):
    with opened(browser, served.call.address) as page:
        page.goto("/create/pets")
        prompt = page.get_by_label("Prompt", exact=True)
        assert prompt.input_value() == "a photo of a cat"
        page.locator("input[name=species][value=dog]").check()
        page.locator("input[name=breed][value=corgi]").check()
        until(page, "document.getElementById('pets-prompt').value", "a photo of a corgi dog")
        page.locator("input[name=extras][value=scarf]").check()
        until(page, "document.getElementById('pets-prompt').value.includes('scarf')")
        page.get_by_role("button", name="Copy as code").click()
        page.locator("#copy").get_by_text("limner pets").wait_for()
        page.get_by_text("Portrait").click()
        page.locator("#pets .primary").click()
        page.locator("#results article[data-status=done] .result").wait_for()
        request = newest(home).request
        assert request.height > request.width and "corgi" in request.prompt
        page.locator("[id$=-favourite]").focus()
        page.keyboard.press("4")
        page.locator("[id$=-star4][aria-pressed=true]").wait_for()
        page.keyboard.press("c")
        assert page.locator("[id$=-compare]").is_checked()
        expect(page.locator("#compare button")).to_be_visible()
        page.locator("[id$=-variations]").click()
        page.locator("#results article").nth(1).wait_for()
        assert page.locator("[id$=-compare]").count() >= 1 and "species" in newest(home).tags
        page.goto("/")
        page.go_back()
        page.wait_for_url("**/create/pets*")
        expect(page.locator("#results article"), "jobs are there after a return").to_have_count(2)
        page.locator("#results article[data-status=done]").nth(1).wait_for()


def test_choices_that_cannot_be_copied_say_why(idle, browser):
    with opened(browser, idle.call.address) as page:
        page.goto("/create/pets")
        page.locator("#pets-count").fill("0")
        page.get_by_role("button", name="Copy as code").click()
        page.locator("[data-field=count] .error").wait_for()
        expect(page.locator("#pets")).to_have_count(1)
        assert page.locator("#pets-count").input_value() == "0"
        page.locator("#pets-count").fill("3")
        page.locator("#pets .primary").click()
        page.locator("#results article").wait_for()


def test_a_breed_from_the_list_replaces_the_one_of_a_picture(idle, home, browser):
    with opened(browser, idle.call.address) as page:
        page.goto("/create/pets?model=sdxl&species=dog&breed=corgi")
        page.locator("#pets-breed").select_option("pug")
        until(page, "document.getElementById('pets-prompt').value.includes('pug')")
        page.locator("input[name=breed][value=husky]").check()
        until(page, "document.getElementById('pets-prompt').value.includes('husky')")
        assert page.locator("#pets-breed").input_value() == ""


def test_marketing_keeps_what_was_typed_through_bad_files_and_a_broken_connection(idle, home, browser, tmp_path):
    text = tmp_path / "notes.png"
    text.write_text("This is text.")
    with opened(browser, idle.call.address, allowed="Failed to load resource") as page:
        page.goto("/create/marketing")
        page.get_by_label("Prompt").fill("a red mug")
        page.get_by_label("Industry").select_option("food")
        message = page.locator("#marketing-base_image_url-message")
        page.locator("#marketing-base_image_url").set_input_files(text)
        message.filter(has_text="notes.png").wait_for()
        page.route("**/create/files", lambda route: route.abort())
        page.locator("#marketing-base_image_url").set_input_files(picture(tmp_path))
        message.filter(has_text="does not answer").wait_for()
        page.unroute("**/create/files")
        page.locator("#marketing-base_image_url").set_input_files(picture(tmp_path))
        page.locator(".chosen img").wait_for()
        expect(message).to_be_hidden()
        page.reload()
        assert page.get_by_label("Prompt").input_value() == "a red mug"
        expect(page.locator(".chosen img")).to_be_visible()
        page.locator("#marketing .primary").click()
        page.locator("#results article").wait_for()
        run = newest(home)
        assert run.request.image.startswith("sha256:") and run.tags["industry"] == "food"
        page.locator("#marketing-count").fill("99")
        page.locator("#marketing .primary").click()
        page.locator("[data-field=count] .error").wait_for()
        expect(page.locator(".chosen img"), "the picture stays").to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", [{}, PHONE], ids=["desktop", "phone"])
def test_the_forms_fit_and_have_no_serious_finding(home, idle, browser, device, scheme):
    with opened(browser, idle.call.address, color_scheme=scheme, **device) as page:
        for place in PLACES:
            page.goto(place)
            page.locator("form.panel .primary").click()
            page.locator("#results article, form.panel .error").first.wait_for()
            page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
            assert overflow(page) == 0, place
            assert serious_findings(page) == [], place
            small = page.evaluate(
                """[...document.querySelectorAll("main button, main a.button, main summary, main label.card, \
main label.chip, main label.shape-choice, main select")].filter(each => each.checkVisibility())
                .map(each => [each.id || each.textContent, each.getBoundingClientRect().height])
                .filter(([, height]) => height < 44)"""
            )
            assert small == [], place


def test_pets_by_keyboard_alone(idle, home, browser):
    with opened(browser, idle.call.address) as page:
        page.goto("/create/pets")

        focus_by_tab(page, "input[name=species]")
        page.keyboard.press("ArrowRight")
        until(page, "document.getElementById('pets-prompt').value", "a photo of a dog")
        focus_by_tab(page, "input[name=breed]")
        page.keyboard.press("ArrowRight")
        until(page, "document.getElementById('pets-prompt').value", "a photo of a golden retriever dog")
        assert page.evaluate("document.activeElement.name") == "breed", "the focus stays"
        focus_by_tab(page, "#pets .primary")
        page.keyboard.press("Enter")
        page.locator("#results article").wait_for()
        assert newest(home).tags["breed"] == "golden retriever"


def painted(page) -> float:
    """The painted share of the mask."""
    return page.evaluate(
        """() => { const canvas = document.querySelector("mask-canvas canvas");
        const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
        let count = 0;
        for (let at = 3; at < data.length; at += 4) count += data[at] > 0;
        return count / canvas.width / canvas.height; }"""
    )


ZOOM = "(document.querySelector('.mask-sheet').style.transform.match(/scale\\(([\\d.]+)\\)/) || [0, 1])[1] * 1"


def open_mask(page, folder):
    page.goto("/create")
    page.get_by_text("Start from an image").click()
    page.locator("#create-image").set_input_files(picture(folder))
    until(page, "document.querySelector('mask-canvas canvas').width", 300)
    page.locator("mask-canvas").scroll_into_view_if_needed()


def test_two_fingers_zoom_the_mask_and_paint_nothing(idle, browser, tmp_path):
    with opened(browser, idle.call.address, **PHONE) as page:
        open_mask(page, tmp_path)
        page.locator(".mask-stage").scroll_into_view_if_needed()
        box = page.locator(".mask-stage").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        device = page.context.new_cdp_session(page)

        def touch(kind, *points):
            device.send(
                "Input.dispatchTouchEvent",
                {
                    "type": kind,
                    "touchPoints": [{"x": px, "y": py, "id": number} for number, (px, py) in enumerate(points)],
                },
            )

        touch("touchStart", (x - 20, y))
        touch("touchMove", (x - 25, y))
        touch("touchStart", (x - 25, y), (x + 25, y))
        for wide in (40, 60, 80):
            touch("touchMove", (x - wide, y), (x + wide, y))
        touch("touchEnd")
        assert 2.5 < page.evaluate(ZOOM) < 3.5
        assert painted(page) == 0, "the first finger's line is taken back"
        touch("touchStart", (x, y))
        touch("touchMove", (x + 10, y))
        touch("touchEnd")
        assert 0 < painted(page) < 0.05, "a finger paints again, at the size of the screen"


def test_the_mask_is_zoomed_by_wheel_and_keys_and_painted_where_the_mouse_is(idle, browser, tmp_path):
    with opened(browser, idle.call.address) as page:
        open_mask(page, tmp_path)
        box = page.locator(".mask-stage").bounding_box()
        page.mouse.move(box["x"] + 10, box["y"] + 10)
        page.keyboard.down("Control")
        page.mouse.wheel(0, -400)
        page.keyboard.up("Control")
        until(page, f"{ZOOM} > 3")
        page.mouse.down()
        page.mouse.up()
        at = page.evaluate(
            "[...document.querySelector('mask-canvas canvas').getContext('2d').getImageData(8, 8, 1, 1).data][3]"
        )
        assert at > 0, "the place under the mouse stays there"
        page.get_by_role("button", name="Eraser").focus()
        page.keyboard.press("Control+z")
        assert painted(page) == 0
        size = page.get_by_label("Brush size").input_value()
        page.keyboard.press("]")
        assert int(page.get_by_label("Brush size").input_value()) == int(size) + 2
        page.keyboard.press("e")
        assert page.get_by_role("button", name="Eraser").get_attribute("aria-pressed") == "true"
        before = page.locator(".mask-sheet").evaluate("each => each.style.transform")
        page.keyboard.press("ArrowRight")
        assert page.locator(".mask-sheet").evaluate("each => each.style.transform") != before
        page.keyboard.press("0")
        assert page.evaluate(ZOOM) == 1


def test_a_mask_by_keyboard_alone(idle, home, browser, tmp_path):
    with opened(browser, idle.call.address) as page:
        open_mask(page, tmp_path)
        page.locator("#create-prompt").fill("a red hat")
        page.locator("#create-image").focus()

        focus_by_tab(page, "mask-canvas details summary")
        page.keyboard.press("Enter")
        for value in ("10", "20", "30", "40"):
            focus_by_tab(page, "mask-canvas .mask-numbers input")
            page.keyboard.type(value)
        page.keyboard.press("Enter")
        focus_by_tab(page, "#create-soft")
        focus_by_tab(page, "#create-start ~ details.drawer:last-of-type summary")
        page.keyboard.press("Enter")
        focus_by_tab(page, "#create-filter")
        page.keyboard.type("scheduler")
        focus_by_tab(page, "#create-scheduler")
        page.keyboard.type("ddim")
        page.keyboard.press("Control+Enter")
        page.locator("#results article").wait_for()
        request = newest(home).request
        assert request.mask.startswith("sha256:") and request.scheduler == "ddim"
