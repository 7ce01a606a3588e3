"""Journeys in a browser against a real service with a real worker."""

from __future__ import annotations

import os
import re
import signal
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect
from test_queue_page import die

import serving
from browsing import PHONE, loop_of, opened, overflow, serious_findings
from limner.core.runs import Status
from limner.studio.studio import Studio
from limner.web.rendering import NAVIGATION
from limner.web.security import is_page
from screenshots import SCENES, SCHEMES, WIDTHS, Taking, invent_feedback, visit

ROOT = Path(__file__).parents[2]
PLACES = [place for _, place, _ in NAVIGATION] + ["/components"]


@pytest.mark.slow
def test_an_image_is_created_in_place(served, browser):
    with opened(browser, served.call.address) as page:
        page.goto("/create")
        page.get_by_label("What to show").fill("a photo of a cat")
        page.get_by_role("button", name="Create", exact=True).click()
        page.locator("#results article[data-status=done] img").first.wait_for()
        assert page.url.endswith("/create"), "the page stays"
        expect(page.locator("#results article").first.get_by_text("done")).to_be_visible()


@pytest.mark.slow
def test_without_javascript_too(served, browser):
    with opened(browser, served.call.address, java_script_enabled=False) as page:
        page.goto("/")
        page.get_by_role("button", name="Make").click()
        page.wait_for_url("**/runs/*")


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", [{}, PHONE], ids=["desktop", "phone"])
def test_pages_fit_and_have_no_serious_finding(served, browser, device, scheme):
    with opened(browser, served.call.address, color_scheme=scheme, **device) as page:
        for place in PLACES:
            page.goto(place)
            assert overflow(page) == 0, place
            assert serious_findings(page) == [], place


def test_every_page_has_a_screenshot(site):
    shown = {scene.path.partition("?")[0] for scene in SCENES}
    for route in site.client.app.routes:
        path, methods = getattr(route, "path", "{}"), getattr(route, "methods", None) or ()
        if "GET" in methods and "{" not in path and "/events" not in path and is_page({"path": path}):
            response = site.client.get(path, headers={"Accept": "text/html"})
            if "<html" in response.text and response.status_code == 200:
                assert path in shown, f"no scene of tests/screenshots.py shows {path}"
    assert {place for _, place, _ in NAVIGATION} <= shown
    assert len({scene.name for scene in SCENES}) == len(SCENES)


def test_the_docs_show_screenshots_that_the_command_makes():
    made = {f"{scene.name}-{width}-{scheme}.webp" for scene in SCENES for width in WIDTHS for scheme in SCHEMES}
    for page in (ROOT / "README.md", *ROOT.glob("docs/*.md")):
        shown = set(re.findall(r"images/studio/([^)\s]+)", page.read_text()))
        assert shown <= made, page.name
    files = {path.name for path in (ROOT / "docs/images/studio").glob("*")}
    assert files <= made, "files that the command does not make any more"
    assert sum(path.stat().st_size for path in (ROOT / "docs/images/studio").glob("*")) < 4 * 2**20


@pytest.mark.slow
def test_every_page_fits_and_has_no_serious_finding(browser, starter, tmp_path):
    faults = []

    def check(page, scene, width, scheme):
        found = serious_findings(page) + ([f"{wide} px too wide"] if (wide := overflow(page)) else [])
        faults.extend(f"{scene.name} {width} {scheme}: {each}" for each in found)

    with loop_of(browser):
        visit(Taking(browser, check, SCENES), tmp_path, invent_feedback, {"steps": "80", "prior": "false"})
    assert faults == []


def kill(process: int) -> None:
    """Kill a process and its workers as `kill -9` does."""
    workers = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    for each in (*map(int, workers), process):
        os.kill(each, signal.SIGKILL)


@pytest.mark.slow
def test_open_pages_recover_from_a_killed_server(home, starter, browser):
    first = serving.start(home)
    port = urlsplit(first.call.address).port or 0
    second = None
    try:
        with opened(browser, first.call.address, ("ERR_", "Failed to fetch")) as teach, closing(Studio(home)) as studio:
            create, queue = teach.context.new_page(), teach.context.new_page()
            pages = (teach, create, queue)
            for page in pages:
                page.set_default_timeout(90_000)
            teach.goto("/teach")
            teach.get_by_role("button", name="Try with a drawn cat").click()
            teach.goto(f"{teach.url.removesuffix('/images')}/train")
            teach.get_by_role("button", name="Start training").click()
            queue.goto("/queue")
            running = queue.locator("article[data-state=running]", has_text="Teach sks cat")
            running.get_by_text(re.compile(r"class images \d+ of \d+")).wait_for()
            create.goto("/create")
            create.get_by_label("What to show").fill("a photo of a cat")
            create.get_by_role("button", name="Create", exact=True).click()
            create.locator("#results article[data-status=queued]").wait_for()
            queue.locator("article[data-state=queued]", has_text="a photo of a cat").wait_for()
            (training,) = studio.runs.list(status=Status.RUNNING)
            for page in pages:
                page.evaluate("window.never_reloaded = true")
            kill(first.process.pid)
            first.process.wait()
            for page in pages:
                page.locator("#away", has_text="The server does not answer").wait_for()
                expect(page.locator("h1")).to_be_visible()
            assert studio.runs.get(training.id).status is Status.RUNNING, "nobody was left to record that it stopped"
            die(SimpleNamespace(studio=studio), training.id)
            second = serving.start(home, port=port)
            running.get_by_text("Attempt 2").wait_for()
            expect(teach.locator("section.training")).to_have_attribute("data-status", "running")
            running.get_by_role("button", name="Stop: Teach sks cat", exact=True).click()
            queue.locator("article[data-state=cancelled]", has_text="Teach sks cat").wait_for()
            teach.get_by_role("button", name="Resume").wait_for()
            create.locator("#results article[data-status=done] img").first.wait_for()
            queue.locator("article[data-state=done]", has_text="a photo of a cat").wait_for()
            assert all(page.evaluate("window.never_reloaded") for page in pages)
    finally:
        for each in filter(None, (first, second)):
            if each.process.poll() is None:
                kill(each.process.pid)
            each.process.wait()
            if each.process.stderr is not None:
                each.process.stderr.close()
