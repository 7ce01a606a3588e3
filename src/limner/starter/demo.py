"""`limner demo`: train the starter on a character that it has never seen, generate images, and show all on one page."""

from __future__ import annotations

import json
import random
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from limner.core.errors import LimnerError
from limner.core.events import ArtifactCreated, Event, Progress, Stage
from limner.core.requests import AdapterUse, GenerateRequest, TrainRequest
from limner.reports.figure import ColumnGroup, ImageGrid
from limner.reports.writer import write_page
from limner.store.files import atomic_file, make_folder
from limner.store.locks import with_output_lock
from limner.store.removal import discard
from limner.studio.studio import Studio

CHARACTER, CLASS, IDENTIFIER = "pixie", "cat", "sks"
STEPS, SEED, GUIDANCE = 30, 42, 3.0
TRAINING_STEPS = 400  # two thirds of the default, so that the demo is short
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
"""A file in the folder of every demo, so that a second run may replace the first."""
Listener = Callable[[Event], None]
Column = tuple[AdapterUse | None, float]
"""A column of the figure: the adapter, None for the base model, and the guidance scale."""


@dataclass(frozen=True)
class PromptPair:
    """Images of one prompt without and with the adapter; paths are relative to the page."""

    prompt: str
    base: str
    personalised: str


def write_character_images(folder: Path) -> dict[Path, str]:
    """Write eight images of a character in several poses and places, with captions; return the captions by path."""
    from limner.data.sets.album import write_album
    from limner.starter.painter import caption, paint, portraits

    scenes = portraits(CHARACTER, random.Random(7), PLACES, POSES)
    return write_album(folder, ((paint(scene), caption(scene, identifier=IDENTIFIER)) for scene in scenes))


@with_output_lock
def run_demo(out: Path, listener: Listener, stop: Callable[[], bool]) -> Path:
    """Run the demo in the folder `out` and return the page. Results of an earlier demo there are replaced.

    Raises LimnerError if the folder has other files.
    """
    began = time.monotonic()
    if out.exists() and not (out.is_dir() and ((out / MARK).exists() or not any(out.iterdir()))):
        raise LimnerError(f"{str(out)!r} contains files that are not from a demo", "use another --out, or empty it")
    make_folder(out)
    (out / MARK).touch()
    for name in ("adapter", "pictures"):
        discard(out / name, out)
    studio = Studio()
    captions = write_character_images(out / "photographs")
    training = TrainRequest(
        data=str(out / "photographs"),
        class_word=CLASS,
        identifier=IDENTIFIER,
        steps=TRAINING_STEPS,
    )
    studio.run(training, out / "adapter", listener=listener, stop=stop)
    adapter = AdapterUse(path=str(out / "adapter"))
    columns = [(None, GUIDANCE), *((adapter, guidance) for guidance in (GUIDANCE, *GUIDANCES))]
    images = generate_grid(studio, columns, out / "pictures", listener, stop)
    figure = write_figure(out / "results.png", images)
    names = iter([path.relative_to(out).as_posix() for row in images for path in row])
    table = figure.page(lambda image: next(names))
    pairs = [
        PromptPair(prompt, *(path.relative_to(out).as_posix() for path in row[:2]))
        for prompt, row in zip(PROMPTS, images, strict=True)
    ]
    command = f"limner train {shlex.quote(training.data)} --class {CLASS} --identifier {IDENTIFIER} "
    command += f"--steps {TRAINING_STEPS} --out {shlex.quote(str(out / 'adapter'))}"
    relative = {path.relative_to(out).as_posix(): text for path, text in captions.items()}
    minutes = (time.monotonic() - began) / 60
    write_demo_page(out, relative, pairs, table, out / "adapter" / "metrics.jsonl", command, minutes)
    return out / "index.html"


def generate_grid(
    studio: Studio, columns: Sequence[Column], folder: Path, listener: Listener, stop: Callable[[], bool]
) -> list[list[Path]]:
    """Generate an image for every prompt and column, with one progress bar; return a row of paths per prompt."""
    steps = len(PROMPTS) * STEPS
    listener(Stage(name="results", total=len(columns) * steps, unit="steps"))
    paths: list[list[Path]] = []
    for number, column in enumerate(columns):

        def report(event: Event, before: int = number * steps) -> None:
            listener(Progress(done=before + event.done) if isinstance(event, Progress) else event)

        paths.append(generate_column(studio, column, folder, report, stop))
    return [list(row) for row in zip(*paths, strict=True)]


def generate_column(
    studio: Studio, column: Column, folder: Path, listener: Listener, stop: Callable[[], bool]
) -> list[Path]:
    """Generate an image for every prompt in one batch; return their paths. Progress is in steps of all images."""
    adapter, guidance = column
    settings: dict[str, Any] = {"adapter": (adapter,) if adapter else (), "guidance": guidance}
    settings |= {"steps": STEPS, "seed": SEED, "batch": len(PROMPTS)}
    requests = [GenerateRequest(prompt=prompt, **settings) for prompt in PROMPTS]
    paths: dict[int, Path] = {}
    done: dict[int, int] = {}

    def forward(number: int, event: Event) -> None:
        if isinstance(event, Progress):
            done[number] = event.done
            listener(Progress(done=sum(done.values())))
        elif isinstance(event, ArtifactCreated):
            paths[number] = folder / Path(event.path).name
        elif not isinstance(event, Stage) and number == 0 and adapter:  # each request gets the same notices
            listener(event)  # without the adapter, that the identifier is unknown, which is to be shown

    studio.run_batch(requests, folder, listener=forward, stop=stop)
    return [paths[number] for number in range(len(requests))]


def write_figure(path: Path, images: Sequence[Sequence[Path]]) -> ImageGrid:
    """Write the grid of prompts by columns as a PNG that is labelled as made by AI; returns the grid."""
    from limner.provenance.labels import write_png

    figure = ImageGrid(
        PROMPTS,
        (
            ColumnGroup("before and after", ("base model", "personalised")),
            ColumnGroup("guidance scale, personalised", tuple(f"{value:g}" for value in GUIDANCES)),
        ),
        [[Image.open(path) for path in row] for row in images],
        f"Limner's starter model; {STEPS} steps, seed {SEED}; guidance {GUIDANCE:g} unless stated otherwise. "
        "Made by AI.",
    )
    with atomic_file(path) as partial:
        write_png(figure.draw(), partial, source="compositeSynthetic")
    return figure


def write_demo_page(
    folder: Path,
    captions: Mapping[str, str],
    pairs: Sequence[PromptPair],
    figure: Mapping[str, Any],
    metrics: Path,
    train_command: str,
    minutes: float,
) -> None:
    """Write `index.html`, which needs no network, into the folder.

    captions: those of training images by path. figure: the grid of results, as `grid.html` takes it.
    """
    lines = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    write_page(
        folder / "index.html",
        "demo.html",
        title="Limner: a first portrait",
        shown=shlex.quote(folder.name),
        activate=activation(folder.resolve().parent),
        taught=captions,
        pairs=pairs,
        figure=figure,
        curve=loss_curve(lines),
        train_command=train_command,
        minutes=minutes,
    )


def activation(folder: Path) -> str | None:
    """The command that activates the environment of this program, for a terminal in a folder; None outside one."""
    script = Path(sys.prefix) / "bin" / "activate"
    if sys.prefix == sys.base_prefix or not script.is_file():
        return None
    return f"source {shlex.quote(str(script.relative_to(folder) if script.is_relative_to(folder) else script))}"


def loss_curve(lines: Sequence[dict[str, float]]) -> str:
    """The smoothed training loss over steps as an SVG, with the held-out loss as points; "" for fewer than 2 steps."""
    width, height, left, bottom = 720, 220, 52, 34
    losses = [(line["step"], line["loss"]) for line in lines]
    held_out = [(line["step"], line["held_out_loss"]) for line in lines if "held_out_loss" in line]
    if len(losses) < 2:
        return ""
    smoothed, mean = list[tuple[float, float]](), losses[0][1]
    for step, value in losses:
        mean += 0.25 * (value - mean)
        smoothed.append((step, mean))
    # Most of a denoising loss is noise that no model can predict: an axis from 0 would hide what was learned.
    values = [value for _, value in smoothed + held_out]
    margin = 0.05 * (max(values) - min(values)) or 0.05
    low, high = min(values) - margin, max(values) + margin
    last = max(step for step, _ in losses)

    def position(step: float, value: float) -> tuple[float, float]:
        part = (value - low) / (high - low)
        return left + (width - left - 14) * step / last, 12 + (height - bottom - 12) * (1 - part)

    points = ["{:.1f},{:.1f}".format(*position(*point)) for point in smoothed]
    dots = "".join(
        '<circle cx="{:.1f}" cy="{:.1f}" r="3.5" fill="#e4572e"/>'.format(*position(*point)) for point in held_out
    )
    labels = "".join(
        f'<text x="{left - 8}" y="{position(0, value)[1] + 4:.1f}" text-anchor="end">{value:.3f}</text>'
        for value in (low + margin, (low + high) / 2, high - margin)
    )
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="training loss over steps">'
        f'<g font-size="12" fill="currentColor" opacity=".75">{labels}'
        f'<text x="{left}" y="{height - 10}">step 0</text>'
        f'<text x="{width - 14}" y="{height - 10}" text-anchor="end">step {last:.0f}</text></g>'
        f'<polyline fill="none" stroke="#0f8f88" stroke-width="2.5" points="{" ".join(points)}"/>{dots}</svg>'
    )
