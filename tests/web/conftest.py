"""Sites to open pages of."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pages import Site, site_of


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
