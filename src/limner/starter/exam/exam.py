"""`limner starter exam`: paint the answers, let the judge read them, leave figures, table and pictures in a folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from limner.core.choice import evenly
from limner.core.events import Stage
from limner.starter.exam.judge_accuracy import PICTURES, check_judge
from limner.starter.exam.model import SEED, Examinee, Listener, Stop
from limner.starter.exam.options import Sitting
from limner.starter.exam.prompts import Question, questions
from limner.starter.exam.scoring import Result, Rows, mark, markdown, plain, rows, show
from limner.store.files import make_folder, writing
from limner.store.locks import alone

GUIDANCES = (1.5, 3.0, 5.0, 7.5, 12.5)
SHOWN = 64


@alone
def sit_exam(out: Path, sitting: Sitting, listener: Listener, stop: Stop) -> dict[str, Result]:
    """Sit the exam at each guidance and write exam.json, exam.md and a sheet for each guidance into `out`.

    What was painted is kept in `out`/answers: a stopped exam goes on from there, and a better judge may read it again.

    The last result is of the painter's own pictures of right answers, which shows what the judge would find in a
    perfect model.
    """
    from limner.starter.judge import Judge
    from limner.starter.painter import paint

    make_folder(out)
    judge, asked = Judge.load(), questions()
    if sitting.questions is not None:
        asked = evenly(asked, sitting.questions)
    examinee = Examinee.open(sitting, listener, stop)
    results: dict[str, Result] = {}
    for guidance in dict.fromkeys(sitting.guidance or GUIDANCES):
        name = f"guidance {guidance:g}"
        pixels = examinee.kept_answer(out / "answers", name, [question.prompt for question in asked], guidance)
        results[name] = mark(judge, asked, pixels)
        write_sheet(out / f"answers-{guidance:g}.png", asked, results[name], pixels)
    listener(Stage(name="painter", total=None))
    results["painter"] = mark(judge, asked, np.stack([np.asarray(paint(question.scene)) for question in asked]))
    listener(Stage(name="judge", total=None))
    told = {
        "model": examinee.facts,
        "questions": len(asked),
        "seed": SEED,
        "results": {name: result.told() for name, result in results.items()},
        "judge": check_judge(judge),
    }
    with writing(out / "exam.json") as partial:
        partial.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    with writing(out / "exam.md") as partial:
        partial.write_text(_page(told, results), encoding="utf-8")
    return results


def write_sheet(path: Path, asked: Sequence[Question], result: Result, pixels: np.ndarray) -> None:
    """Some of the answers, evenly chosen, with what the judge missed."""
    from limner.provenance.labels import write_png
    from limner.starter.exam.sheet import contact_sheet

    chosen = evenly(range(len(asked)), SHOWN)
    missed = [[plain(name) for name, right in result.verdicts[i].items() if not right] for i in chosen]
    sheet = contact_sheet(
        [pixels[i] for i in chosen],
        [asked[i].prompt for i in chosen],
        [f"no {', '.join(names)}" if names else "" for names in missed],
    )
    with writing(path) as partial:
        write_png(sheet, partial, source="compositeSynthetic")


def print_exam(out: Path, sitting: Sitting, listener: Listener, stop: Stop) -> Callable[[], None]:
    """Sit the exam; what is returned prints its table and the judge's."""
    results = sit_exam(out, sitting, listener, stop)
    told = json.loads((out / "exam.json").read_text(encoding="utf-8"))

    def tables() -> None:
        show("right, %", list(results), rows(results))
        print()
        show("judge, right, %", *judge_table(told["judge"]))
        print(f"\n{out / 'exam.json'}")

    return tables


def _page(told: dict, results: dict[str, Result]) -> str:
    """The section of the model card."""
    return f"""## Exam

{told["questions"]} prompts, painted from seed {told["seed"]} on in {told["model"]["steps"]} steps \
({told["model"]["scheduler"]}, {told["model"]["precision"]}), read by the judge (`limner starter exam`).
The last column is the same reading of the painter's own pictures of right answers.

{markdown("right, %", list(results), rows(results))}
The judge on {PICTURES} painter pictures that nothing was trained on, of breeds, products and characters; "marks there"
are marks of characters that are there and are seen. On pictures whose tiles are shuffled it names a subject in
{told["judge"]["shuffled tiles"]["subject named"]:.1%}.

{markdown("right, %", *judge_table(told["judge"]))}"""


def judge_table(told: dict[str, dict]) -> tuple[list[str], Rows]:
    """Columns and rows of the judge's figures, in percent."""
    versions = {name: figures for name, figures in told.items() if "attributes" in figures}
    names = next(iter(versions.values()))["attributes"]
    lines = [(name, [f"{100 * v['attributes'][name]:.1f}" for v in versions.values()]) for name in names]
    lines.append(("calibration error", [f"{100 * v['calibration error']:.1f}" for v in versions.values()]))
    return list(versions), lines


def record_exam(out: Path, sitting: Sitting) -> None:
    """Keep what an exam left in `out` beside the weights of the model, and tell it in the model's card."""
    from limner.models import loading
    from limner.starter.card import model_card

    folder = Path(loading.resolve(sitting.model).location)
    kind = "personalise" if sitting.personalise else "exam"
    for suffix in ("json", "md"):
        with writing(folder / f"{kind}.{suffix}") as partial:
            shutil.copyfile(out / f"{kind}.{suffix}", partial)
    with writing(folder / "README.md") as partial:
        partial.write_text(model_card(folder), encoding="utf-8")
