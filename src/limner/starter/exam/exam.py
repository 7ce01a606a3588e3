"""`limner starter exam`: generate images of the exam's prompts, score them, and write figures, tables and sheets."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from limner.core.choice import evenly
from limner.core.events import Stage
from limner.starter.exam.judge_accuracy import IMAGES, measure_judge
from limner.starter.exam.model import SEED, Listener, ModelUnderTest, Stop
from limner.starter.exam.options import ExamOptions
from limner.starter.exam.prompts import exam_prompts
from limner.starter.exam.scoring import ExamResult, Rows, markdown, print_table, readable, rows, score_images
from limner.starter.exam.sheet import write_sheet
from limner.store.files import atomic_file, make_folder
from limner.store.locks import with_output_lock

GUIDANCES = (1.5, 3.0, 5.0, 7.5, 12.5)
SHEET_IMAGES = 64


@with_output_lock
def run_exam(out: Path, options: ExamOptions, listener: Listener, stop: Stop) -> dict[str, ExamResult]:
    """Run the exam at each guidance scale and write exam.json, exam.md and a sheet per scale into `out`.

    Generated images are stored in `out`/answers, so that a stopped exam can be resumed, and another judge can read
    them. The last result is that of images that the painter drew of the same scenes: what the judge finds in perfect
    images.
    """
    from limner.starter.judge import Judge
    from limner.starter.painter import paint

    make_folder(out)
    judge, prompts = Judge.load(), exam_prompts()
    if options.questions is not None:
        prompts = evenly(prompts, options.questions)
    model = ModelUnderTest.load(options, listener, stop)
    results: dict[str, ExamResult] = {}
    for guidance in dict.fromkeys(options.guidance or GUIDANCES):
        name = f"guidance {guidance:g}"
        pixels = model.generate_cached(out / "answers", name, [prompt.text for prompt in prompts], guidance)
        results[name] = score_images(judge, prompts, pixels)
        write_answer_sheet(out / f"answers-{guidance:g}.png", results[name], pixels)
    listener(Stage(name="painter", total=None))
    drawn = np.stack([np.asarray(paint(prompt.scene)) for prompt in prompts])
    results["painter"] = score_images(judge, prompts, drawn)
    listener(Stage(name="judge", total=None))
    report = {
        "model": model.facts,
        "questions": len(prompts),
        "seed": SEED,
        "results": {name: result.as_json() for name, result in results.items()},
        "judge": measure_judge(judge, model.components.vae),
    }
    write_report(out, "exam", report, _page(report, results))
    return results


def write_report(out: Path, name: str, report: dict[str, Any], page: str) -> None:
    """Write a report as NAME.json and NAME.md into the folder `out`."""
    with atomic_file(out / f"{name}.json") as partial:
        partial.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    with atomic_file(out / f"{name}.md") as partial:
        partial.write_text(page, encoding="utf-8")


def write_answer_sheet(path: Path, result: ExamResult, pixels: np.ndarray) -> None:
    """Write a contact sheet of up to 64 images, evenly chosen, with the attributes that are missing."""
    chosen = evenly(range(len(result.prompts)), SHEET_IMAGES)
    missing = [[readable(name) for name, right in result.verdicts[i].items() if not right] for i in chosen]
    write_sheet(
        path,
        [pixels[i] for i in chosen],
        [result.prompts[i].text for i in chosen],
        [f"no {', '.join(names)}" if names else "" for names in missing],
    )


def print_exam(out: Path, options: ExamOptions, listener: Listener, stop: Stop) -> Callable[[], None]:
    """Run the exam and return a function that prints its table and that of the judge."""
    results = run_exam(out, options, listener, stop)
    report = json.loads((out / "exam.json").read_text(encoding="utf-8"))

    def print_tables() -> None:
        print_table("right, %", list(results), rows(results))
        print()
        print_table("judge, right, %", *judge_table(report["judge"]))
        print(f"\n{out / 'exam.json'}")

    return print_tables


def _page(report: dict[str, Any], results: dict[str, ExamResult]) -> str:
    """The section of the model card."""
    return f"""## Exam

{report["questions"]} prompts, seeds from {report["seed"]}, {report["model"]["steps"]} steps \
({report["model"]["scheduler"]}, {report["model"]["precision"]}), scored by the judge (`limner starter exam`).
The last column is the score of images that the painter drew of the same scenes.

{markdown("right, %", list(results), rows(results))}
The judge on {IMAGES} new images of the painter, with breeds, products and characters. "marks there": marks that
characters have and the judge sees. In images with shuffled tiles it names a subject in
{report["judge"]["shuffled tiles"]["subject named"]:.1%}.

{markdown("right, %", *judge_table(report["judge"]))}"""


def judge_table(measured: dict[str, dict[str, Any]]) -> tuple[list[str], Rows]:
    """Columns and rows of the judge's accuracy, in percent."""
    versions = {name: figures for name, figures in measured.items() if "attributes" in figures}
    names = next(iter(versions.values()))["attributes"]
    lines = [(name, [f"{100 * v['attributes'][name]:.1f}" for v in versions.values()]) for name in names]
    lines.append(("calibration error", [f"{100 * v['calibration error']:.1f}" for v in versions.values()]))
    return list(versions), lines


def record_exam(out: Path, options: ExamOptions) -> None:
    """Copy the report in `out` to the folder of the model, and rewrite the model card with it."""
    from limner.models import loading
    from limner.starter.card import model_card

    folder = Path(loading.resolve(options.model).location)
    kind = "personalise" if options.personalise else "exam"
    for suffix in ("json", "md"):
        with atomic_file(folder / f"{kind}.{suffix}") as partial:
            shutil.copyfile(out / f"{kind}.{suffix}", partial)
    with atomic_file(folder / "README.md") as partial:
        partial.write_text(model_card(folder), encoding="utf-8")
