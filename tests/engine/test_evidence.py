"""What a verdict takes: a metric that agrees with the truth on the model, enough pairs, and more than chance."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from limner.core.agreement import AGREES, FILE, AgreementRecord, SmallestDifference
from limner.core.errors import LimnerError
from limner.core.metrics import DEFAULTS, MetricResult
from limner.engine.scoring.evidence import Evidence
from limner.engine.scoring.trust import distrust_of, recorded_agreement, smallest_difference

SIX = np.linspace(0.9, 1.1, 6)


def evidence(differences: object, tests: int = 1, distrust: str | None = None, smallest: float = 0.0) -> Evidence:
    after = np.asarray(differences, dtype=float)
    return Evidence.of(np.zeros(len(after)), after, tests, distrust, smallest)


def lack(found: Evidence) -> str | None:
    return found.lack("pairs of images", "--count", "look")


def test_a_clear_difference_of_a_metric_that_agrees_is_enough() -> None:
    found = evidence(SIX)
    assert found.sufficient and lack(found) is None and found.mean == pytest.approx(1)
    assert not evidence(SIX, tests=2).sufficient, "of two differences, one is twice as likely to look so"


def test_the_more_is_judged_at_once_the_less_likely_chance_must_be() -> None:
    seven = evidence([1, 1, 1, 1, 1, 1, -0.5])
    assert seven.p_value == pytest.approx(4 / 128) and seven.significant
    two = evidence([1, 1, 1, 1, 1, 1, -0.5], tests=2)
    assert two.enough_pairs and not two.significant


@pytest.mark.slow
def test_what_is_missing_is_named_with_what_would_be_enough() -> None:
    assert lack(evidence(SIX, distrust="it does not agree")) == "it does not agree; look"
    few = evidence(SIX[:5])
    assert not few.significant and lack(few) == "5 pairs of images are too few; at least 6 are needed: --count"
    noisy = evidence(np.tile([1.2, -1.0], 8))
    assert not noisy.sufficient and noisy.low < 0 < noisy.high
    assert str(lack(noisy)).startswith("the difference may be chance (probability 0.")
    wanted = int(str(lack(noisy)).split("about ")[1].split(" ")[0].replace(",", ""))
    power = np.mean([evidence(np.random.default_rng(n).normal(0.1, 1.1, wanted)).significant for n in range(40)])
    assert 0.6 <= power <= 0.97, "so many would probably show it"
    assert str(lack(evidence(np.tile([1.0, -1.0], 8)))).endswith("and is small at most")


def test_a_difference_matters_if_its_whole_interval_is_beyond_the_smallest_that_does() -> None:
    for sign in (1, -1):
        large = evidence(sign * SIX, smallest=0.5)
        assert large.sufficient and not large.negligible and lack(large) is None
        small = evidence(sign * SIX, smallest=1.5)
        assert small.significant and not small.sufficient and small.negligible
        assert lack(small) == "there is no difference that matters, because equally good images differ by up to 1.5"
        between = evidence(sign * SIX, smallest=0.95)
        assert between.significant and not between.sufficient and not between.negligible
        may = "the difference may be too small to matter (equally good images differ by up to"
        assert str(lack(between)).startswith(f"{may} 0.95); if it is not, about ")
        assert lack(evidence(sign * SIX, smallest=1.02)) == f"{may} 1.02)"


def test_no_difference_is_reported_only_from_enough_pairs_of_a_metric_that_agrees() -> None:
    same = np.zeros(6)
    assert evidence(same, smallest=0.1).negligible
    assert not evidence(same).negligible, "where none was measured, every difference may matter"
    assert not evidence(same[:5], smallest=0.1).negligible
    assert not evidence(same, smallest=0.1, distrust="it does not agree").negligible
    assert not evidence(np.tile([1.0, -1.0], 8), smallest=0.1).negligible, "a wide interval leaves it open"
    assert not evidence(np.tile([1.0, -1.0], 8), smallest=0.1).sufficient


def test_more_pairs_are_asked_for_to_show_what_is_beyond_the_smallest() -> None:
    noise = np.tile([1.2, -0.2], 8)
    wanted = [int(str(lack(evidence(noise, smallest=s))).split("about ")[1].split(" ")[0]) for s in (0.2, 0.35)]
    assert len(noise) < wanted[0] < wanted[1]


def test_of_no_difference_hardly_any_is_called_clear() -> None:
    drawn = np.random.default_rng(0).normal(size=(300, 8))
    assert sum(evidence(row).significant for row in drawn) / 300 <= 0.07


def scored(metric: str, network: str | None) -> MetricResult:
    return MetricResult(metric, metric.replace("_", " "), "higher", "picture", network, 0.0, 0.0, 0.0, (0.0,))


@pytest.mark.parametrize(
    ("metric", "network", "model", "reason"),
    [
        ("subject_fidelity", "starter", "starter", None),
        ("prompt_fidelity", "starter", "starter", "agrees too little with the truth on starter (rank correlation 0.15"),
        (
            "subject_fidelity",
            "starter",
            "OTHER",
            "not measured whether subject fidelity by the encoder of starter",
        ),
        (
            "subject_fidelity=far/dino",
            "far/dino",
            "starter",
            "the encoder of far/dino agrees with the truth on starter",
        ),
        ("sharpness", None, "OTHER", None),
        ("beauty", None, "starter", "it was not measured whether beauty agrees with the truth on starter"),
    ],
)
def test_a_metric_decides_only_where_it_was_found_to_agree(
    metric: str, network: str | None, model: str, reason: str | None, tiny_sd: Path
) -> None:
    found = distrust_of(scored(metric, network), ["starter", str(tiny_sd) if model == "OTHER" else model])
    assert found is None if reason is None else reason in str(found)


def test_the_record_of_a_model_is_read_from_its_folder_and_again_when_it_changed(tmp_path: Path) -> None:
    record = recorded_agreement("starter")
    assert record is not None
    assert recorded_agreement(str(tmp_path)) is None
    high = [each.model_copy(update={"correlation": AGREES, "low": AGREES}) for each in record.agreement]
    (tmp_path / FILE).write_text(record.model_copy(update={"agreement": tuple(high)}).model_dump_json())
    assert distrust_of(scored("prompt_fidelity", "starter"), [str(tmp_path)]) is None
    (tmp_path / FILE).write_text("{}")
    with pytest.raises(LimnerError, match="is not a record of agreement"):
        recorded_agreement(str(tmp_path))


def test_a_metric_whose_agreement_may_be_chance_decides_nothing(tmp_path: Path) -> None:
    record = recorded_agreement("starter")
    assert record is not None
    wide = [each.model_copy(update={"correlation": 0.9, "low": AGREES - 0.01}) for each in record.agreement]
    (tmp_path / FILE).write_text(record.model_copy(update={"agreement": tuple(wide)}).model_dump_json())
    found = distrust_of(scored("subject_fidelity", "starter"), [str(tmp_path)])
    assert found is not None and "(rank correlation 0.90, at least 0.29; 0.3 is needed)" in found


def test_the_defaults_agree_by_the_record_of_the_starter(starter: Path) -> None:
    record = AgreementRecord.model_validate(json.loads((starter / FILE).read_text(encoding="utf-8")))
    lowest = {each.metric: record.lowest(each.metric, each.network) for each in record.agreement}
    assert all((found := lowest[name]) is not None and found.low >= AGREES for name in DEFAULTS)
    assert record.model["sha256"].keys() >= {"unet/diffusion_pytorch_model.safetensors"}


def test_the_smallest_difference_is_the_largest_of_those_recorded_for_the_models(tmp_path: Path) -> None:
    record = recorded_agreement("starter")
    assert record is not None
    own = record.smallest("subject_fidelity", "starter")
    assert own is not None and smallest_difference(scored("subject_fidelity", "starter"), ["starter"]) == own > 0
    larger = SmallestDifference(
        metric="subject_fidelity", network="starter", sets="x", images=12, pairs=3, value=2 * own
    )
    (tmp_path / FILE).write_text(record.model_copy(update={"differences": (larger,)}).model_dump_json())
    both = ["starter", str(tmp_path)]
    assert smallest_difference(scored("subject_fidelity", "starter"), both) == 2 * own
    assert smallest_difference(scored("subject_fidelity=far/dino", "far/dino"), both) == 0, "of another network"
    assert smallest_difference(scored("sharpness", None), [str(tmp_path)]) == record.smallest("sharpness", None)
    assert smallest_difference(scored("subject_fidelity", "starter"), [str(tmp_path / "none")]) == 0


def test_every_metric_that_decides_on_the_starter_has_a_smallest_difference(starter: Path) -> None:
    record = AgreementRecord.model_validate(json.loads((starter / FILE).read_text(encoding="utf-8")))
    sets = {"fid", "kid"}  # single values, which decide nothing
    decide = {(each.metric, each.network) for each in record.agreement if each.low >= AGREES}
    assert all((record.smallest(*each) or 0) > 0 for each in decide if each[0] not in sets)
