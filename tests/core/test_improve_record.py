"""The texts of an improvement's record."""

from __future__ import annotations

import pytest

from limner.core.improve import AgreementOfRaters, Decision, Measured

MEASURED = {
    "name": "diversity",
    "title": "diversity",
    "better": "higher",
    "old": 0.5,
    "new": 0.52,
    "difference": 0.02,
    "low": -0.01,
    "high": 0.05,
    "count": 12,
    "of": "prompt",
    "margin": 0.015,
    "verdict": "kept",
}


def test_figures_of_a_measure() -> None:
    found = Measured.model_validate(MEASURED)
    assert found.figures == "0.500 before, 0.520 after, difference +0.020 [-0.010, +0.050] over 12 prompts"
    assert found.model_copy(update={"count": 1}).compared == "1 prompt"
    single = Measured.model_validate(MEASURED | {"low": None, "high": None})
    assert single.interval == "+0.020"
    assert Measured.model_validate_json(found.model_dump_json()) == found


def test_a_decision_has_a_reason() -> None:
    assert Decision(replaces=False, reasons=("a", "b")).sentence == (
        "It is kept separately, and the original stays in use: a; b."
    )
    with pytest.raises(ValueError, match="reasons"):
        Decision(replaces=True, reasons=())


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (AgreementOfRaters(), "no two raters judged the same images, so their agreement is not known"),
        (
            AgreementOfRaters(alpha=0.5, low=0.25, high=0.75, units=9),
            "Krippendorff's alpha 0.50 [0.25, 0.75] over 9 images or pairs",
        ),
        (AgreementOfRaters(alpha=0.5, units=2), "Krippendorff's alpha 0.50 over 2 images or pairs"),
    ],
)
def test_how_far_raters_agree(found: AgreementOfRaters, text: str) -> None:
    assert found.figures == text
