"""What the benchmark of ten industries computes from the stars of two adapters."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
GOOD, BAD, RATED = [5] * 48, [1] * 48, [3] * 240


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import industries

    monkeypatch.setattr(industries, "STREAMS", 12)
    yield industries
    for name in ("industries", "figures", "simulated"):
        sys.modules.pop(name, None)


def row(bench, sector, before, after, replaces):
    return {
        "sector": sector,
        "before": {"stars": before, "followed": [True, True, True, False]},
        "after": {"stars": after, "followed": [True, True, False, False]},
        "routed": bench.route((before, after), RATED),
        "decision": {"replaces": replaces},
    }


def test_a_better_adapter_gets_most_requests_in_the_end_and_a_worse_one_few(bench):
    better, worse = bench.route((BAD, GOOD), RATED), bench.route((GOOD, BAD), RATED)
    assert len(better["means"]) == len(better["shares"]) == 12
    assert np.mean(better["shares"]) > 0.9 and np.mean(worse["shares"]) < 0.15
    assert np.mean(better["means"]) > 4 and np.mean(worse["means"]) > 4
    assert bench.route((BAD, GOOD), RATED) == better


def test_the_old_adapter_starts_with_the_ratings_it_has(bench):
    liked, disliked = (bench.route((GOOD, GOOD), [stars] * 240)["shares"] for stars in (5, 1))
    assert np.mean(liked) < np.mean(disliked) > 0.9


def test_people_get_a_mixture_of_both_adapters(bench):
    for got, share in zip(*bench.route((BAD, GOOD), []).values(), strict=True):
        assert 1 < got < 5 and 0 <= share <= 1


def test_a_wrong_share_of_ratings_misleads_the_service(bench, monkeypatch):
    monkeypatch.setattr(bench, "WRONG", 1.0)
    assert np.mean(bench.route((BAD, GOOD), RATED)["shares"]) < 0.1


def test_the_summary_of_an_industry_and_of_all(bench):
    mixed = [1, 5] * 24
    rows = [row(bench, "food", BAD, GOOD, True), row(bench, "sports", mixed, mixed, False)]
    food, sports, both = bench.summaries(rows)
    assert food["before"] == (1, 1, 1) and food["improved"] == (5, 5, 5) and food["difference"] == (4, 4, 4)
    assert sports["before"][0] == 3 and 2.3 < sports["before"][1] < 2.7 and sports["difference"] == (0, 0, 0)
    assert both["before"][0] == 2 and both["improved"][0] == 4 and both["difference"][0] == 2
    assert both["routed"][0] == pytest.approx((food["routed"][0] + sports["routed"][0]) / 2)
    assert food["prompt kept"] == pytest.approx(2 / 3)
    cells = bench.table([food, sports, both])
    assert [line[0] for line in cells] == ["food", "sports", "all 2"]
    assert [line[-1] for line in cells] == ["yes", "no", "1 of 2"]
    assert cells[0][2] == "1.00 (1.00 to 1.00)" and cells[0][4] == "+4.00 (+4.00 to +4.00)"


def test_one_industry_alone_has_no_row_for_all(bench):
    assert len(bench.summaries([row(bench, "food", BAD, GOOD, True)])) == 1


def test_other_settings_have_a_folder_of_their_own(bench):
    assert bench.Settings().suffix == ""
    assert bench.Settings(steps=20, lesson_steps=8).suffix == "-steps-20-lesson_steps-8"


def test_the_plot_is_a_png(bench, tmp_path):
    found = bench.summaries([row(bench, "food", BAD, GOOD, True), row(bench, "sports", GOOD, BAD, False)])
    bench.draw(found, tmp_path / "ten.png")
    assert (tmp_path / "ten.png").read_bytes().startswith(b"\x89PNG")


def test_a_table_replaces_what_stands_between_the_marks(bench, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n\n{bench.MARK}\nold\n{bench.MARK}\nafter\n")
    bench.write_between(page, bench.MARK, bench.markdown(["a", "b"], [["1", "2"]]))
    text = page.read_text()
    assert text == f"before\n\n{bench.MARK}\n| a | b |\n| --- | --- |\n| 1 | 2 |\n{bench.MARK}\nafter\n"
