"""The page Create in a browser: by keyboard alone, masks, what survives a reload, and bad files."""

from __future__ import annotations

import asyncio
import io

import pytest
from PIL import Image
from playwright.sync_api import expect

from browsing import PHONE, focus_by_tab, opened, overflow, serious_findings, until
from gallery import add_image
from limner.core.requests import GenerateRequest
from limner.studio.studio import Studio
from pages import Site, adapter_file, newest, picture, teach

pytestmark = pytest.mark.slow

CANVAS_WIDTH = "document.querySelector('mask-canvas canvas').width"


def test_keyboard_alone_creates_rates_and_varies(served, browser):
    with opened(browser, served.call.address) as page:
        page.goto("/create")
        focus_by_tab(page, "#create-prompt")
        page.keyboard.type("a photo of a cat")
        focus_by_tab(page, "input[name=shape]")
        page.keyboard.press("ArrowRight")
        focus_by_tab(page, "#create-steps")
        page.keyboard.type("2")
        focus_by_tab(page, "#create-submit")
        page.keyboard.press("Enter")
        page.locator("#results article[data-status=done] .result").wait_for()
        assert page.evaluate("document.activeElement.id") == "create-submit", "the focus stays"
        assert page.locator("#create-prompt").input_value() == "a photo of a cat"
        focus_by_tab(page, "[id$=-favourite]")
        page.keyboard.press("Enter")
        page.locator("[id$=-favourite][aria-pressed=true]").wait_for()
        assert page.evaluate("document.activeElement.matches('[id$=-favourite]')"), "the focus stays"
        focus_by_tab(page, "[id$=-star4]")
        page.keyboard.press("Enter")
        page.locator("[id$=-star4][aria-pressed=true]").wait_for()
        focus_by_tab(page, "[id$=-variations]")
        page.keyboard.press("Enter")
        page.locator("#results article").nth(1).wait_for()
        page.locator("#results article[data-status=done]").nth(1).wait_for()
        expect(page.locator("#results .result")).to_have_count(5)
        until(page, "document.getElementById('live').hasAttribute('hx-sse:connect')", False)


@pytest.mark.parametrize("options", [{}, PHONE])
def test_the_menu_of_a_result_stays_in_view_and_closes_after_a_choice(home, idle, browser, options):
    studio = Studio(home)
    add_image(studio, "a cat")
    studio.close()
    with opened(browser, idle.call.address, **options) as page:
        page.goto("/create")
        button = page.locator(".more summary").first
        button.wait_for()
        for block in ("start", "center", "end"):
            button.evaluate("(each, block) => each.scrollIntoView({ block })", block)
            before = button.evaluate("each => each.offsetTop")
            button.evaluate("each => each.click()")
            until(page, "document.querySelectorAll('.more[open]').length", 1)
            page.wait_for_timeout(100)
            box = page.locator(".more[open] ul").bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= page.viewport_size["width"], (block, box)
            assert box["y"] >= 0 and box["y"] + box["height"] <= page.viewport_size["height"], (block, box)
            assert button.evaluate("each => each.offsetTop") == before, "the button stays in its line"
            page.keyboard.press("Escape")
            until(page, "document.querySelectorAll('.more[open]').length", 0)
        button.evaluate("each => each.click()")
        page.locator(".more[open] li").get_by_text("Origin and label").click()
        until(page, "document.querySelectorAll('.more[open]').length", 0)
        answer = page.locator(".about dl").first
        answer.wait_for()
        page.wait_for_timeout(200)
        box = answer.bounding_box()
        assert box["y"] >= 0 and box["y"] < page.viewport_size["height"] - 60


def test_a_preview_appears_before_the_image(served, browser):
    with opened(browser, served.call.address) as page:
        page.goto("/create")
        page.get_by_label("What to show").fill("a photo of a cat")
        page.locator("#create-steps").fill("60")
        page.get_by_text("All other settings").click()
        page.locator("#create-submit").click()
        preview = page.locator("#results .preview")
        preview.wait_for()
        until(page, "document.querySelector('#results .preview').naturalWidth > 0")
        assert page.locator("#results article").get_attribute("data-status") == "running"
        expect(page.locator("#create-scheduler"), "the drawer stays open").to_be_visible()
        expect(page.locator("#results .progress")).to_contain_text("generating")
        page.goto("/")
        page.go_back()
        page.wait_for_url("**/create")
        page.locator("#results article").wait_for()
        page.locator("#results article[data-status=done] .result").wait_for()
        expect(preview).to_have_count(0)


def test_a_stream_that_cannot_open_is_tried_again(home, idle, browser):
    studio, asked = Studio(home), []
    run = studio.enqueue(GenerateRequest(prompt="a cat"))

    def refuse_first(route):
        asked.append(route.request.url)
        if len(asked) == 1:
            route.fulfill(status=429, content_type="text/html", body="<p id='wrong'>too many streams</p>")
        else:
            route.continue_()

    with opened(browser, idle.call.address) as page:
        page.route("**/jobs/events*", refuse_first)
        page.goto("/create")
        card = page.locator(f"#run-{run.id}")
        assert card.get_attribute("data-status") == "queued"
        until(page, "document.querySelectorAll('#wrong').length", 0)
        page.wait_for_timeout(6000)
        assert len(asked) == 2, "once more, and then it stays open"
        card.get_by_role("button", name="Stop").click()
        page.locator(f"#run-{run.id}[data-status=cancelled]").wait_for()
        assert page.url.endswith("/create")
        page.locator("#live:empty").wait_for(state="attached")
        page.wait_for_timeout(6000)
        assert len(asked) == 2, "an ended stream is not opened again"
        expect(page.locator("#wrong")).to_have_count(0)
    studio.close()


def mask_of(home) -> Image.Image:
    request = newest(home).request
    studio = Studio(home)
    try:
        return Image.open(io.BytesIO(studio.files.local_path(request.mask).read_bytes())).convert("L")
    finally:
        studio.close()


def test_a_mask_is_painted_on_an_image(home, idle, browser, tmp_path):
    with opened(browser, idle.call.address) as page:
        page.goto("/create")
        page.get_by_label("What to show").fill("a red hat")
        page.get_by_text("Start from an image").click()
        expect(page.locator("#create-strength"), "it means nothing without an image").to_be_hidden()
        page.locator("#create-image").set_input_files(picture(tmp_path))
        page.locator("#create-strength").wait_for()
        canvas = page.locator("mask-canvas canvas")
        until(page, CANVAS_WIDTH, 300)
        assert canvas.evaluate("each => getComputedStyle(each).touchAction") == "none"
        canvas.scroll_into_view_if_needed()

        def stroke(y):
            box = canvas.bounding_box()
            page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + box["height"] * y)
            page.mouse.down()
            page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] * y, steps=8)
            page.mouse.up()

        def submit():
            before = page.locator("#results article").count()
            page.locator("#create-submit").click()
            page.locator("#results article").nth(before).wait_for()
            return mask_of(home)

        stroke(0.25)
        stroke(0.75)
        page.get_by_role("button", name="Undo").click()
        mask = submit()
        assert mask.size == (300, 200)
        assert mask.getpixel((150, 50)) == 255 and mask.getpixel((150, 150)) == 0 == mask.getpixel((5, 5))
        page.get_by_role("button", name="Invert").click()
        inverted = submit()
        assert inverted.getpixel((150, 50)) == 0 and inverted.getpixel((150, 150)) == 255
        page.get_by_role("button", name="Clear").click()
        page.get_by_text("Rectangle by numbers").click()
        for label, value in (("left", "10"), ("top", "20"), ("width", "30"), ("height", "40")):
            page.locator("mask-canvas").get_by_label(label).fill(value)
        page.get_by_role("button", name="Add the rectangle").click()
        assert submit().getbbox() == (10, 20, 40, 60)
        page.get_by_role("button", name="Eraser").click()
        page.locator("mask-canvas").get_by_label("width").fill("10")
        page.get_by_role("button", name="Add the rectangle").click()
        assert submit().getbbox() == (20, 20, 40, 60)
        page.get_by_role("button", name="Clear").click()
        page.locator("#create-submit").click()
        page.locator("#results article").nth(4).wait_for()
        assert newest(home).request.mask is None, "nothing is painted"


def test_what_is_painted_has_dark_and_light_stripes_on_any_picture(idle, browser, tmp_path):
    with opened(browser, idle.call.address) as page:
        page.goto("/create")
        page.get_by_text("Start from an image").click()
        page.locator("#create-image").set_input_files(picture(tmp_path, (300, 200)))
        until(page, CANVAS_WIDTH, 300)
        for tool in ("all", "invert", "invert"):
            page.locator(f"mask-canvas [data-tool={tool}]").click()
        light = """() => { const canvas = document.querySelector("mask-canvas canvas");
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          let [light, dark, clear] = [0, 0, 0];
          for (let at = 0; at < data.length; at += 4) {
            const value = (data[at] + data[at + 1] + data[at + 2]) / 3;
            if (data[at + 3] < 255) clear += 1; else if (value > 220) light += 1; else if (value < 80) dark += 1;
          }
          return [light, dark, clear].map((each) => each / (canvas.width * canvas.height)); }"""
        shares = page.evaluate(light)
        assert shares[0] > 0.3 and shares[1] > 0.3 and shares[2] == 0, shares


def test_painting_at_3000_pixels_is_smooth(idle, browser, tmp_path):
    with opened(browser, idle.call.address) as page:
        page.goto("/create")
        page.get_by_text("Start from an image").click()
        page.locator("#create-image").set_input_files(picture(tmp_path, (3000, 3000)))
        until(page, CANVAS_WIDTH, 3000)
        longest = page.evaluate(
            """() => {
              const canvas = document.querySelector("mask-canvas canvas");
              const box = canvas.getBoundingClientRect();
              const send = (type, x, y) => canvas.dispatchEvent(new PointerEvent(type, {
                pointerId: 1, button: 0, clientX: box.left + box.width * x, clientY: box.top + box.height * y }));
              canvas.setPointerCapture = () => {};
              let longest = 0;
              send("pointerdown", 0, 0);
              for (let i = 0; i <= 100; i += 1) {
                const began = performance.now();
                send("pointermove", i / 100, (i % 20) / 20);
                longest = Math.max(longest, performance.now() - began);
              }
              send("pointerup", 1, 1);
              return longest;
            }"""
        )
        assert longest < 100, f"{longest} ms for one move"


def test_what_was_typed_survives_a_reload(idle, browser, tmp_path):
    with opened(browser, idle.call.address) as page:
        page.goto("/create")
        page.get_by_label("What to show").fill("a cat in a hat")
        page.get_by_text("Portrait").click()
        page.get_by_text("Start from an image").click()
        page.locator("#create-image").set_input_files(picture(tmp_path))
        page.locator(".chosen img").wait_for()
        page.locator("#create-strength").fill("0.3")
        page.reload()
        assert page.get_by_label("What to show").input_value() == "a cat in a hat"
        assert page.locator("#shape-portrait").is_checked()
        assert page.locator("#create-strength").input_value() == "0.3"
        expect(page.locator(".chosen img")).to_be_visible()
        page.goto("/create?prompt=a+dog")
        assert page.get_by_label("What to show").input_value() == "a dog", "an address with settings goes first"


def test_a_picture_is_dropped_and_pasted(idle, browser):
    script = """async ([type, name]) => {
      const canvas = new OffscreenCanvas(40, 30);
      canvas.getContext("2d").fillRect(0, 0, 40, 30);
      const data = new DataTransfer();
      data.items.add(new File([await canvas.convertToBlob()], name, { type: "image/png" }));
      const target = type === "drop" ? document.querySelector("image-field") : document.body;
      const more = type === "drop" ? { dataTransfer: data } : { clipboardData: data };
      const kind = type === "drop" ? DragEvent : ClipboardEvent;
      target.dispatchEvent(new kind(type, { bubbles: true, cancelable: true, ...more }));
    }"""
    for type in ("drop", "paste"):
        with opened(browser, idle.call.address) as page:
            page.goto("/create")
            page.evaluate(script, [type, "a.png"])
            page.locator(".chosen img").wait_for(state="attached")
            assert page.locator("input[name=image]").input_value().startswith("sha256:"), type
            page.locator("#create-start").evaluate("each => { each.open = true; }")
            page.get_by_role("button", name="Remove").click()
            assert page.locator("input[name=image]").input_value() == ""
            expect(page.locator("#create-strength")).to_be_hidden()


def test_bad_files_are_named_next_to_their_field(idle, browser, tmp_path):
    large, text, heic = tmp_path / "large.png", tmp_path / "notes.png", tmp_path / "IMG_1.heic"
    with large.open("wb") as file:
        file.truncate(200 * 2**20)
    text.write_text("This is text.")
    heic.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64))
    with opened(browser, idle.call.address) as page:
        page.goto("/create")
        page.get_by_label("What to show").fill("a cat")
        page.get_by_text("Start from an image").click()
        page.locator("#create-image").set_input_files(picture(tmp_path))
        page.locator(".chosen img").wait_for()
        message = page.locator("#create-image-message")
        for place, wanted in ((large, "200 MB"), (text, "notes.png"), (heic, "IMG_1.heic")):
            page.locator("#create-image").set_input_files(place)
            message.filter(has_text=wanted).wait_for()
            expect(message).to_be_visible()
        expect(page.locator(".chosen img"), "the first one stays").to_be_visible()
        wrong = picture(tmp_path, (10, 10), "mask.png")
        page.locator("mask-canvas input[type=file]").set_input_files(wrong)
        page.get_by_text("The mask is 10 x 10 px, and the image 300 x 200").wait_for()
        assert page.get_by_label("What to show").input_value() == "a cat"


def test_the_prompt_offers_the_words_of_chosen_subjects(home, idle, browser):
    site = Site(Studio(home), None)
    teach(site)
    site.studio.close()
    with opened(browser, idle.call.address) as page:
        page.goto("/create")
        prompt = page.get_by_label("What to show")
        prompt.fill("a painting of sk")
        expect(page.get_by_role("button", name="sks cat")).to_have_count(0)
        page.get_by_text("sks cat").click()
        prompt.focus()
        prompt.press("End")
        prompt.press("Tab")
        assert prompt.input_value() == "a painting of sks cat", "Tab completes the word"
        prompt.press("Tab")
        assert not prompt.evaluate("each => each.matches(':focus')"), "and then goes on"
        prompt.fill("a painting of")
        page.get_by_role("button", name="sks cat").click()
        assert prompt.input_value() == "a painting of sks cat"
        expect(page.get_by_role("button", name="sks cat"), "it is there already").to_have_count(0)
        prompt.press("Control+Enter")
        page.locator("#results article").wait_for()
        (use,) = newest(home).request.adapter
        assert use.weight == 1.0
        expect(page.locator("#subjects input:checked")).to_have_count(1)


def test_an_adapter_is_added_by_upload(idle, browser, tmp_path):
    file = tmp_path / "rex.safetensors"
    file.write_bytes(adapter_file(modelspec__title="Rex", modelspec__trigger_phrase="rex dog"))
    with opened(browser, idle.call.address) as page:
        page.goto("/create")
        page.locator("#create-adapter").set_input_files(picture(tmp_path))
        page.get_by_text("'photo.png' is not an adapter").wait_for()
        page.locator("#create-adapter").set_input_files(file)
        page.locator(".chip").get_by_text("Rex").wait_for()
        expect(page.locator(".chip input:checked")).to_have_count(1)
        page.get_by_role("button", name="rex dog").click()
        assert page.get_by_label("What to show").input_value() == "rex dog"


def test_the_filter_hides_other_settings(idle, browser):
    with opened(browser, idle.call.address) as page:
        page.goto("/create")
        page.get_by_text("All other settings").click()
        page.get_by_label("Find a setting").fill("scheduler")
        expect(page.locator("#create-scheduler")).to_be_visible()
        expect(page.locator("#create-precision")).to_be_hidden()
        page.get_by_label("Find a setting").press("Escape")
        expect(page.locator("#create-precision")).to_be_visible()


def test_a_browser_leaves_no_loop_running(idle, browser):
    with opened(browser, idle.call.address) as page:
        page.goto("/create")
    assert asyncio.run(asyncio.sleep(0, "done")) == "done"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", [{}, PHONE], ids=["desktop", "phone"])
def test_the_open_form_fits_and_has_no_serious_finding(home, idle, browser, tmp_path, device, scheme):
    studio = Studio(home)
    studio.enqueue(GenerateRequest(prompt="a cat " * 40))
    studio.close()
    with opened(browser, idle.call.address, color_scheme=scheme, **device) as page:
        page.goto("/create")
        page.locator("#create-image").set_input_files(picture(tmp_path))
        page.locator(".chosen img").wait_for(state="attached")
        page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
        assert overflow(page) == 0
        assert serious_findings(page) == []
        small = page.evaluate(
            """[...document.querySelectorAll("main button, main a.button, main summary, main input:not([type=hidden], \
[type=checkbox], [type=radio]), main select")].filter(each => each.checkVisibility() && !each.matches(".default"))
            .map(each => [each.id || each.textContent || each.name, each.getBoundingClientRect().height])
            .filter(([, height]) => height < 44)"""
        )
        assert small == []
