"""Sites to open pages of."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

import browsing
import serving
from pages import EXAMPLES, Site, site_of


@pytest.fixture(autouse=True)
def few_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small library of examples, which pages add: twenty thousand prompts take seconds."""
    monkeypatch.setattr("limner.studio.discover.EXAMPLE_COUNT", EXAMPLES)
    monkeypatch.setattr("limner.studio.example_images.ARCHIVE", Path("none.zip"))


@pytest.fixture
def site(home) -> Iterator[Site]:
    made = site_of(home)
    yield made
    made.studio.close()


@pytest.fixture
def guarded(home) -> Iterator[Site]:
    """A site that needs keys."""
    made = site_of(home, accounts=True)
    yield made
    made.studio.close()


@pytest.fixture(scope="session")
def browser():
    """One browser for each process of the tests."""
    if not browsing.CHROMIUM.exists():
        pytest.skip(f"{browsing.CHROMIUM} is not installed; install Debian's package chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=browsing.CHROMIUM)
        asyncio.events._set_running_loop(None)  # `opened` sets it while a page is open
        yield launched
        asyncio.events._set_running_loop(launched._loop)
        launched.close()


@pytest.fixture
def served(home, starter):
    """A service with a worker, and its pages."""
    with serving.service(home) as running:
        yield running


@pytest.fixture
def idle(home):
    """A service without a worker: its jobs wait."""
    with serving.service(home, workers=0) as running:
        yield running
