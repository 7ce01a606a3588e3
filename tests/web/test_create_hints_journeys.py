"""What the forms of Create say in time, in a browser: beside what it is about, and with nothing lost."""

from __future__ import annotations

import pytest
from PIL import Image
from playwright.sync_api import expect

from browsing import PHONE, opened, overflow, until
from gallery import add_image
from limner.studio.studio import Studio
from pages import Site, newest, picture, teach

pytestmark = pytest.mark.slow
BROKEN = "Failed to load resource"


def visible(page, selector) -> bool:
    """Whether an element is inside the window, and nothing lies over its middle."""
    return page.evaluate(
        """selector => { const each = document.querySelector(selector), box = each.getBoundingClientRect();
        const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
        return y > 0 && y < innerHeight && each.contains(document.elementFromPoint(x, y)); }""",
        selector,
    )


def taught(home) -> None:
    studio = Studio(home)
    teach(Site(studio, None))
    studio.close()


def test_words_and_subjects_are_judged_while_the_form_is_filled_in(home, idle, browser):
    taught(home)
    with opened(browser, idle.call.address) as page:
        page.goto("/create")
        page.locator("#create-prompt").fill("a birthday card with sks cat")
        hints = page.locator("#create-hints")
        hints.filter(has_text="does not know 'birthday', 'card' (nearest: 'car'), 'sks'").wait_for()
        page.locator("input[name=subject]").check()
        hints.filter(has_text="'card' (nearest: 'car'), unless sks cat learned them").wait_for()
        page.locator("#create-model").select_option("sdxl")
        page.locator("#create-misfit").filter(has_text="sks cat was taught for starter, not for sdxl").wait_for()
        assert visible(page, "#create-misfit p"), "beside the button"
        page.locator("#create-model").select_option("")
        until(page, "document.getElementById('create-misfit').textContent", "")
        page.reload()
        hints.filter(has_text="unless sks cat learned them").wait_for()
        page.locator("#create-prompt").fill("a photo of sks cat")
        until(page, "document.getElementById('create-hints').textContent.trim()", "")


@pytest.mark.parametrize(
    ("place", "field"), [("/create", "create-image"), ("/create/marketing", "marketing-base_image_url")]
)
def test_a_refused_picture_stands_until_it_is_left_out(home, idle, browser, tmp_path, place, field):
    text = tmp_path / "notes.png"
    text.write_text("This is text.")
    with opened(browser, idle.call.address, allowed=BROKEN) as page:
        page.goto(place)
        page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
        page.locator("textarea[name=prompt]").fill("a red mug")
        message = page.locator(f"#{field}-message")
        page.locator(f"#{field}").set_input_files(text)
        message.filter(has_text="notes.png").wait_for()
        with page.expect_response(lambda response: response.status == 422):
            page.locator("form.panel .primary").click()
        message.filter(has_text="notes.png").wait_for()
        until(page, f"document.activeElement.id === '{field}'")
        page.reload()
        message.filter(has_text="notes.png").wait_for()
        expect(page.locator("#results article")).to_have_count(0)
        page.get_by_role("button", name="Go on without it").first.click()
        expect(message).to_be_hidden()
        page.locator("form.panel .primary").click()
        page.locator("#results article").wait_for()
        assert newest(home).request.image is None


def test_a_form_waits_for_a_picture_that_is_on_its_way(home, idle, browser, tmp_path):
    with opened(browser, idle.call.address) as page:
        page.goto("/create/marketing")
        page.locator("#marketing-prompt").fill("a red mug")
        page.route("**/create/files", lambda route: (page.wait_for_timeout(700), route.continue_()))
        page.locator("#marketing-base_image_url").set_input_files(picture(tmp_path))
        page.locator("#marketing .primary").click()
        page.locator("#results article").wait_for()
        assert newest(home).request.image.startswith("sha256:")


def test_changed_words_of_an_industry_survive_a_reload(home, idle, browser):
    with opened(browser, idle.call.address) as page:
        page.goto("/create/marketing")
        page.locator("#marketing-prompt").fill("a mug in the park")
        page.locator("#marketing-industry").select_option("food")
        words = page.locator("#marketing-words")
        words.wait_for()
        assert words.input_value() == "against an orange wall"
        page.locator("#marketing-hints").filter(has_text="a mug in the park, against an orange wall").wait_for()
        words.fill("with steam")
        page.locator("#marketing-hints").filter(has_text="a photo of a mug in the park, with steam").wait_for()
        page.reload()
        page.locator("#marketing-hints").filter(has_text="with steam").wait_for()
        assert page.locator("input[type=text][name=words]").input_value() == "with steam"
        page.locator("#marketing .primary").click()
        page.locator("#results article").wait_for()
        assert newest(home).request.prompt == "a photo of a mug in the park, with steam"


@pytest.mark.parametrize("device", [{}, PHONE], ids=["desktop", "phone"])
def test_choices_that_change_nothing_say_so_beside_the_button(idle, browser, device):
    with opened(browser, idle.call.address, **device) as page:
        page.goto("/create/pets")
        page.locator("#pets-prompt").fill("a happy cat")
        page.locator("#pet-kept").filter(has_text="choices no longer change it").wait_for()
        page.locator("input[name=background][value=park]").check()
        assert visible(page, "#pet-kept p") and visible(page, "#pet-kept button") and overflow(page) == 0
        page.locator("#pet-kept button").click()
        until(page, "document.getElementById('pets-prompt').value", "a photo of a cat in the park")
        until(page, "document.getElementById('pet-kept').textContent.trim()", "")


@pytest.mark.parametrize("device", [{}, PHONE], ids=["desktop", "phone"])
def test_a_job_of_a_result_is_shown_and_a_comparison_of_one_stays(home, idle, browser, device):
    studio = Studio(home)
    for _ in range(3):
        add_image(studio)
    studio.close()
    with opened(browser, idle.call.address, **device) as page:
        page.goto("/create")
        page.locator("[id$=-variations]").last.click()
        page.locator("#results article[data-status=queued]").wait_for()
        until(page, "document.querySelector('#results article').getBoundingClientRect().y > 0")
        assert visible(page, "#results article header")
        expect(page.locator(".toast")).to_have_text("Variations are being made.")
        assert page.evaluate("document.activeElement.id") == "results"
        page.locator(".toast").wait_for(state="hidden")
        boxes = page.locator("#results [id$=-compare]")
        boxes.last.check()
        page.locator("#compare button").click()
        page.locator("#compare .error").filter(has_text="Choose one more image").wait_for()
        boxes.last.focus()
        page.keyboard.press("Enter")
        page.locator("#compare .error").filter(has_text="Choose one more image").wait_for()
        assert page.url.endswith("/create") and visible(page, "#compare .error")
        boxes.first.check()
        page.locator("#compare").get_by_text("2 images are chosen.").wait_for()
        page.locator("#compare button").click()
        page.wait_for_url("**/gallery/compare*")


PAINTED = """() => { const canvas = document.querySelector("mask-canvas canvas");
const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
let count = 0;
for (let at = 3; at < data.length; at += 4) count += data[at] > 0;
return Math.round(100 * count / canvas.width / canvas.height); }"""


@pytest.mark.parametrize("size", [(300, 200), (120, 160)])
def test_a_mask_is_not_lost_when_its_picture_changes(home, idle, browser, tmp_path, size):
    first, second = picture(tmp_path), picture(tmp_path, size, "other.png")
    Image.new("RGB", size, "navy").save(second)
    with opened(browser, idle.call.address) as page:
        page.goto("/create")
        page.locator("#create-prompt").fill("a red hat")
        page.get_by_text("Start from an image").click()
        page.locator("#create-image").set_input_files(first)
        until(page, "document.querySelector('mask-canvas canvas').width", 300)
        page.get_by_text("Rectangle by numbers").click()
        for label, value in zip(("left", "top", "width", "height"), ("0", "0", "150", "200"), strict=True):
            page.locator(".mask-numbers").get_by_label(label).fill(value)
        page.get_by_role("button", name="Add the rectangle").click()
        assert page.evaluate(PAINTED) == 50
        page.locator("#create-image").set_input_files(second)
        offer = page.locator("mask-canvas [data-tool=again]")
        offer.wait_for()
        assert page.evaluate(PAINTED) == 0
        assert page.locator("mask-canvas [role=status]").inner_text().startswith("You painted the mask on the picture")
        offer.click()
        assert page.evaluate(PAINTED) == 50
        expect(offer).to_be_hidden()
        page.locator("#create-submit").click()
        page.locator("#results article").wait_for()
        with Image.open(Studio(home).files.local_path(newest(home).request.mask)) as mask:
            assert mask.size == size and mask.convert("L").getbbox() == (0, 0, size[0] // 2, size[1])


def test_a_mask_file_that_does_not_fit_is_refused_until_it_is_left_out(home, idle, browser, tmp_path):
    with opened(browser, idle.call.address) as page:
        page.goto("/create")
        page.locator("#create-prompt").fill("a red hat")
        page.get_by_text("Start from an image").click()
        page.locator("#create-image").set_input_files(picture(tmp_path))
        until(page, "document.querySelector('mask-canvas canvas').width", 300)
        page.locator(".mask-file input").set_input_files(picture(tmp_path, (20, 20), "small.png"))
        page.locator("mask-canvas .error").filter(has_text="The mask is 20 x 20 px, and the image 300 x 200").wait_for()
        with page.expect_response(lambda response: response.status == 422):
            page.locator("#create-submit").click()
        page.locator("#create-mask-error").filter(has_text="20 x 20 px").wait_for()
        expect(page.locator("#results article")).to_have_count(0)
        page.locator("mask-canvas [data-tool=without]").click()
        page.locator("#create-submit").click()
        page.locator("#results article").wait_for()
        assert newest(home).request.mask is None and newest(home).request.image
