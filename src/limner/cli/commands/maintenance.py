"""Commands that maintain stored data: backup, restore, erase, prune."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from limner.cli.output import print_line
from limner.core.errors import LimnerError
from limner.core.files import expand_home, quoted

if TYPE_CHECKING:
    from limner.core.runs import Run
    from limner.studio.maintenance import ErasureResult
    from limner.studio.studio import Studio

_REFERENCE = re.compile("(sha256|folder):")
_ID = re.compile("[0-9]{1,9}")
_AGE = re.compile(r"([0-9]{1,6})([hdw])")
_HOURS = {"h": 1, "d": 24, "w": 7 * 24}
IMAGE = "image:"
SHOWN = 20
"""Most lines of each list that are printed."""

Archive = Annotated[Path, Parameter(help="The archive, such as limner-backup.zip.")]


def backup(file: Archive) -> None:
    from limner.cli.terminal import Screen
    from limner.studio.studio import Studio

    with Screen() as screen:
        Studio().maintenance.backup(expand_home(file).absolute(), screen.show)
        screen.end()
    print_line(file)


def restore(
    file: Archive,
    *,
    replace: Annotated[bool, Parameter(help="Replace the existing runs and credentials.", negative=())] = False,
) -> None:
    from limner.cli.terminal import Screen
    from limner.studio.studio import Studio

    with Screen() as screen:
        Studio().maintenance.restore(expand_home(file).absolute(), replace=replace, listener=screen.show)
        screen.end()


def erase(
    *what: Annotated[
        str,
        Parameter(
            help="What to erase: the id of a run, image:ID for one image of a run, sha256:HASH, folder:HASH, or "
            "owner:NAME for everything that the account NAME owns."
        ),
    ],
    derived: Annotated[bool, Parameter(help="Also erase everything that was made with it.", negative=())] = False,
    dry_run: Annotated[bool, Parameter(help="Only list what would be erased.", negative=())] = False,
) -> None:
    from limner.studio.maintenance import EraseSelection
    from limner.studio.studio import Studio

    owners = [item.removeprefix("owner:") for item in what if item.startswith("owner:")]
    files = tuple(item for item in what if _REFERENCE.match(item))
    images = tuple(_image_id(item) for item in what if item.startswith(IMAGE))
    runs = tuple(item for item in what if not item.startswith(("owner:", IMAGE)) and item not in files)
    if not what or len(owners) > 1 or "" in owners:
        raise LimnerError("nothing to erase is given" if not what else "give one owner", "see limner erase --help")
    wanted = EraseSelection(runs=runs, images=images, references=files, owner=owners[0] if owners else None)
    studio = Studio()
    done = studio.maintenance.erase(wanted, derived=derived, dry=dry_run)
    _print_erasure(done, "would be erased" if dry_run else "erased")
    for run in done.learnt:
        print_line(_learnt(studio, studio.runs.get(run), done.again.get(run), dry_run))


def _learnt(studio: Studio, run: Run, again: str | None, dry: bool) -> str:
    """A line on an improvement that learnt from erased feedback: its name, and what improves it without."""
    from limner.core.requests import ImproveRequest
    from limner.web.forms import run_command

    name, erased = studio.library.name_of(run), "would be erased" if dry else "was erased"
    what = f"{name} (run {run.id}) learnt from feedback that {erased}"
    if dry:
        return what
    if again is not None:
        return f"{what}; run {again} improves it again"
    if run.queue is not None:
        return f"{what}; improve again from other feedback"
    file = run.request.file if isinstance(run.request, ImproveRequest) else None
    first = "" if file is None else f"remove it from {quoted(file)}, and "
    return f"{what}; {first}improve again: {run_command(run)} --out NEW"


def _image_id(item: str) -> int:
    """The id in image:ID."""
    found = item.removeprefix(IMAGE)
    if _ID.fullmatch(found) is None:
        raise LimnerError(f"{found[:40]!r} is not the id of an image", "write image:75; `limner history` lists the ids")
    return int(found)


def prune(
    *,
    older_than: Annotated[
        str | None,
        Parameter(help="Erase runs and uploads older than this, such as 12h, 30d or 8w (default: erase none)."),
    ] = None,
    keep: Annotated[
        tuple[str, ...],
        Parameter(help="File or folder to keep, as sha256:HASH or folder:HASH; may be repeated.", negative=()),
    ] = (),
) -> None:
    from limner.studio.studio import Studio

    age = None if older_than is None else parse_age(older_than)
    _print_erasure(Studio().maintenance.prune(age, protected=keep), "erased")


def parse_age(text: str) -> timedelta:
    """A duration such as 12h, 30d or 8w."""
    found = _AGE.fullmatch(text)
    if found is None or int(found[1]) * _HOURS[found[2]] > 24 * 36500:
        raise LimnerError(f"{text!r} is not an age", "write 12h, 30d or 8w")
    return timedelta(hours=int(found[1]) * _HOURS[found[2]])


def _print_erasure(done: ErasureResult, verb: str) -> None:
    for title, items in (("run", done.runs), ("derived run", done.derived), ("upload", done.uploads)):
        for item in items[:SHOWN]:
            print_line(f"{title} {item}")
        if len(items) > SHOWN:
            print_line(f"and {len(items) - SHOWN:,} more")
    for image in done.images[:SHOWN]:
        print_line(f"image {image}")
    if len(done.images) > SHOWN:
        print_line(f"and {len(done.images) - SHOWN:,} more")
    for path in done.left:
        print_line(f"not erased: {path}")
    orphans = f", {done.orphans:,} files that nothing referred to" if done.orphans else ""
    runs = len(done.runs) + len(done.derived)
    images = f"{len(done.images):,} image{'s' * (len(done.images) != 1)}, " if done.images else ""
    print_line(f"{verb}: {runs:,} runs, {images}{len(done.files):,} files ({done.bytes / 1e6:,.1f} MB){orphans}")
