"""The garbage collector pauses inside the context only."""

from __future__ import annotations

import gc

import pytest

from limner.core.collection import collection_paused


@pytest.fixture(autouse=True)
def enabled():
    yield
    gc.enable()


@pytest.mark.parametrize("before", [True, False])
def test_the_collector_is_left_as_it_was(before):
    (gc.enable if before else gc.disable)()
    with collection_paused():
        assert not gc.isenabled()
    assert gc.isenabled() == before


def test_an_error_ends_the_pause():
    with pytest.raises(ImportError), collection_paused():
        raise ImportError("no such module")
    assert gc.isenabled()
