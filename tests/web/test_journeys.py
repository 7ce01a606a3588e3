"""Journeys in a browser against a real service with a real worker."""

from __future__ import annotations

import pytest

from browsing import PHONE, opened, overflow, serious_findings
from limner.web.rendering import NAVIGATION

PLACES = [place for _, place, _ in NAVIGATION] + ["/components"]


def test_an_image_is_created_in_place(served, browser):
    with opened(browser, served.call.address) as page:
        page.goto("/create")
        page.get_by_label("What to show").fill("a photo of a cat")
        page.get_by_role("button", name="Create", exact=True).click()
        page.locator("#results article[data-status=done] img").first.wait_for()
        assert page.url.endswith("/create"), "the page stays"
        assert page.locator("#results article").first.get_by_text("done").is_visible()


def test_without_javascript_too(served, browser):
    with opened(browser, served.call.address, java_script_enabled=False) as page:
        page.goto("/")
        page.get_by_role("button", name="Make").click()
        assert "/runs/" in page.url


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", [{}, PHONE], ids=["desktop", "phone"])
def test_pages_fit_and_have_no_serious_finding(served, browser, device, scheme):
    with opened(browser, served.call.address, color_scheme=scheme, **device) as page:
        for place in PLACES:
            page.goto(place)
            assert overflow(page) == 0, place
            assert serious_findings(page) == [], place
