"""Journeys through the page Feedback in a browser: vote blindly, see the result, take it back."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from browsing import DESKTOP, PHONE, opened, overflow, serious_findings
from improvements import rate, vote_for, voting
from limner.core.accounts import Caller
from limner.core.feedback import Rating
from limner.core.promotions import PromotionStatus
from limner.core.requests import AdapterUse
from limner.studio.images import Viewer
from limner.studio.studio import Studio
from pages import Site, teach

pytestmark = pytest.mark.slow

HOSTILE = "<img src=x onerror=alert(1)>"
# 44 pixels, which a position between two pixels makes a fraction smaller
SMALL_TARGETS = """[...document.querySelectorAll('main :is(a, button, summary, select, input)')].filter(each =>
    !each.matches('[type=hidden]') && each.checkVisibility()
    && (each.closest('label.check') ?? each).getBoundingClientRect().height < 43.9
).map(each => each.outerHTML)"""


@pytest.fixture
def filled(home, idle):
    """A service with something taught and rated, and a comparison that waits for votes."""
    studio = Studio(home)
    reference = teach(Site(studio, None))  # type: ignore[arg-type]
    image = rate(studio, AdapterUse(path=reference), 3, "food")
    studio.feedback.rate(Viewer(account="x"), image, Rating(stars=2, reasons=("wrong_subject", "blurred")))
    promotion, _, _ = voting(studio, HOSTILE, prompts=("a red mug", HOSTILE))
    yield idle.call.address, studio, promotion
    studio.close()


def chosen(studio, promotion, page):
    """The key that votes for the new one of the pair that a page shows."""
    number = int(page.locator("#vote input[name=pair]").get_attribute("value"))
    pair = next(each for each in studio.promotions.pairs(promotion) if each.number == number)
    shown = next(each for each in studio.promotions.shown_pairs(promotion, Caller()) if each.number == number)
    return "a" if shown.left == pair.new else "b"


def test_the_keyboard_votes_until_it_is_decided_and_one_click_takes_it_back(filled, browser):
    address, studio, promotion = filled
    with opened(browser, address) as page:
        page.goto("/")
        page.keyboard.press("g")
        page.keyboard.press("f")
        page.wait_for_url("**/feedback")
        page.get_by_role("link", name=f"Compare images for {HOSTILE}").first.click()
        page.wait_for_url(f"**/feedback/votes/{promotion.id}")
        expect(page.locator("#vote .progress")).to_have_text("1 of 8")
        sides = [each.get_attribute("src") for each in page.locator("#vote img").all()]
        page.reload()
        assert [each.get_attribute("src") for each in page.locator("#vote img").all()] == sides
        page.keyboard.press("t")
        expect(page.locator("#vote .progress")).to_have_text("2 of 8")
        for count in range(6):
            expect(page.locator("#vote .progress")).to_have_text(f"{count + 2} of 8")
            page.keyboard.press(chosen(studio, promotion, page))
        expect(page.get_by_role("heading", name="The new one is in use")).to_be_visible()
        expect(page.get_by_text("6 for the new one, 0 for the old one, 1 alike.")).to_be_visible()
        assert studio.promotions.get(promotion.id).status is PromotionStatus.PROMOTED
        page.get_by_role("link", name="Back to Feedback").click()
        page.get_by_role("button", name="Restore the old one").click()
        expect(page.get_by_role("status").get_by_text("Only the old one is in use")).to_be_visible()
        assert studio.promotions.get(promotion.id).status is PromotionStatus.RESTORED
        page.get_by_role("button", name="Undo").click()
        expect(page.get_by_role("status").get_by_text("The new one is in use")).to_be_visible()
        assert studio.promotions.get(promotion.id).status is PromotionStatus.PROMOTED


def test_a_key_of_the_navigation_is_no_vote(filled, browser):
    address, studio, promotion = filled
    with opened(browser, address) as page:
        page.goto(f"/feedback/votes/{promotion.id}")
        page.keyboard.press("g")
        page.keyboard.press("t")
        page.wait_for_url("**/teach")
        assert studio.promotions.get(promotion.id).ties == 0


def test_without_javascript_people_vote_and_go_back(filled, browser):
    address, studio, promotion = filled
    with opened(browser, address, java_script_enabled=False) as page:
        page.goto(f"/feedback/votes/{promotion.id}")
        page.get_by_role("button", name="A is better").click()
        expect(page.locator("#vote .progress")).to_have_text("2 of 8")
        page.get_by_role("link", name="Back", exact=True).click()
        expect(page.locator("#vote .progress")).to_have_text("1 of 8")
        expect(page.get_by_role("button", name="A is better")).to_have_attribute("aria-pressed", "true")
        page.get_by_role("button", name="Both alike").click()
        expect(page.locator("#vote .progress")).to_have_text("2 of 8")
        found = studio.promotions.get(promotion.id)
        assert (found.votes, found.ties) == (0, 1)


def test_an_improvement_is_started_from_what_people_liked(filled, browser):
    address, studio, _ = filled
    with opened(browser, address) as page:
        page.goto("/feedback")
        page.get_by_role("link", name="Improve sks cat").click()
        page.get_by_label("Lesson").select_option("liked")
        page.get_by_role("button", name="Improve", exact=True).click()
        page.wait_for_url("**/runs/*")
        assert studio.runs.list(1, "improve")[0].request.lesson == "liked"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_each_page_fits_and_has_no_serious_finding(filled, browser, device, scheme):
    address, studio, promotion = filled
    other, _, _ = voting(studio, "travel")
    vote_for(studio, other, Caller(account="eve"), "new", 6)
    with opened(browser, address, color_scheme=scheme, **device) as page:
        for place in (
            "/feedback",
            f"/feedback?by=industry&done={other.id}",
            "/feedback/improve",
            f"/feedback/votes/{promotion.id}",
            f"/feedback/votes/{other.id}",
        ):
            page.goto(place)
            page.evaluate("document.querySelectorAll('main details').forEach(each => { each.open = true })")
            assert overflow(page) == 0 and serious_findings(page) == [], place
            assert page.evaluate(SMALL_TARGETS) == [], place
