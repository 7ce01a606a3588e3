"""Searches by an image and by a colour, as the pages Discover and Gallery offer them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from limner.core.accounts import Caller, Role
from limner.core.discover import COLOURS, HISTORY, colour_of
from limner.server.replies import url_of
from limner.studio.files import REFERENCE
from limner.studio.images import Viewer
from limner.studio.studio import Studio
from limner.web.views import small_url

LIKE = "like"
"""The field that names an image; of a form, the file of one that is sent."""
LONGEST_LIKE = 200


@dataclass(frozen=True)
class Tint:
    """A colour that is offered. query: of the address that it leads to; where it is chosen, without it."""

    name: str
    colour: str
    query: str
    chosen: bool


@dataclass(frozen=True)
class Looks:
    """What the controls of a search by an image and a colour show.

    image: URL of a small copy of the image, "" without one. without_like, without_colour: queries of the address.
    place: of the page. fields: of the search, which a sent image keeps. error: what is wrong with a sent image. sends:
    whether the account may store one.
    """

    place: str
    like: str
    image: str
    colour: str
    without_like: str
    without_colour: str
    here: str
    tints: tuple[Tint, ...] = ()
    fields: Sequence[tuple[str, Any]] = field(default=())
    error: str = ""
    sends: bool = True

    @property
    def own(self) -> bool:
        """Whether the colour is none of those that are offered."""
        return bool(self.colour) and not any(each.chosen for each in self.tints)


def looks_of(
    studio: Studio,
    caller: Caller,
    place: str,
    values: tuple[str, str],
    text: Callable[..., str],
    fields: Sequence[tuple[str, Any]],
    error: str = "",
) -> Looks:
    """The controls of a page. values: the image and the colour that are chosen. text: query of the page's address with
    some fields changed. fields: of the search, besides the image.
    """
    like, colour = values
    tints = tuple(
        Tint(name, value, text(colour="" if value == colour else value), value == colour)
        for name, value in COLOURS.items()
    )
    image = image_url(studio, caller, like) if like and not error else ""
    return Looks(
        place,
        like,
        image,
        colour,
        without_like=text(like=""),
        without_colour=text(colour=""),
        here=text(),
        tints=tints,
        fields=fields,
        error=error,
        sends=caller.role.covers(Role.MAKER),
    )


def image_url(studio: Studio, caller: Caller, like: str) -> str:
    """The URL of a small copy of the image that a search names; "" where there is none to show."""
    if REFERENCE.fullmatch(like):
        return small_url(url_of(like)) if studio.files.may_use(caller, like) else ""
    library, _, rest = like.partition("/")
    prompt, _, number = rest.partition("/")
    if library == HISTORY and prompt.isascii() and prompt.isdigit() and len(prompt) < 10:
        own = studio.images.some(Viewer(caller.account, caller.scope), [int(prompt)])
        return next((small_url(url_of(each.reference)) for each in own if each.reference), "")
    return f"/discover/images/{library}/{prompt}/{number or 0}.webp" if library != HISTORY else ""


def checked(like: str, colour: str) -> tuple[str, str, str]:
    """An image and a colour of an address, and what is wrong with the colour, which is "" then."""
    try:
        return like[:LONGEST_LIKE], colour_of(colour) if colour else "", ""
    except ValueError as error:
        return like[:LONGEST_LIKE], "", str(error)
