"""Fixture: a store in each database."""

from pathlib import Path

import pytest

from limner.store.runs import Store


@pytest.fixture
def store(tmp_path: Path, database: str | None):
    store = Store(tmp_path, database)
    yield store
    store.close()
