"""Pages in a real browser: Debian's Chromium, driven by Playwright. Every violation of the page policy fails a test."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

CHROMIUM = Path("/usr/bin/chromium")
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}
DESKTOP = {"viewport": {"width": 1280, "height": 900}}
PATIENCE = 60  # seconds: a machine that tests and trains at once is slow
REPORT = """addEventListener("securitypolicyviolation", event =>
console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`))"""

expect.set_options(timeout=1000 * PATIENCE)


@contextmanager
def loop_of(browser: Browser) -> Iterator[None]:
    """Make the loop of the browser's driver the running one inside the block only.

    The driver leaves its loop running for good, so that every later test in the process that calls asyncio.run fails.
    """
    asyncio.events._set_running_loop(browser._loop)
    try:
        yield
    finally:
        asyncio.events._set_running_loop(None)


@contextmanager
def opened(browser: Browser, address: str, allowed: str | tuple[str, ...] = "status of 4", **options) -> Iterator[Page]:
    """A page of a fresh context; the block fails on an error in the console, a script's exception or a violation.

    allowed: parts of the lines in the console that are no fault.
    """
    with loop_of(browser), _opened(browser, address, allowed, **options) as page:
        yield page


@contextmanager
def _opened(browser: Browser, address: str, allowed: str | tuple[str, ...], **options) -> Iterator[Page]:
    context = browser.new_context(base_url=address, reduced_motion="reduce", **{**DESKTOP, **options})
    page, faults = context.new_page(), []
    page.add_init_script(REPORT)
    page.on("pageerror", lambda error: faults.append(f"exception: {error}"))
    page.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    page.set_default_timeout(1000 * PATIENCE)
    try:
        yield page
        parts = (allowed,) if isinstance(allowed, str) else allowed
        expected = [line for line in faults if any(part in line for part in parts)]
        assert faults == expected, faults
    finally:
        context.close()


def serious_findings(page: Page) -> list[str]:
    """What axe finds that is serious or critical, a line each."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {node['target']}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


def overflow(page: Page) -> int:
    """Pixels by which the page is wider than the window."""
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


def until(page, script, value=True):
    """Wait until a script returns a value. The policy of the pages forbids Playwright's own way, which evaluates text
    in the page.
    """
    end = time.monotonic() + PATIENCE
    while (found := page.evaluate(script)) != value:
        assert time.monotonic() < end, f"{script} is {found!r} after {PATIENCE} s"
        page.wait_for_timeout(50)


def listen(page):
    """Keep every text that a page shows from its next load on, for `heard`: some are gone before a test could look."""
    page.add_init_script("""window.heard = [];
    new MutationObserver(changes => heard.push(...changes.map(each => each.target.textContent ?? "")))
    .observe(document, { subtree: true, childList: true, characterData: true })""")


def heard(page, text):
    """Wait until a page has shown a text, perhaps for a moment only."""
    until(page, f"heard.some(each => each.includes({json.dumps(text)}))")


def focus_by_tab(page, selector, most=120):
    """Press Tab until an element has the focus."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"Tab never reaches {selector}")
