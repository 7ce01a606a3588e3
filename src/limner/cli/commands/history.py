"""Commands about runs and images that exist: repeat, list, show, verify, search, rate, favourite, export feedback."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from limner.cli.commands.shared import IMAGES, Out, list_images, one_run_studio, stop_on_signal
from limner.cli.flags import command_for
from limner.cli.output import print_line
from limner.core.errors import LimnerError, unknown
from limner.core.feedback import ImageQuery, Rating, Reason

feedback = App(name="feedback")
LONGEST_STARS = 9
"""Digits of a number of stars that is read."""


def run(
    picture: Annotated[Path, Parameter(help="A PNG that Limner generated.")],
    *,
    out: Out = Path("pictures"),
    read_files: Annotated[
        bool,
        Parameter(
            help="Read the files that an image of someone else names: input images, adapters, models.", negative=()
        ),
    ] = False,
) -> None:
    from limner.cli.terminal import Screen

    with Screen() as screen, stop_on_signal(screen.note) as stop:
        screen.begin("run", str(picture))
        screen.finish(one_run_studio().reproduce(picture, out, read_files=read_files, listener=screen.show, stop=stop))


def runs(*, count: Annotated[int, Parameter(help="Number of runs.")] = 20) -> None:
    from limner.cli.terminal import print_runs
    from limner.studio.studio import Studio

    print_runs(Studio().runs.list(count))


def show(run: Annotated[str, Parameter(help="Id of a run, or the start of it.")]) -> None:
    from limner.cli.terminal import print_run
    from limner.studio.studio import Studio

    studio = Studio()
    found, artifacts = studio.runs.show(run)
    print_run(found, artifacts, studio.runs.events(found.id))


def verify(*pictures: Annotated[Path, Parameter(help="PNG, JPEG or WebP files.")]) -> None:
    from limner.cli.terminal import print_verdict
    from limner.studio.studio import Studio

    if not pictures:
        raise LimnerError("no image is given", "limner verify IMAGE...")
    studio, good = Studio(), True
    for picture in pictures:
        verdict = studio.images.verify(picture)
        print_verdict(picture, verdict)
        good &= verdict.good
    if not good:
        sys.exit(1)


def _history(request: ImageQuery) -> None:
    from limner.cli.terminal import print_images
    from limner.studio.images import Viewer
    from limner.studio.studio import Studio

    print_images(Studio().images.list(Viewer(), request))


history = command_for(ImageQuery, _history)


def rate(
    *picture_and_stars: Annotated[
        str, Parameter(help="Images (file, id or SHA-256) or runs (all their images), then the stars, 1 to 5.")
    ],
    reason: Annotated[
        tuple[str, ...], Parameter(help=f"What is wrong: {', '.join(Reason)}; may be repeated.", negative=())
    ] = (),
    comment: Annotated[str, Parameter(help="Comment on the images.")] = "",
) -> None:
    from limner.studio.images import Viewer
    from limner.studio.studio import Studio

    *pictures, stars = picture_and_stars or ("",)
    if not pictures or not stars.isdecimal() or len(stars) > LONGEST_STARS:
        raise LimnerError("give images or runs, then the stars", "write: limner rate pictures/0001.png 4")
    for wrong in set(reason) - set(Reason):
        raise unknown("reason", wrong, Reason)
    rating = Rating(stars=int(stars), reasons=tuple(map(Reason, reason)), comment=comment)
    studio = Studio()
    ids = studio.feedback.named(pictures)
    for image in ids:
        studio.feedback.rate(Viewer(), image, rating)
    print_line(f"Rated {list_images(ids)} with {rating.stars} star{'s' * (rating.stars != 1)}.")


def favourite(
    *pictures: Annotated[str, Parameter(help=IMAGES)],
    remove: Annotated[bool, Parameter(help="Remove the images from the favourites.", negative=())] = False,
) -> None:
    from limner.studio.images import Viewer
    from limner.studio.studio import Studio

    if not pictures:
        raise LimnerError("no image is given", "write: limner favourite pictures/0001.png")
    studio = Studio()
    ids = studio.feedback.named(pictures)
    for image in ids:
        studio.feedback.set_favourite(Viewer(), image, not remove)
    print_line(f"{'Removed' if remove else 'Added'} {list_images(ids)} {'from' if remove else 'to'} the favourites.")


@feedback.command
def export(
    file: Annotated[Path, Parameter(help="The .jsonl or .parquet file to write.")],
    *,
    kind: Annotated[
        Literal["ratings", "pairs"],
        Parameter(help="Ratings, or pairs of a better and a worse image of the same prompt."),
    ] = "ratings",
    stars: Annotated[
        bool, Parameter(help="Also make pairs from ratings, not only from comparisons.", negative=())
    ] = False,
    embed: Annotated[
        Literal["no", "image", "bytes"],
        Parameter(help="How to embed the images: no, image (as the datasets library reads them) or bytes (plain)."),
    ] = "no",
) -> None:
    """Write all ratings or pairs to a file, in the columns that scripts for preference training read."""
    from limner.studio.studio import Studio

    Studio().feedback.export_file(file, kind, stars, embed)
    print_line(file)
