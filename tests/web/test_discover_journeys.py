"""Discover in a browser: from a search to an image of one's own subject, by keyboard, on a phone, without scripts."""

from __future__ import annotations

import time
from contextlib import closing

import pytest
from playwright.sync_api import expect

from browsing import PHONE, focus_by_tab, opened, overflow, serious_findings, until
from gallery import add_image, png
from limner.core.prompt_records import PromptRecord
from limner.core.requests import TrainRequest
from limner.core.runs import Status
from limner.data.prompts.grammar import made_prompts
from limner.studio.studio import Studio
from pages import picture
from prompt_libraries import HOSTILE, add_library

pytestmark = pytest.mark.slow

CORGI = "a photo of a corgi on the beach, soft light"
SMALL_TARGETS = """[...document.querySelectorAll('main :is(a, button, summary, select, input)')].filter(each =>
    !each.matches('[type=hidden], [type=checkbox], .default, .shown, .away, p a, h2 a') && each.checkVisibility()
    && each.getBoundingClientRect().height < 44
).map(each => each.outerHTML.slice(0, 120))"""


@pytest.fixture
def library(home, tmp_path):
    """A library of 60 prompts, of which two have an image, and one image of one's own."""
    source = tmp_path / "source"
    source.mkdir()
    for name in ("1.png", "2.png"):
        (source / name).write_bytes(png("teal", (300, 400)))
    records = [PromptRecord(each.text, each.negative) for each in made_prompts(57)]
    records += [
        PromptRecord(CORGI, "text", "1.png", width=512, height=512, steps=20, guidance=7.0, stars=4),
        PromptRecord("a photo of a castle, golden hour, by Greg Rutkowski", image="2.png"),
        PromptRecord(HOSTILE),
    ]
    with closing(Studio(home)) as studio:
        add_library(studio, "collected", *records, source=source, licence="CC0-1.0")
        add_image(studio, "a photo of a husky in the snow", "steelblue")


def taught(home, tmp_path) -> str:
    """The reference of an adapter of the starter, trained for two steps."""
    with closing(Studio(home)) as studio:
        picture(tmp_path, (64, 64))
        data = tmp_path / "photos"
        data.mkdir()
        (tmp_path / "photo.png").rename(data / "1.png")
        folder = studio.files.upload(data)
        request = TrainRequest(data=folder, class_word="dog", identifier="sks", steps=2, prior_weight=0.0)
        run = studio.enqueue(request)
        for _ in range(600):
            if (now := studio.runs.get(run.id)).status.ended:
                break
            time.sleep(0.2)
        assert now.status is Status.DONE, now.error
        return studio.library.list(1)[0].reference


def test_a_photographer_finds_a_prompt_and_puts_the_dog_in_it(home, library, served, browser, tmp_path):
    adapter = taught(home, tmp_path)
    with opened(browser, served.call.address) as page:
        page.goto("/")
        page.get_by_role("link", name="Find inspiration").click()
        page.wait_for_url("**/discover")
        page.keyboard.press("/")
        page.keyboard.type("a corgi on a beach")
        page.keyboard.press("Enter")
        page.wait_for_url("**/discover?q=*")
        first = page.locator(".hit").first
        assert CORGI in first.inner_text() and "has: corgi, beach" in first.inner_text()
        until(page, "document.querySelector('.hit img').naturalWidth > 0")
        first.get_by_text("More", exact=True).click()
        first.get_by_role("link", name="Put my subject in it").click()
        page.wait_for_url("**/discover/prompts/collected/*#mine")
        light = page.locator(".part.lighting input")
        light.click()
        page.locator(".part.lighting .words button").first.wait_for()
        light.fill("golden")
        page.locator("#changed .prompt-text", has_text="golden").wait_for()
        word = page.locator(".part.lighting .words button", has_text="golden hour").first
        chosen = word.get_attribute("value")
        word.click()
        page.locator("#changed .prompt-text", has_text=chosen).wait_for()
        assert light.input_value() == chosen
        assert page.evaluate("document.activeElement.matches('.part.lighting input')")
        page.locator("#mine").get_by_role("button", name="Open in Create").click()
        page.wait_for_url("**/create?*")
        text = page.locator("#create-prompt").input_value()
        assert text.startswith("a photo of sks dog on the beach") and "golden hour" in text
        assert page.locator(f"input[name=subject][value='{adapter}']").is_checked()
        page.locator("#create-steps").fill("2")
        page.locator("#create-submit").click()
        mine = "#results article[data-status=done] img[alt^='a photo of sks dog']"  # another image is there already
        page.locator(mine).first.wait_for(timeout=120_000)
    with closing(Studio(home)) as studio:
        made = studio.runs.list(1)[0].request
        assert (made.prompt, made.negative_prompt) == (text, "text") and [each.path for each in made.adapter] == [
            adapter
        ]


def test_more_prompts_join_the_list_and_the_first_of_them_has_the_focus(library, served, browser):
    with opened(browser, served.call.address) as page:
        page.goto("/discover")
        expect(page.locator(".hit")).to_have_count(24)
        page.locator("#following").click()
        page.locator(".hit").nth(47).wait_for()
        expect(page.locator(".hit")).to_have_count(48)
        page.wait_for_url("**/discover")
        until(page, "document.activeElement.closest('.hit') === document.querySelectorAll('.hit')[24]")
        page.locator("#following").click()
        page.locator("#following", has_text="These are all.").wait_for()
        texts = page.locator(".hit h2").all_inner_texts()
        assert len(texts) == len(set(texts)) == 61


@pytest.mark.parametrize(("place", "name"), [("/discover", "q"), ("/gallery", "search")])
def test_words_that_are_typed_are_kept_when_a_picture_or_a_colour_is_chosen(library, served, browser, place, name):
    with opened(browser, served.call.address) as page:
        page.goto(f"{place}?{name}=castle")
        words = page.locator("input[type=search]")
        words.fill("husky")
        page.get_by_role("link", name="blue", exact=True).click()
        page.wait_for_url("**colour=*")
        assert words.input_value() == "husky"
        words.fill("snow")
        page.locator("#looks-file").set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": png("teal")})
        page.wait_for_url("**like=*")
        assert words.input_value() == "snow" and "colour=" in page.url
        words.fill("")
        page.get_by_role("link", name="Without the picture").click()
        page.wait_for_url(lambda address: "like=" not in address)
        assert words.input_value() == "" and "colour=" in page.url


def test_without_javascript_too(library, served, browser):
    with opened(browser, served.call.address, java_script_enabled=False) as page:
        page.goto("/discover")
        page.get_by_label("Search prompts").fill("castle")
        page.get_by_role("button", name="Search", exact=True).click()
        page.locator(".hit h2 a", has_text="castle").first.click()
        page.locator(".part.artist input").fill("")
        page.get_by_role("button", name="Show the changed prompt").last.click()
        expect(page.locator(".prompt-text")).to_have_text("a photo of a castle, golden hour")
        page.get_by_label("What should it show instead?").fill("a red mug")
        page.locator("#style").get_by_role("button", name="Open in Create").click()
        page.wait_for_url("**/create?*")
        assert page.locator("#create-prompt").input_value() == "a photo of a red mug, golden hour"


def test_keyboard_alone_finds_changes_and_uses_a_prompt(library, idle, browser):
    with opened(browser, idle.call.address) as page:
        page.goto("/")
        page.keyboard.press("g")
        page.keyboard.press("d")
        page.wait_for_url("**/discover")
        page.keyboard.press("/")
        page.keyboard.type("corgi beach")
        page.keyboard.press("Enter")
        page.wait_for_url("**/discover?q=*")
        focus_by_tab(page, ".hit h2 a")
        page.keyboard.press("Enter")
        page.wait_for_url("**/discover/prompts/**")
        focus_by_tab(page, ".part.setting input")
        page.keyboard.press("ControlOrMeta+a")
        page.keyboard.type("in a forest")
        page.locator("#changed .prompt-text", has_text="in a forest").wait_for()
        focus_by_tab(page, "#changed a.primary")
        page.keyboard.press("Enter")
        page.wait_for_url("**/create?*")
        assert page.locator("#create-prompt").input_value() == "a photo of a corgi in a forest, soft light"
        page.go_back()
        page.wait_for_url("**/discover/prompts/**")
        page.locator("h1").click()
        page.keyboard.press("Escape")
        page.wait_for_url("**/discover?q=*")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", [{}, PHONE], ids=["desktop", "phone"])
def test_pages_fit_and_have_no_serious_finding(library, idle, browser, device, scheme):
    with opened(browser, idle.call.address, color_scheme=scheme, **device) as page:
        for place in ("/discover?q=corgi", "/discover?steps=x&stars=9&library=nosuch", "/discover?q=a&model=nosuch"):
            page.goto(place)
            for summary in page.locator(".hit .menu summary").all()[:1]:
                summary.click()
            assert overflow(page) == 0 and serious_findings(page) == [], place
            assert page.evaluate(SMALL_TARGETS) == [], place
        page.goto("/discover?q=castle+golden+hour")
        page.locator(".hit h2 a", has_text="castle").first.click()
        page.wait_for_url("**/discover/prompts/**", wait_until="load")  # the words are asked for by a script
        page.locator(".part.lighting input").focus()
        page.locator(".part.lighting .words button").first.wait_for()
        assert overflow(page) == 0 and serious_findings(page) == [] and page.evaluate(SMALL_TARGETS) == []
