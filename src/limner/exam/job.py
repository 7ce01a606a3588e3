"""`limner starter exam`: paint the answers, let the judge read them, leave figures, table and pictures in a folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ..core.errors import Interrupted, LimnerError
from ..core.events import Event, Progress, Stage
from ..store.files import make_folder, writing
from .judging import PICTURES, check_judge
from .marking import Result, mark
from .questions import Question, questions
from .table import markdown, rows, show

GUIDANCES = (1.5, 5.0, 7.5, 12.5)
SHOWN = 64
Listener = Callable[[Event], None]
Stop = Callable[[], bool]


def sit_exam(
    out: Path,
    listener: Listener,
    stop: Stop,
    *,
    model: str = "starter",
    guidances: Sequence[float] = GUIDANCES,
    steps: int | None = None,
    scheduler: str | None = None,
    count: int | None = None,
) -> dict[str, Result]:
    """Sit the exam at each guidance and write exam.json, exam.md and a sheet for each guidance into `out`.

    count: only so many questions, evenly chosen. The last column is the painter's own pictures of right answers, which
    shows what the judge would find in a perfect model.
    """
    from ..starter.judge import Judge
    from ..starter.painter import paint

    make_folder(out)
    judge = Judge.load()
    asked = questions()
    if count is not None and count < len(asked):
        asked = [asked[i * len(asked) // count] for i in range(count)]
    pipeline, facts = open_pipeline(model, scheduler, listener)
    steps = steps or facts["steps"]
    results: dict[str, Result] = {}
    for guidance in guidances:
        listener(Stage(name=f"guidance {guidance:g}", total=len(asked) * steps))
        pixels = _answers(pipeline, asked, guidance, steps, listener, stop)
        results[f"{guidance:g}"] = mark(judge, asked, pixels)
        _write_sheet(out / f"answers-{guidance:g}.png", asked, results[f"{guidance:g}"], pixels)
    listener(Stage(name="painter", total=None))
    right = np.stack([np.asarray(paint(question.scene)) for question in asked])
    results["painter"] = mark(judge, asked, right)
    listener(Stage(name="judge", total=None))
    facts |= {"steps": steps, "scheduler": type(pipeline.scheduler).__name__}
    told = {
        "model": facts,
        "questions": len(asked),
        "seed": 42,
        "results": {name: result.told() for name, result in results.items()},
        "judge": check_judge(judge),
    }
    with writing(out / "exam.json") as partial:
        partial.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    with writing(out / "exam.md") as partial:
        columns = [name if name == "painter" else f"guidance {name}" for name in results]
        partial.write_text(_page(told, columns, results), encoding="utf-8")
    return results


def open_pipeline(model: str, scheduler: str | None, listener: Listener):
    """The stock pipeline of a model, and what identifies it."""
    from ..engine import models
    from ..engine.devices import pick_device, pick_dtype
    from ..engine.schedulers import apply_scheduler, check_scheduler
    from ..starter.card import hashes

    check_scheduler(scheduler)
    found = models.resolve(model)
    device = pick_device("auto")
    dtype = pick_dtype("auto", device)
    listener(Stage(name="loading"))
    components = models.load(found, dtype, device)
    side = models.native_size(components)
    if side != 128:
        raise LimnerError(f"model {model!r} paints {side} px, and the judge reads pictures of 128", "use the starter")
    pipeline = found.family.pipeline(components, "text2image")
    apply_scheduler(pipeline, scheduler)
    facts = {
        "reference": model,
        "sha256": hashes(Path(found.location)),
        "steps": int(found.defaults["denoising_steps"]),
    }
    return pipeline, facts


def _answers(
    pipeline, asked: Sequence[Question], guidance: float, steps: int, listener: Listener, stop: Stop
) -> np.ndarray:
    from .answers import paint_answers

    def on_step(done: int) -> None:
        listener(Progress(done=done))
        if stop():
            raise Interrupted("stopped")

    prompts = [question.prompt for question in asked]
    return paint_answers(pipeline, prompts, guidance=guidance, steps=steps, on_step=on_step)


def _write_sheet(path: Path, asked: Sequence[Question], result: Result, pixels: np.ndarray) -> None:
    """Some of the answers, evenly chosen, with what the judge missed."""
    from ..engine.labels import write_png
    from .sheet import contact_sheet

    chosen = sorted({i * len(asked) // SHOWN for i in range(SHOWN)})
    notes = [", ".join(name for name, right in result.verdicts[i].items() if not right) for i in chosen]
    sheet = contact_sheet(
        [pixels[i] for i in chosen],
        [asked[i].prompt for i in chosen],
        [f"no {note}" if note else "" for note in notes],
    )
    with writing(path) as partial:
        write_png(sheet, partial, source="compositeSynthetic")


def print_exam(out: Path, listener: Listener, stop: Stop, **choices) -> Callable[[], None]:
    """Sit the exam; what is returned prints its table and the judge's."""
    results = sit_exam(out, listener, stop, **choices)
    told = json.loads((out / "exam.json").read_text(encoding="utf-8"))

    def tables() -> None:
        show("right, %", [name if name == "painter" else f"guidance {name}" for name in results], rows(results))
        print()
        show("judge, right, %", *judge_table(told["judge"]))
        print(f"\n{out / 'exam.json'}")

    return tables


def _page(told: dict, columns: Sequence[str], results: dict[str, Result]) -> str:
    """The section of the model card."""
    return f"""## Exam

{told["questions"]} prompts, painted from seed {told["seed"]} on in {told["model"]["steps"]} steps \
({told["model"]["scheduler"]}), read by the judge (`limner starter exam`).
The last column is the same reading of the painter's own pictures of right answers.

{markdown("right, %", columns, rows(results))}
The judge on {PICTURES} painter pictures that nothing was trained on, of breeds, products and characters; "marks there"
are marks of characters that are there and are seen. On pictures whose tiles are shuffled it names a subject in
{told["judge"]["shuffled tiles"]["subject named"]:.1%}.

{markdown("right, %", *judge_table(told["judge"]))}"""


def judge_table(told: dict[str, dict]) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Columns and rows of the judge's figures, in percent."""
    versions = {name: figures for name, figures in told.items() if "attributes" in figures}
    names = next(iter(versions.values()))["attributes"]
    lines = [(name, [f"{100 * v['attributes'][name]:.1f}" for v in versions.values()]) for name in names]
    lines.append(("calibration error", [f"{100 * v['calibration error']:.1f}" for v in versions.values()]))
    return list(versions), lines


def record_exam(out: Path, model: str) -> None:
    """Keep what an exam left in `out` beside the weights of the model, and tell it in the model's card."""
    from ..engine import models
    from ..starter.card import record

    names = [f"{name}.{suffix}" for name in ("exam", "personalise") for suffix in ("json", "md")]
    found = [out / name for name in names if (out / name).exists()]
    record(Path(models.resolve(model).location), *found)
