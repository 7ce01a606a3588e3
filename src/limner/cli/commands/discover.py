"""Commands of discovery: search prompts, and add, list and remove libraries of them."""

from __future__ import annotations

import json
import os
from dataclasses import fields
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from pydantic import ValidationError

from limner.cli.commands.shared import stop_on_signal
from limner.cli.output import print_line
from limner.core.discover import Filters, colour_of
from limner.core.errors import Interrupted, LimnerError, invalid, unknown
from limner.core.files import expand_home
from limner.core.prompt_records import PromptRecord

discover = App(name="discover")
FIELDS = tuple(field.name for field in fields(PromptRecord))
FILTERS = tuple(name for name in Filters.model_fields if name not in ("libraries", "unsafe"))


@discover.default
def search(
    text: Annotated[str, Parameter(help="Words that describe the image. Without them, any prompt fits.")] = "",
    *,
    filter: Annotated[
        list[str] | None,
        Parameter(help=f"Condition NAME=VALUE; may be repeated. Names: {', '.join(FILTERS)}.", negative=()),
    ] = None,
    like: Annotated[Path | None, Parameter(help="Image file that their images should look like.")] = None,
    colour: Annotated[str, Parameter(help="Colour that their images should have, such as #d04020 or tomato.")] = "",
    library: Annotated[list[str] | None, Parameter(help="Only in this library; may be repeated.", negative=())] = None,
    unsafe: Annotated[bool, Parameter(help="Show also prompts that are marked as unsafe.", negative=())] = False,
    count: Annotated[int, Parameter(help="Number of prompts.")] = 12,
    json_lines: Annotated[bool, Parameter("--json", help="Print a JSON object for each prompt.", negative=())] = False,
) -> None:
    from limner.cli.terminal import Screen, print_hits
    from limner.core.accounts import Caller
    from limner.studio.studio import Studio

    if not 1 <= count <= 1000:
        raise LimnerError(f"--count is {count}", "use 1 to 1000")
    filters, wanted = _filters(filter or [], library or [], unsafe), _colour(colour)
    discover = Studio().discover
    like_it = discover.appearance(Caller(), "" if like is None else expand_home(str(like)), wanted)
    if like_it:
        with Screen() as screen, stop_on_signal(screen.note) as stop:
            discover.upkeep.refresh(screen.show)
            discover.upkeep.look(emit=screen.show, stop=stop)
            if stop():
                raise Interrupted("stopped; the same command goes on with the images that are left")
    hits = discover.search(Caller(), text, filters, count, like_it)
    if json_lines:
        for hit in hits:
            print_line(json.dumps(hit.facts(), ensure_ascii=False))
    else:
        print_hits(hits, bool(like_it))


@discover.command
def add(
    source: Annotated[str, Parameter(help="A CSV, JSONL or parquet file, a folder, or OWNER/NAME of a dataset.")],
    *,
    name: Annotated[str | None, Parameter(help="Name of the library (default: that of the source).")] = None,
    licence: Annotated[str, Parameter(help="Licence of the prompts, shown with each of them.")] = "",
    columns: Annotated[
        list[str] | None,
        Parameter(
            help=f"FIELD=COLUMN, where columns have other names; may be repeated. Fields: {', '.join(FIELDS)}.",
            negative=(),
        ),
    ] = None,
) -> None:
    """Add a library of prompts. Repeat the same command to resume an interrupted import."""
    from limner.cli.terminal import Screen
    from limner.core.accounts import Caller
    from limner.core.prompt_records import LibraryFacts
    from limner.studio.studio import Studio

    mapping = dict(_pair(each, "--columns") for each in columns or [])
    path = expand_home(source)
    place = str(path.absolute()) if os.path.lexists(path) else source
    facts = LibraryFacts(name or library_name(source), place, licence, columns=mapping)
    with Screen() as screen, stop_on_signal(screen.note) as stop:
        screen.begin("add", source)
        done = Studio().discover.add(Caller(), facts, screen.show, stop)
        is_stopped = stop()
    for where, problem in done.problems[:20]:
        print_line(f"left out: {where}: {problem}")
    if done.skipped > 20:
        print_line(f"left out: {done.skipped - 20:,} more rows")
    facts = done.facts
    whole = facts.complete and done.indexed
    state = "" if whole else " so far; repeat the command to go on"
    unsafe = f", {facts.unsafe:,} of them marked as unsafe" if facts.unsafe else ""
    print_line(f"library {facts.name!r}: {facts.prompts:,} prompts{unsafe}, {facts.images:,} images{state}")
    if is_stopped and not whole:
        raise Interrupted("stopped")


@discover.command
def examples(
    *,
    images: Annotated[
        int, Parameter(help="Generate images until so many of the prompts for the starter have one.")
    ] = 0,
) -> None:
    """Add the library of 20,000 prompts that comes with Limner. Repeat the command to resume making images."""
    from limner.cli.terminal import Screen
    from limner.core.accounts import Caller
    from limner.studio.studio import Studio

    with Screen() as screen, stop_on_signal(screen.note) as stop:
        facts = Studio().discover.add_examples(Caller(), images, screen.show, stop)
        is_stopped = stop()
    more = f", {facts.images:,} images" if facts.images else ""
    print_line(f"library {facts.name!r}: {facts.prompts:,} prompts{more}")
    if is_stopped and facts.images < images:
        raise Interrupted("stopped; the same command makes the images that are left")


@discover.command(name="list")
def list_libraries() -> None:
    """List the libraries with their sources and licences."""
    from limner.cli.terminal import print_libraries
    from limner.core.accounts import Caller
    from limner.studio.studio import Studio

    print_libraries(Studio().discover.list(Caller()))


@discover.command
def remove(name: Annotated[str, Parameter(help="Name of a library, as `limner discover list` shows it.")]) -> None:
    """Remove a library with all its prompts. Its source is not touched."""
    from limner.core.accounts import Caller
    from limner.studio.studio import Studio

    Studio().discover.remove(Caller(), name)
    print_line(f"Removed the library {name!r}.")


@discover.command
def rebuild(
    *,
    meaning: Annotated[
        str | None, Parameter(help="Encoder of texts from now on: wordllama, or a sentence encoder or CLIP by name.")
    ] = None,
    looks: Annotated[
        str | None, Parameter(help="Encoder of images from now on: starter, or a CLIP, SigLIP or DINO by name.")
    ] = None,
) -> None:
    """Build the search index again, from the libraries and from your own images."""
    from limner.cli.terminal import Screen
    from limner.studio.studio import Studio

    with Screen() as screen, stop_on_signal(screen.note) as stop:
        screen.begin("rebuild")
        indexed = Studio().discover.upkeep.rebuild(screen.show, meaning, looks, stop)
        if stop():
            raise Interrupted("stopped; the next search goes on")
    print_line(f"indexed {indexed:,} prompts")


def library_name(source: str) -> str:
    """A name for a library by its source: its last part in lower case."""
    last = source.replace("\\", "/").rstrip("/").rpartition("/")[2].partition(".")[0].lower()
    kept = "".join(each if each.isascii() and (each.isalnum() or each in "-_") else "-" for each in last)
    return kept.strip("-_")[:64] or "library"


def _filters(conditions: list[str], libraries: list[str], unsafe: bool) -> Filters:
    values = dict(_pair(each, "--filter") for each in conditions)
    for name in values:
        if name not in FILTERS:
            raise unknown("filter", name, FILTERS)
    try:
        return Filters.model_validate({**values, "libraries": libraries, "unsafe": unsafe})
    except ValidationError as error:
        raise invalid(error, lambda field: f"filter {field}") from error


def _colour(text: str) -> str:
    try:
        return colour_of(text) if text.strip() else ""
    except ValueError as error:
        problem, _, remedy = str(error).partition("; ")
        raise LimnerError(f"--colour {problem}", remedy) from error


def _pair(text: str, flag: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name.strip():
        raise LimnerError(f"{flag} {text[:80]!r} has no '='", f"write it as in {flag} NAME=VALUE")
    return name.strip(), value.strip()
