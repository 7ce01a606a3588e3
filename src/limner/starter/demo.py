"""The demo's web page: pictures, what was done, and what to try next. It needs no network. The demo's steps: paint the character, train, paint results, draw the figure, write the page."""

from __future__ import annotations

import json
import random
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from limner.core.errors import LimnerError
from limner.core.events import Event, Made, Progress, Stage
from limner.core.requests import AdapterUse, GenerateRequest, TrainRequest
from limner.reports.figure import Group, grid
from limner.reports.render import write_page
from limner.store.files import make_folder, writing
from limner.store.locks import alone
from limner.store.removal import discard
from limner.studio.studio import Studio


@dataclass(frozen=True)
class Pair:
    """One prompt painted without and with the adapter; paths are relative to the page."""

    prompt: str
    base: str
    personalised: str


def curve(lines: Sequence[dict[str, float]]) -> str:
    """The training loss over steps as an SVG, with the held-out loss as points."""
    width, height, left, bottom = 720, 220, 52, 34
    losses = [(line["step"], line["loss"]) for line in lines]
    held = [(line["step"], line["held_out_loss"]) for line in lines if "held_out_loss" in line]
    if len(losses) < 2:
        return ""
    top = max(value for _, value in losses + held) * 1.05
    last = max(step for step, _ in losses)

    def place(step: float, value: float) -> tuple[float, float]:
        return left + (width - left - 14) * step / last, 12 + (height - bottom - 12) * (1 - value / top)

    smooth, mean = [], losses[0][1]
    for step, value in losses:
        mean += 0.25 * (value - mean)
        smooth.append("{:.1f},{:.1f}".format(*place(step, mean)))
    dots = "".join('<circle cx="{:.1f}" cy="{:.1f}" r="3.5" fill="#e4572e"/>'.format(*place(s, v)) for s, v in held)
    marks = "".join(
        f'<text x="{left - 8}" y="{place(0, top * part)[1] + 4:.1f}" text-anchor="end">{top * part:.2f}</text>'
        for part in (0, 0.5, 0.95)
    )
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="training loss over steps">'
        f'<g font-size="12" fill="currentColor" opacity=".75">{marks}'
        f'<text x="{left}" y="{height - 10}">step 0</text>'
        f'<text x="{width - 14}" y="{height - 10}" text-anchor="end">step {last:.0f}</text></g>'
        f'<polyline fill="none" stroke="#0f8f88" stroke-width="2.5" points="{" ".join(smooth)}"/>{dots}</svg>'
    )


def write_demo(
    folder: Path, taught: Mapping[str, str], pairs: Sequence[Pair], metrics: Path, train_command: str, minutes: float
) -> None:
    """Write `index.html` into the demo's folder. taught: the caption of every training picture by its path."""
    lines = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    write_page(
        folder / "index.html",
        "demo.html",
        title="Limner: a first portrait",
        shown=shlex.quote(folder.name),
        taught=taught,
        pairs=pairs,
        curve=curve(lines),
        train_command=train_command,
        minutes=minutes,
    )


CHARACTER, CLASS, IDENTIFIER = "pixie", "cat", "sks"
PICTURES, STEPS, SEED, GUIDANCE = 8, 30, 42, 3.0
TRAINING_STEPS = 400  # two thirds of the default, for a demo should not last
GUIDANCES = (1.5, 5.0, 7.5, 12.5)
PROMPTS = (
    "a photo of sks cat on the beach",
    "a photo of sks cat in the snow",
    "a photo of sks cat wearing a red scarf in the city",
    "a photo of sks cat in the forest at night",
    "a watercolour painting of sks cat in the park",
    "pixel art of sks cat in the living room",
)
PLACES = ("park", "studio", "living room", "mountains", "beach", "studio", "desert", "city")
POSES = ("sitting", "standing", "sitting", "sitting", "lying", "sitting", "standing", "sitting")
MARK = ".limner-demo"
Listener = Callable[[Event], None]


def paint_character(folder: Path) -> dict[Path, str]:
    """Eight pictures of a character that pretraining never showed, in several poses and places, with captions."""
    from limner.data.sets.album import write_album
    from limner.starter.painter import caption, paint, portraits

    scenes = portraits(CHARACTER, random.Random(7), PLACES, POSES)
    return write_album(folder, ((paint(scene), caption(scene, identifier=IDENTIFIER)) for scene in scenes))


@alone
def run_demo(out: Path, listener: Listener, stop: Callable[[], bool]) -> Path:
    """Do it all into the folder `out`, and return the page. Results of an earlier demo there are replaced."""
    from limner.provenance.labels import write_png

    began = time.monotonic()
    if out.exists() and not (out.is_dir() and ((out / MARK).exists() or not any(out.iterdir()))):
        raise LimnerError(f"{str(out)!r} holds something else", "choose another --out, or empty it")
    make_folder(out)
    (out / MARK).touch()
    for name in ("adapter", "pictures"):
        discard(out / name, out)
    studio = Studio()
    taught = paint_character(out / "photographs")
    training = TrainRequest(
        data=str(out / "photographs"),
        class_word=CLASS,
        identifier=IDENTIFIER,
        steps=TRAINING_STEPS,
        flip=False,  # the captions say which way it faces
    )
    studio.run(training, out / "adapter", listener=listener, stop=stop)
    columns: list[tuple[AdapterUse | None, float]] = [(None, GUIDANCE)]
    adapter = AdapterUse(path=str(out / "adapter"))
    columns += [(adapter, guidance) for guidance in (GUIDANCE, *GUIDANCES)]
    painted = paint_cells(studio, columns, out / "pictures", listener, stop)
    figure = grid(
        PROMPTS,
        (
            Group("before and after", ("base model", "personalised")),
            Group("guidance scale, personalised", tuple(f"{value:g}" for value in GUIDANCES)),
        ),
        [[Image.open(path) for path in row] for row in painted],
        f"Limner's starter model; {STEPS} steps, seed {SEED}; guidance {GUIDANCE:g} unless stated otherwise. "
        "Made by AI.",
    )
    with writing(out / "results.png") as partial:
        write_png(figure, partial, source="compositeSynthetic")
    pairs = [
        Pair(p, *(path.relative_to(out).as_posix() for path in row[:2]))
        for p, row in zip(PROMPTS, painted, strict=True)
    ]
    command = f"limner train {shlex.quote(training.data)} --class {CLASS} --identifier {IDENTIFIER} "
    command += f"--steps {TRAINING_STEPS} --no-flip --out {shlex.quote(str(out / 'adapter'))}"
    shown = {path.relative_to(out).as_posix(): words for path, words in taught.items()}
    write_demo(out, shown, pairs, out / "adapter" / "metrics.jsonl", command, (time.monotonic() - began) / 60)
    return out / "index.html"


def paint_cells(
    studio: Studio,
    columns: list[tuple[AdapterUse | None, float]],
    folder: Path,
    listener: Listener,
    stop: Callable[[], bool],
) -> list[list[Path]]:
    """Paint every prompt in every column, the prompts of a column together, and show it as one bar. Returns a row of
    paths for each prompt.
    """
    whole = len(PROMPTS) * STEPS
    listener(Stage(name="results", total=len(columns) * whole))
    painted = [
        paint_column(studio, use, guidance, folder, number * whole, listener, stop)
        for number, (use, guidance) in enumerate(columns)
    ]
    return [list(row) for row in zip(*painted, strict=True)]


def paint_column(
    studio: Studio,
    use: AdapterUse | None,
    guidance: float,
    folder: Path,
    before: int,
    listener: Listener,
    stop: Callable[[], bool],
) -> list[Path]:
    """Paint every prompt with an adapter, or with the base model alone. before: image-steps of earlier columns."""
    adapter = (use,) if use else ()
    settings: dict[str, Any] = {"adapter": adapter, "guidance": guidance, "steps": STEPS, "seed": SEED}
    requests = [GenerateRequest(prompt=prompt, batch=len(PROMPTS), **settings) for prompt in PROMPTS]
    paths: dict[int, Path] = {}
    done: dict[int, int] = {}

    def pass_on(number: int, event: Event) -> None:
        if isinstance(event, Progress):
            done[number] = event.done
            listener(Progress(done=before + sum(done.values())))
        elif isinstance(event, Made):
            paths[number] = folder / Path(event.path).name
        elif not isinstance(event, Stage) and number == 0:  # each of them gets the same notices
            listener(event)

    studio.run_together(requests, folder, listener=pass_on, stop=stop)
    return [paths[number] for number in range(len(requests))]
