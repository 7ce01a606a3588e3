"""Commands about pictures that are there: paint one again, say whose it is, list them, rate them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ..core.errors import LimnerError, unknown
from ..core.feedback import PictureQuery, Rating, Reason
from ..flags import command_for
from .shared import Out, stopping


def run(picture: Annotated[Path, Parameter(help="A PNG that Limner painted.")], *, out: Out = Path("pictures")) -> None:
    from ..studio import Studio
    from ..terminal import Screen

    with Screen() as screen, stopping(screen.note) as stop:
        screen.finish(Studio().again(picture, out, listener=screen.show, stop=stop))


def verify(*pictures: Annotated[Path, Parameter(help="PNG, JPEG or WebP files.")]) -> None:
    from ..studio import Studio
    from ..terminal import print_verdict

    if not pictures:
        raise LimnerError("no picture is named", "limner verify PICTURE...")
    studio, good = Studio(), True
    for picture in pictures:
        verdict = studio.verify(picture)
        print_verdict(picture, verdict)
        good &= verdict.good
    if not good:
        sys.exit(1)


def _history(request: PictureQuery) -> None:
    from ..feedback.command import found
    from ..terminal import print_pictures

    print_pictures(found(request))


history = command_for(PictureQuery, None, _history)


def rate(
    *picture_and_stars: Annotated[
        str, Parameter(help="Pictures by file, id or SHA-256, or runs by id; last the stars, 1 to 5.")
    ],
    reason: Annotated[tuple[str, ...], Parameter(help="What is wrong; may be repeated.", negative=())] = (),
    comment: Annotated[str, Parameter(help="A word more.")] = "",
) -> None:
    from ..feedback.command import rate

    *pictures, stars = picture_and_stars or ("",)
    if not pictures or not stars.isdecimal():
        raise LimnerError("it takes pictures or runs, then the stars", "write: limner rate pictures/0001.png 4")
    for wrong in set(reason) - set(Reason):
        raise unknown("reason", wrong, Reason)
    rating = Rating(stars=int(stars), reasons=tuple(map(Reason, reason)), comment=comment)
    print(*rate(pictures, rating))
