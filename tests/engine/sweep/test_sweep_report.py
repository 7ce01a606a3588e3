"""What sweep.html, sweep.json and sweep.csv show, from results made by hand."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

from limner.core.errors import Interrupted, LimnerError
from limner.core.metrics import MetricResult
from limner.core.requests import MetricUse, SweepRequest
from limner.core.workspace import Workspace
from limner.engine.sweep import report, sweep, trajectory
from limner.engine.sweep.best_guidance import best_guidance
from limner.engine.sweep.result import SweepResult
from limner.engine.sweep.verdict import verdict


def scored(metric: str, values: Any, better: Any = "higher", unit: Any = "picture") -> MetricResult:
    values = tuple(map(float, values))
    mean = float(np.mean(values))
    return MetricResult(metric, f"the {metric}", better, unit, "a model", mean, mean - 1, mean + 1, values)


def swept(axes: list[str], values: Any = None, withheld: tuple[int, ...] = (), **fields: Any) -> SweepResult:
    """Of cell c, image i has the value 10 c + i in "sharp"."""
    seed = {} if any(axis.startswith("seed=") for axis in axes) else {"seed": 5}
    request = SweepRequest.model_validate({"prompt": ["a cat"], "axis": axes, "seeds": 2} | seed | fields)
    images: list[dict[int, Path]] = []
    scores: list[dict[str, MetricResult]] = []
    for place, cell in enumerate(request.cells):
        seeds = range(cell.request.seed, cell.request.seed + request.seeds)
        gone = place in withheld
        images.append({seed: Path("out", f"{place}", f"{seed}.png") for seed in seeds if not gone or seed > seeds[0]})
        found = [10 * place + at for at in range(request.seeds)] if values is None else values[place]
        scores.append({} if gone else {"sharp": scored("sharp", found), "set": scored("set", [place], None, "set")})
    return SweepResult(request, images, scores)


@pytest.fixture(autouse=True)
def pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images stand as their names, and curves are counted."""
    monkeypatch.setattr(report, "curves_svg", len)
    monkeypatch.setattr(report, "file_data_url", lambda path, side: f"{path.parent.name}/{path.stem} at {side}")
    monkeypatch.setattr(report, "sha256_of", lambda path: f"hash of {path.parent.name}/{path.stem}")
    monkeypatch.setattr(report, "open_image", lambda path: f"{path.parent.name}/{path.stem}")


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the figure was drawn from: labels of rows, groups of columns, cells and caption."""
    found: list[Any] = []
    monkeypatch.setattr(report, "ImageGrid", lambda *given: found.extend(given))
    return found


def test_json_and_table_have_each_cells_own_values() -> None:
    result = swept(["guidance=1,2", "steps=3,4,5"], withheld=(1,))
    found, (header, rows) = report._numbers(result, Path("out")), report._table(result, Path("out"))
    places = list(product("12", "345"))
    assert header == ["guidance", "steps", "picture_seed", "picture", "sharp"]
    assert rows == [
        [*place, seed, f"{at}/{seed}.png", "" if at == 1 else repr(10.0 * at + seed - 5)]
        for at, place in enumerate(places)
        for seed in (5, 6)
        if at != 1 or seed == 6
    ]
    assert [cell["values"] for cell in found["cells"]] == [{"guidance": g, "steps": s} for g, s in places]
    assert found["cells"][1] == {
        "values": {"guidance": "1", "steps": "4"},
        "pictures": [{"seed": 6, "path": "1/6.png", "sha256": "hash of 1/6"}],
        "scores": {},
    }
    assert found["cells"][2]["scores"]["sharp"]["values"] == [20.0, 21.0]
    assert [each["mean"] for each in found["along"]["guidance"]["sharp"]] == [10.5, 40.5]
    assert [each["mean"] for each in found["along"]["steps"]["sharp"]] == [15.5, 40.5, 35.5]
    assert [axis["field"] for axis in found["axes"]] == ["guidance", "steps"] and found["sweet_spot"] is None


def test_of_one_axis_a_row_is_a_seed(drawn: list[Any]) -> None:
    report._figure(swept(["guidance=1,2,3"], seeds=5))
    rows, (group,), cells, caption, _ = drawn
    assert rows == ["seed 5", "seed 6", "seed 7"] and cells[1] == ["0/6", "1/6", "2/6"]
    assert (group.heading, group.columns) == ("guidance scale", ("1", "2", "3"))
    assert caption == 'Shown: 3 of 5 seeds; "a cat", model starter, seed 5 and following. Made by AI.'
    drawn.clear()
    report._figure(swept([f"guidance={','.join(map(str, range(1, 21)))}"], seeds=3))
    assert drawn[3].startswith('Shown: 16 of 20 values of guidance scale; "a cat"'), "all three seeds are shown"
    drawn.clear()
    report._figure(swept(["seed=8,9"], seeds=1))
    assert drawn[0] == [""] and drawn[2] == [["0/8", "1/9"]] and "seed" not in drawn[3]
    drawn.clear()
    report._figure(swept(["guidance=1,2"], withheld=(1,), steps=4, scheduler="euler", seeds=1))
    assert drawn[0] == ["seed 5"] and drawn[2] == [["0/5", None]]
    assert drawn[3] == '"a cat", model starter, 4 steps, scheduler euler, seed 5. Made by AI.'


def test_the_last_axis_is_across_and_the_middle_one_in_groups(drawn: list[Any]) -> None:
    report._figure(swept(["guidance=1,2", "steps=3,4"]))
    assert drawn[0] == ["guidance 1", "guidance 2"] and drawn[2] == [["0/5", "1/5"], ["2/5", "3/5"]]
    assert [each.heading for each in drawn[1]] == ["denoising steps"]
    drawn.clear()
    report._figure(swept(["prompt=a dog,a cat", "steps=3,4", "guidance=1,2"], prompt=[]))
    assert drawn[0] == ["a dog", "a cat"]
    assert [(each.heading, each.columns) for each in drawn[1]] == [
        ("steps 3; guidance", ("1", "2")),
        ("steps 4; guidance", ("1", "2")),
    ]
    assert drawn[2] == [["0/5", "1/5", "2/5", "3/5"], ["4/5", "5/5", "6/5", "7/5"]]
    assert drawn[3] == "Shown: 1 of 2 seeds; model starter, seed 5 and following. Made by AI."
    drawn.clear()
    values = ",".join(map(str, range(1, 41)))
    report._figure(swept([f"guidance={values}", f"steps={values}"], seeds=1))
    assert (len(drawn[0]), len(drawn[2][0])) == (12, 16)


def test_curves_are_drawn_along_numbers_only() -> None:
    result = swept(["guidance=1,2", "scheduler=euler,ddim"])
    assert [(curve.x_label, curve.title, curve.x) for curve in report.curves(result)] == [
        ("guidance scale", "the sharp", [1.0, 2.0]),
        ("guidance scale", "the set", [1.0, 2.0]),
    ]
    assert [curve.x_label for curve in report.curves(swept(["seed=1,2", "steps=3,4"]))] == ["denoising steps"] * 2
    assert report.curves(swept(["guidance=1", "scheduler=euler,ddim"])) == []


EIGHT = 0.01 * np.arange(8)
RISING = {"guidance=9,1,5": [0.3 + EIGHT, 0.1 + EIGHT, 0.3 + EIGHT]}


def guided(**costs: Any) -> SweepResult:
    """Fidelity rises from guidance 1 to 5 and no more; typed out of order."""
    ((axis, fidelity),) = RISING.items()
    result = swept([axis], seeds=8)
    scores = [
        {"prompt_fidelity": scored("prompt_fidelity", row)}
        | {name: scored(name, [rows[place]] * 8, "lower") for name, rows in costs.items()}
        for place, row in enumerate(fidelity)
    ]
    return SweepResult(result.request, result.images, scores)


def test_the_best_guidance_is_marked_on_its_own_axis_and_explained() -> None:
    result = guided(clipping=[9.0, 1.0, 5.0], saturation=[2.0, 1.5, 1.5])
    best = best_guidance(result)
    assert best is not None and best.value == "5"
    assert best.reason == (
        "Guidance 5 is the best of those tried: it follows the prompt better than 1 (prompt fidelity 0.335 against "
        "0.135, +0.200 [+0.200, +0.200]), and no higher value follows the prompt significantly better (prompt fidelity "
        "0.335, 0.335 at 9), while other scores change up to 9: the clipping 5 to 9."
    )
    assert report._numbers(result, Path("out"))["sweet_spot"] == "5"
    assert [(curve.title, curve.marked) for curve in report.curves(result)] == [
        ("the prompt_fidelity", 5.0),
        ("the clipping", 5.0),
        ("the saturation", 5.0),
    ]
    page = report._page(result, None, None)
    assert page["marked"] is True and page["verdict"] == best.reason


def test_what_the_best_is_better_than_is_compared_with_its_neighbour() -> None:
    result = swept(["guidance=1,3,5,9"], seeds=8)
    rows = [[mean] * 8 for mean in (0.1, 0.2, 0.4, 0.4)]
    scores = [{"prompt_fidelity": scored("prompt_fidelity", row)} for row in rows]
    best = best_guidance(SweepResult(result.request, result.images, scores))
    assert best is not None
    assert "better than 3 (prompt fidelity 0.400 against 0.200, +0.200 [+0.200, +0.200])" in best.reason


def test_the_verdict_names_only_values_that_are_significantly_worse() -> None:
    rows = [np.arange(8.0) + 5, np.arange(8.0), np.arange(8.0) + 5 + np.tile([0.1, -0.2], 4)]
    scores: list[Any] = [{"sharp": scored("sharp", row)} for row in rows]
    one = SweepResult(swept(["steps=1,2,3"], seeds=8, metric=["sharpness"]).request, [{}] * 3, scores)
    assert verdict(one) == (
        "Of steps, 1 is better by the sharp than 2 (the sharp 1 8.500, 3 8.450, 2 3.500). Cannot tell whether it is "
        "better than 3: the difference may be chance (probability 0.52 over 8 pairs of images); if it is not, about "
        "83 would show it: ask for more images by --seeds. It is the lowest value tried; try lower ones too."
    )


def test_the_page_has_rows_by_axis_and_the_cells() -> None:
    result = swept(["guidance=1,2", "steps=3,4"], withheld=(0, 1))
    strip: Any = SimpleNamespace(page=lambda: "the strip")
    page = report._page(result, None, strip)
    assert [row[:2] for row in page["rows"]] == [("guidance", "1"), ("guidance", "2"), ("steps", "3"), ("steps", "4")]
    assert page["rows"][0][2] == ["withheld", "withheld"]
    assert [row[2][0].split(" ")[0] for row in page["rows"][1:]] == ["25.5", "20.5", "30.5"]
    assert [row[2][1] for row in page["rows"][2:]] == ["2", "3"], "a single value has no interval"
    assert (page["title"], page["count"], page["seeds"]) == ("Guidance scale and denoising steps", 4, 2)
    assert page["metrics"] == [("the sharp", "higher", "a model"), ("the set", None, "a model")]
    assert page["cells"][0] == {"name": "guidance 1, steps 3", "picture": None, "scores": "withheld"}
    assert page["cells"][3] == {
        "name": "guidance 2, steps 4",
        "picture": "3/5 at 640",
        "scores": "the sharp 30.5, the set 3",
    }
    assert page["figure"] is None and page["trajectory"] == "the strip" and page["marked"] is False


@pytest.mark.parametrize(("count", "shown", "side"), [(60, 60, 640), (61, 61, 320), (401, 400, 320)])
def test_many_cells_are_small_and_at_most_four_hundred(count: int, shown: int, side: int) -> None:
    result = swept([f"guidance={','.join(str(value / 10) for value in range(count))}"], seeds=1)
    page = report._page(result, None, None)
    assert (page["count"], len(page["cells"])) == (count, shown)
    assert page["cells"][0]["picture"] == f"0/5 at {side}"


class Scorers:
    """Remembers what it was opened with and what it scored."""

    opened: ClassVar[list[Any]] = []
    galleries: ClassVar[list[Any]] = []

    def __init__(self, *given: Any) -> None:
        Scorers.opened, Scorers.galleries = list(given), []

    def check(self, gallery: Any) -> None:
        if any(item.prompt == "withheld" for item in gallery.items):
            raise LimnerError("cannot be scored", "leave it out")

    def score(self, gallery: Any) -> dict[str, MetricResult]:
        Scorers.galleries.append(gallery.items)
        return {}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Carry a sweep out without a model; returns the result that is reported."""
    written: list[Any] = []
    monkeypatch.setattr(sweep, "Scorers", Scorers)
    monkeypatch.setattr(
        sweep,
        "generate_parts",
        lambda name, parts, *rest: [{seed: part.folder / f"{seed}.png" for seed in part.seeds} for part in parts],
    )
    monkeypatch.setattr(sweep, "write_report", lambda *given: written.extend(given))
    monkeypatch.setattr(sweep, "body_of", lambda request, execution: request)
    execution: Any = SimpleNamespace(device="cuda:1")

    def carried_out(stop: Any = lambda: False, **fields: Any) -> Any:
        request = SweepRequest.model_validate({"prompt": ["a cat"], "axis": ["guidance=1,2"], "seeds": 2} | fields)
        workspace = Workspace("test", tmp_path, tmp_path / "out", tmp_path, stop=stop, execution=execution)
        sweep.sweep(request, workspace, lambda event: None)
        return written[0]

    return carried_out


def test_each_cell_is_scored_by_its_own_prompt_on_the_device_of_the_run(run: Any, tmp_path: Path) -> None:
    result = run(prompt=["a cat", "a dog"], axis=["guidance=1"], encoder="my encoder", metric=["sharpness"])
    uses, encoder, called, device = Scorers.opened
    assert (uses, encoder, device) == ((MetricUse(name="sharpness"),), "my encoder", "cuda:1") and called("x") == "x"
    assert [[(item.path, item.prompt, item.group) for item in items] for items in Scorers.galleries] == [
        [(tmp_path / "out/pictures" / folder / f"{seed}.png", prompt, prompt) for seed in (42, 43)]
        for folder, prompt in (("001-a-cat_1", "a cat"), ("002-a-dog_1", "a dog"))
    ]
    assert [list(images) for images in result.images] == [[42, 43]] * 2


@pytest.mark.parametrize(("seeds", "diverse"), [(1, False), (2, True)])
def test_several_seeds_are_scored_for_diversity_too(run: Any, seeds: int, diverse: bool) -> None:
    run(seeds=seeds)
    names = [use.name for use in Scorers.opened[0]]
    assert names == ["prompt_fidelity", *(["diversity"] if diverse else []), "saturation", "clipping", "sharpness"]


def test_a_sweep_is_checked_before_it_generates_and_stops_between_cells(run: Any) -> None:
    with pytest.raises(LimnerError, match="cannot be scored"):
        run(prompt=["withheld"])
    assert not Scorers.galleries
    with pytest.raises(Interrupted):
        run(stop=lambda: len(Scorers.galleries) == 1)
    assert len(Scorers.galleries) == 1


@pytest.mark.parametrize("field", [{"image": "x.png"}, {"control": ["given=x.png"]}, {"hires": 2}, {"refiner": "x"}])
def test_a_trajectory_starts_from_noise(field: dict[str, Any]) -> None:
    request = swept(["guidance=1,2"], **field).cells[0].request
    with pytest.raises(LimnerError, match="a trajectory starts from noise"):
        trajectory.write_trajectory(request, None)  # type: ignore[arg-type]


def test_the_last_frame_of_an_animation_stays_longer(tmp_path: Path) -> None:
    from PIL import Image

    frames = [Image.new("RGB", (8, 8), (60 * shade, 0, 0)) for shade in range(4)]
    trajectory._write_animation(frames, tmp_path / "film.webp", lambda event: None)
    with Image.open(tmp_path / "film.webp") as film:
        durations = []
        for at in range(4):
            film.seek(at)
            film.load()
            durations.append(film.info["duration"])
    assert durations == [240, 240, 240, 1800]
