"""Commands about pictures that are there: paint one again, say whose it is, list them, rate them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from limner.cli.commands.shared import Out, stopping
from limner.cli.flags import command_for
from limner.core.errors import LimnerError, unknown
from limner.core.feedback import PictureQuery, Rating, Reason


def run(picture: Annotated[Path, Parameter(help="A PNG that Limner painted.")], *, out: Out = Path("pictures")) -> None:
    from limner.cli.terminal import Screen
    from limner.studio.studio import Studio

    with Screen() as screen, stopping(screen.note) as stop:
        screen.finish(Studio().reproduce(picture, out, listener=screen.show, stop=stop))


def verify(*pictures: Annotated[Path, Parameter(help="PNG, JPEG or WebP files.")]) -> None:
    from limner.cli.terminal import print_verdict
    from limner.studio.studio import Studio

    if not pictures:
        raise LimnerError("no picture is named", "limner verify PICTURE...")
    studio, good = Studio(), True
    for picture in pictures:
        verdict = studio.images.verify(picture)
        print_verdict(picture, verdict)
        good &= verdict.good
    if not good:
        sys.exit(1)


def _history(request: PictureQuery) -> None:
    from limner.cli.terminal import print_pictures
    from limner.studio.images import Viewer
    from limner.studio.studio import Studio

    print_pictures(Studio().images.list(Viewer(), request))


history = command_for(PictureQuery, None, _history)


def rate(
    *picture_and_stars: Annotated[
        str, Parameter(help="Pictures by file, id or SHA-256, or runs by id; last the stars, 1 to 5.")
    ],
    reason: Annotated[tuple[str, ...], Parameter(help="What is wrong; may be repeated.", negative=())] = (),
    comment: Annotated[str, Parameter(help="A word more.")] = "",
) -> None:
    from limner.studio.studio import Studio

    *pictures, stars = picture_and_stars or ("",)
    if not pictures or not stars.isdecimal():
        raise LimnerError("it takes pictures or runs, then the stars", "write: limner rate pictures/0001.png 4")
    for wrong in set(reason) - set(Reason):
        raise unknown("reason", wrong, Reason)
    rating = Rating(stars=int(stars), reasons=tuple(map(Reason, reason)), comment=comment)
    print(*Studio().feedback.rate_named(pictures, rating))
