"""Output for the terminal: progress bars, notices, tables."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.segment import Segment

from limner.cli.output import print_line
from limner.core.accounts import Key
from limner.core.discover import HISTORY, LEAST_TOLD, Hit
from limner.core.errors import LimnerError
from limner.core.events import ArtifactCreated, ArtifactKind, Notice, Stage
from limner.core.events import Event as RunEvent
from limner.core.events import Progress as Done
from limner.core.execution import body_of
from limner.core.feedback import Collection, GeneratedImage
from limner.core.prompt_records import LibraryFacts
from limner.core.requests.parsing import join_weight
from limner.core.runs import Artifact, Run
from limner.core.text import clean_line, printable

if TYPE_CHECKING:
    from limner.studio.runs import QueueState

EVERY = 5.0
"""Seconds between two lines of progress without a terminal."""
LONGEST_TITLE = 100
"""Characters of the first line."""
GAP = "  "
"""Between two columns of a table."""
LEAST_TEXT = 16
"""Characters that a column of texts keeps on a narrow terminal."""
FIGURES = {"loss": "loss {:.4f}", "held_out_loss": "held out {:.4f}", "images_per_second": "{:.1f} images/s"}


def escape_text(text: str) -> str:
    """Text of unknown origin as it is: without markup and control characters."""
    return escape(clean_line(text))


class Terminal(Console):
    """A console in which only styles control the terminal, whatever the texts contain."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for part in super().render(renderable, options):
            yield part if part.control else part._replace(text=printable(part.text))


class Screen:
    """Shows the events of one run as progress bars; without a terminal, as a line every few seconds.

    Progress goes to stderr, results to stdout.
    """

    def __init__(self) -> None:
        self.console = Terminal(stderr=True)
        self.bars = Progress(
            TextColumn("{task.description:14}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.lines: Thread | None = None
        self.ended = Event()
        self.bar: TaskID | None = None
        self.figures: dict[str, float] = {}
        self.made: list[ArtifactCreated] = []

    def __enter__(self) -> Screen:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, LimnerError) and self.bars.live.is_started:  # only the line of the error stays
            self.bars.live.transient = True
            self.bars.live.stop()
        self._stop()

    def _stop(self) -> None:
        if self.bars.live.is_started:
            self.bars.stop()
        if self.lines is not None:
            self.ended.set()
            self.lines.join()
            self.lines = None

    def note(self, text: str) -> None:
        self.bars.console.print(escape_text(text), soft_wrap=True)

    def begin(self, *title: str) -> None:
        """Print what is done, because the first event can take seconds."""
        self.note(clean_line(": ".join(filter(None, title)), LONGEST_TITLE))

    def show(self, event: RunEvent) -> None:
        """Show one event."""
        if isinstance(event, Stage):
            self._end_bar()
            self._start()
            self.figures = {}
            self.bar = self.bars.add_task(event.name, total=event.total, note="", unit=event.unit)
        elif isinstance(event, Done) and self.bar is not None:
            self.figures |= event.figures
            note = ", ".join(form.format(self.figures[name]) for name, form in FIGURES.items() if name in self.figures)
            self.bars.update(self.bar, completed=event.done, total=event.total, note=note)
        elif isinstance(event, Notice):
            colour = "yellow" if event.level == "warning" else "cyan"
            self.bars.console.print(f"[{colour}]{event.level}:[/] {escape_text(event.text)}", soft_wrap=True)
        elif isinstance(event, ArtifactCreated):
            self.made.append(event)

    def end(self) -> None:
        """Stop the display; no more events follow."""
        self._end_bar()
        self._stop()

    def _start(self) -> None:
        self.bars.start()
        if self.bars.disable and self.lines is None:
            self.ended.clear()
            self.lines = Thread(target=self._print_lines, daemon=True)
            self.lines.start()

    def _print_lines(self) -> None:
        while not self.ended.wait(EVERY):
            if self.bars.tasks and not (task := self.bars.tasks[-1]).finished:
                self._print_line(task)

    def _print_line(self, task: Task, *, ended: bool = False) -> None:
        count = "" if task.total is None else f" {task.completed:.0f}/{task.total:.0f} {task.fields['unit']}".rstrip()
        if ended:
            when = f"took {_clock(task.elapsed or 0)}"
        elif task.time_remaining is None:
            when = f"{_clock(task.elapsed or 0)} so far"
        else:
            when = f"{_clock(task.time_remaining)} left"
        line = ", ".join(part for part in (f"{task.description}{count}", task.fields["note"], when) if part)
        self.console.print(escape_text(line), soft_wrap=True, highlight=False)

    def _end_bar(self) -> None:
        if self.bar is None:
            return
        task = self.bars.tasks[-1]
        if self.bars.disable:
            self._print_line(task, ended=True)
        if task.total is None:
            self.bars.update(self.bar, total=1, completed=1)
        self.bar = None

    def finish(self, run: Run) -> None:
        """Print the results, a path per line, and how to look them up."""
        self.end()
        for made in self.made:
            if made.what not in (ArtifactKind.PREVIEW, ArtifactKind.GUIDE):
                print_line(made.path)
        seeds = [str(made.details["seed"]) for made in self.made if made.what is ArtifactKind.IMAGE]
        if seeds:
            self.console.print(
                f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {seeds[0]} to {seeds[-1]}", style="dim"
            )
        for made in self.made:
            if "say" in made.details:
                self.console.print(f"try: {escape_text(generate_command(made))}", soft_wrap=True)
        self.console.print(f"run {run.id}; details: limner show {run.id}", style="dim", soft_wrap=True)


def generate_command(made: ArtifactCreated) -> str:
    """The command that generates an image of the trained subject."""
    model = (
        [made.path]
        if made.what is ArtifactKind.MODEL
        else [base]
        if (base := made.details["base"]) != "starter"
        else []
    )
    words = ["limner", "generate", f"{made.details['say']} on the beach"]
    words += [part for place in model for part in ("--model", place)]
    if made.what is ArtifactKind.ADAPTER:
        words += ["--vae", vae] if (vae := made.details["vae"]) else []
        words += ["--adapter", join_weight(made.path, 1)]
    return shlex.join(words)


def print_table(names: Sequence[str], texts: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table on stdout: each row on a line, whatever the width, so that it can be searched and copied.

    names: headings of columns that are never cut, such as ids, hashes and paths. texts: headings of the columns after
    them, which are cut to the width of a terminal, to no less than LEAST_TEXT characters; a file gets them whole.
    """
    cells = [[*names, *texts], *([clean_line(cell) for cell in row] for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    console = Terminal(soft_wrap=True, highlight=False, markup=False, emoji=False)
    if texts and console.is_terminal:
        left = console.width - sum(widths[: len(names)]) - len(GAP) * (len(widths) - 1)
        widths[len(names) :] = [max(LEAST_TEXT, left // len(texts))] * len(texts)
    for number, row in enumerate(cells):
        fitted = (
            set_cell_size(cell, width) if cell_len(cell) <= width else set_cell_size(cell, width - 1) + "…"
            for cell, width in zip(row, widths, strict=True)
        )
        console.print(GAP.join(fitted).rstrip(), style="bold" if number == 0 else None)


def print_runs(runs: Sequence[Run]) -> None:
    """Print a table of runs."""
    if not runs:
        print_line('there are no runs yet; try: limner generate "a photo of a cat on the beach"')
        return
    rows = (
        (run.id, run.request.kind, run.status.value, _time(run.created), _took(run), run.request.summary)
        for run in runs
    )
    print_table(("run", "kind", "status", "started", "took"), ("summary",), rows)


def print_queue(runs: Sequence[Run], states: Mapping[str, QueueState]) -> None:
    """Print the running and waiting runs of the queue with their places. states: by id."""
    if not runs:
        print_line("the queue is empty; `limner runs` lists what has ended")
        return
    rows: list[tuple[str, ...]] = []
    for run in runs:
        state = states.get(run.id)
        position = "-" if state is None or state.position is None else str(state.position)
        status = run.status.value
        if state is not None:
            status = "stopping" if state.stopping else "lost" if state.lost else "silent" if state.silent else status
        done = f"{run.progress.done} of {run.progress.total}" if run.progress and run.progress.total else "-"
        rows.append((position, run.id, run.request.kind, status, done, run.owner or "-", run.request.summary))
    print_table(("place", "run", "kind", "status", "done", "account"), ("summary",), rows)


def print_models(entries: Sequence[Any]) -> None:
    """Print a table of base models."""
    rows = (
        (
            entry.name,
            entry.family,
            *(f"{value:.1f} GB" if value else "-" for value in (entry.gigabytes, entry.memory)),
            entry.licence,
            "yes" if entry.place else "no",
        )
        for entry in entries
    )
    print_table(("name", "family", "download", "GPU", "licence", "on disk"), (), rows)
    print_line("")
    print_line(
        "limner models get NAME downloads one; --model also takes a Hugging Face id, folder or .safetensors file"
    )


def print_keys(keys: Sequence[Key]) -> None:
    """Print a table of API keys."""
    rows: list[Sequence[str]] = []
    for key in keys:
        until = f"revoked {_time(key.revoked)}" if key.revoked else _time(key.expires) if key.expires else "never"
        limits = [
            f"{value:,} {name.replace('_', ' ')}" for name, value in key.limits.model_dump(exclude_none=True).items()
        ]
        rows.append((key.account, key.role, key.id, _time(key.created), until, ", ".join(limits) or "none"))
    print_table(("account", "role", "key", "created", "expires", "limits"), (), rows)


def print_run(run: Run, artifacts: Sequence[Artifact], events: Sequence[tuple[int, datetime, Any]]) -> None:
    """Print everything known of one run."""
    console = Terminal(soft_wrap=True)
    console.print(
        f"[bold]run {run.id}[/]  {run.request.kind}, {run.status.value}, "
        f"started {_time(run.created)}, took {_took(run)}"
    )
    if run.error:
        console.print(f"[red]{escape_text(run.error)}[/]")
    console.print("\n[bold]request[/]")
    body = body_of(run.request, run.execution)
    console.print_json(json.dumps(body.model_dump(mode="json", exclude_defaults=True) | {"kind": run.request.kind}))
    notices = [event.text for _, _, event in events if isinstance(event, Notice)]
    if notices:
        console.print("\n[bold]notices[/]")
        for text in notices:
            console.print(f"  {escape_text(text)}")
    console.print("\n[bold]results[/]" if artifacts else "\nno results")
    for artifact in reversed(artifacts):
        seed = f"  seed {artifact.details['seed']}" if "seed" in artifact.details else ""
        console.print(
            f"  {artifact.kind:8} {escape_text(artifact.path)}  sha256 {artifact.sha256}{seed}", highlight=False
        )


def print_ranking(ranks: Sequence[Any]) -> None:
    """Print a table of contestants, best first."""
    rows = (
        (
            each.contestant,
            f"{each.elo:.0f}",
            f"{each.low:.0f} to {each.high:.0f}",
            *map(str, (each.wins, each.ties, each.losses)),
            f"{each.preferred:.0%}",
        )
        for each in ranks
    )
    print_table(("contestant", "Elo", "95% interval", "won", "tied", "lost", "preferred"), (), rows)


def print_images(pictures: Sequence[GeneratedImage]) -> None:
    """Print a table of images: id, time, stars, model, file and prompt."""
    if not pictures:
        print_line("no image meets the conditions")
        return
    rows: list[Sequence[str]] = []
    for picture in pictures:
        stars = "-" if picture.mean is None else f"{picture.mean:.1f} ({picture.ratings})"
        names = (picture.request.model, picture.location)
        heart = " *" if picture.favourite else ""
        rows.append((str(picture.id) + heart, _time(picture.created), stars, *names, picture.request.prompt))
    print_table(("id", "generated", "stars", "model", "image"), ("prompt",), rows)


def print_collections(collections: Sequence[Collection]) -> None:
    """Print a table of collections: id, name, number of images, time."""
    if not collections:
        print_line("there is no collection; create one: limner collection create NAME")
        return
    rows = ((str(each.id), each.name, str(each.pictures), _time(each.created)) for each in collections)
    print_table(("id", "name", "images", "created"), (), rows)


def print_hits(hits: Sequence[Hit], by_look: bool = False) -> None:
    """Print prompts that were found: the prompt, then why it was found, its settings, and where it is from.

    by_look: whether the search was for images that look like something.
    """
    if not hits and by_look:
        print_line(
            "no image fits; use another image or colour, or fewer conditions. Your own images are searched, and those "
            "of libraries that are files here; `limner discover list` lists the libraries"
        )
    elif not hits:
        print_line("no prompt fits; use other words, or fewer conditions. `limner discover list` lists the libraries")
    console = Terminal(soft_wrap=True, highlight=False)
    for hit in hits:
        console.print(f"[bold]{escape_text(hit.text)}[/]")
        if hit.negative:
            console.print(f"  without: {escape_text(hit.negative)}")
        first = hit.records[hit.place]
        settings = {
            "model": first.model,
            "sampler": first.sampler,
            "steps": first.steps,
            "guidance": None if first.guidance is None else f"{first.guidance:g}",
            "size": f"{first.width}x{first.height}" if first.width and first.height else None,
        }
        shown = ", ".join(f"{name} {value}" for name, value in settings.items() if value not in (None, ""))
        because = f"words: {', '.join(hit.words)}" if hit.words else ""
        meaning = "" if hit.meaning is None else f"meaning: {hit.meaning:.0%}"
        look = "" if hit.look is None or hit.look < LEAST_TOLD else f"looks {hit.look:.0%} alike"
        colour = "" if hit.colour is None else f"has the colour: {hit.colour:.0%}"
        named = "" if hit.library == HISTORY else first.image  # of an own image this is a number
        images = f"{hit.images:,} images" if hit.images > 1 else named
        origin = f"from {hit.library}" + (f" ({hit.licence})" if hit.licence else "")
        line = " · ".join(filter(None, (because, meaning, look, colour, shown, images, origin)))
        console.print(f"  [dim]{escape_text(line)}[/]")


def print_libraries(libraries: Sequence[LibraryFacts]) -> None:
    """Print a table of libraries of prompts."""
    if not libraries:
        print_line("there is no library; add one: limner discover add SOURCE")
        return
    rows = (
        (
            each.name,
            f"{each.prompts:,}",
            f"{each.images:,}",
            each.licence or "unknown",
            "complete" if each.complete else "not read to its end",
            each.source,
        )
        for each in libraries
    )
    print_table(("name", "prompts", "images", "licence", "state", "source"), (), rows)


def print_verdict(picture: Path, verdict: Any) -> None:
    """Print what is known of an image: the verdict, then its grounds."""
    console = Terminal(soft_wrap=True, highlight=False)
    colour = "green" if verdict.good else "yellow"
    console.print(f"{escape_text(str(picture))}: [{colour}]{verdict.state}[/], {escape_text(verdict.message)}")
    label, mark = verdict.label, verdict.mark
    lines = [*(("problem", problem) for problem in verdict.problems)]
    if verdict.software or verdict.signer:
        when = "" if verdict.signed is None else f", {_time(verdict.signed)}"
        lines.append(
            ("signed", f"{verdict.software or 'unknown software'} by {verdict.signer or 'an unknown signer'}{when}")
        )
    if verdict.source:
        lines.append(("source", verdict.source))
    if label is not None:
        adapters = f" with {', '.join(label.adapters)}" if label.adapters else ""
        lines.append(("label", f"Limner {label.version}, model {label.model!r}{adapters}, seed {label.seed}"))
    if mark is not None:
        name = "name unreadable" if mark.name is None else f"name {mark.name}"
        lines.append(
            ("watermark", f"found, {name}{', mirrored' if mark.mirrored else ''} (by chance: {mark.chance:.0e})")
        )
    if run := verdict.run or (mark and mark.run):
        lines.append(("run", run))
    for name, text in lines:
        console.print(f"  {name:9} {escape_text(text)}")


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}" if minutes >= 60 else f"{minutes}:{seconds:02}"


def _time(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _took(run: Run) -> str:
    if run.started is None or run.finished is None:
        return "-"
    return f"{(run.finished - run.started).total_seconds():.1f} s"
