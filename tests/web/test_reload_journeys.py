"""What was painted and chosen survives a reload before it is sent."""

from __future__ import annotations

import pytest
from PIL import Image

import serving
from browsing import opened
from limner.studio.studio import Studio

pytestmark = pytest.mark.slow


@pytest.fixture
def idle(home):
    """A service without a worker: its jobs wait."""
    with serving.service(home, workers=0) as running:
        yield running


def until(page, script: str) -> None:
    """Wait until a script is true; a policy of the page forbids Playwright's own way."""
    for _ in range(100):
        if page.evaluate(script):
            return
        page.wait_for_timeout(100)
    raise AssertionError(script)


def newest(home):
    studio = Studio(home)
    run = studio.runs.list(1)[0]
    studio.close()
    return run.request


def test_a_painted_mask_survives_a_reload_and_is_sent(home, idle, browser, tmp_path):
    Image.new("RGB", (300, 200), "red").save(tmp_path / "photo.png")
    with opened(browser, idle.call.address) as page:
        page.goto("/create")
        page.get_by_label("What to show").fill("a red hat")
        page.get_by_text("Start from an image").click()
        page.locator("#create-image").set_input_files(tmp_path / "photo.png")
        width = "document.querySelector('mask-canvas canvas').width === 300"
        until(page, width)
        page.get_by_text("Rectangle by numbers").click()
        for label, value in (("left", "10"), ("top", "20"), ("width", "30"), ("height", "40")):
            page.locator("mask-canvas").get_by_label(label).fill(value)
        page.get_by_role("button", name="Add the rectangle").click()
        until(page, "sessionStorage.getItem('limner.mask')")
        page.reload()
        until(page, width)
        until(page, "document.querySelector('mask-canvas').painted")
        page.locator("#create-submit").click()
        page.locator("#results article").wait_for()
    studio = Studio(home)
    mask = studio.runs.list(1)[0].request.mask
    with Image.open(studio.files.local_path(mask, ".png")) as sent:
        assert sent.convert("L").getbbox() == (10, 20, 40, 60)
    studio.close()


def test_the_choices_of_pets_survive_a_reload(home, idle, browser):
    with opened(browser, idle.call.address) as page:
        page.goto("/create/pets")
        page.locator("input[name=species][value=cat]").check()
        page.locator("#pet-breeds input[name=breed]").nth(1).wait_for()
        until(page, "document.getElementById('pets-prompt').value.includes('cat')")
        breed = page.locator("#pet-breeds input[name=breed]").nth(2)
        name = breed.get_attribute("value")
        breed.check()
        page.locator("input[name=background][value=beach]").check()
        page.locator("#pets-count").fill("3")
        page.locator("#pets-prompt").fill("my own words")
        until(page, "location.search.includes('my+own+words')")
        page.reload()
        assert page.locator(f"input[name=breed][value='{name}']").is_checked()
        assert page.locator("input[name=background][value=beach]").is_checked()
        assert page.locator("#pets-count").input_value() == "3"
        assert page.locator("#pets-prompt").input_value().strip() == "my own words"
        page.locator("#pets .primary").click()
        page.locator("#results article").wait_for()
    assert (newest(home).prompt, newest(home).count) == ("my own words", 3)


def test_the_choices_of_marketing_survive_a_reload(idle, browser):
    with opened(browser, idle.call.address) as page:
        page.goto("/create/marketing")
        page.locator("#marketing-prompt").fill("a mug")
        value = page.locator("#marketing-industry option").nth(1).get_attribute("value")
        page.locator("#marketing-industry").select_option(value)
        page.reload()
        assert page.locator("#marketing-prompt").input_value().strip() == "a mug"
        assert page.locator("#marketing-industry").input_value() == value
