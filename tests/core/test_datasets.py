"""Rights of one source completed by those of another."""

from __future__ import annotations

import pytest

from limner.core.datasets import Rights

OWN = Rights("Ann", "MIT", "a.org", "signed", "allowed", "by the table")
OTHER = Rights("Ben", "BSD", "b.org", "spoken", "allowed", "by the file")


def test_each_fact_is_the_first_that_is_known() -> None:
    assert OWN.over(OTHER) == OWN and OTHER.over(OWN) == OTHER
    assert Rights().over(OTHER) == OTHER and OTHER.over(Rights()) == OTHER
    assert Rights(author="Ann", source="a.org").over(OTHER) == Rights(
        "Ann", "BSD", "a.org", "spoken", "allowed", "by the file"
    )
    assert Rights(licence="MIT", consent="signed").over(OTHER) == Rights(
        "Ben", "MIT", "b.org", "signed", "allowed", "by the file"
    )


@pytest.mark.parametrize("own", [None, "allowed"])
def test_a_refusal_of_either_holds_with_its_own_mark(own: str | None) -> None:
    allowed = Rights.over(Rights(), OWN) if own else Rights(statement="nothing")
    refused = Rights(training="refused", statement="noai")
    for found in (allowed.over(refused), refused.over(allowed)):
        assert (found.training, found.statement) == ("refused", "noai")
    both = refused.over(Rights(training="refused", statement="another"))
    assert (both.training, both.statement) == ("refused", "noai")
