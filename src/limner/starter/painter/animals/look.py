"""A look: all that tells one animal from another."""

from __future__ import annotations

from dataclasses import dataclass

from limner.starter.painter.vocabulary import RGB

INK: RGB = (38, 30, 40)
PINK: RGB = (240, 146, 156)


@dataclass(frozen=True)
class Look:
    """How an animal looks, whatever its pose.

    ears: pointed, small, upright, floppy, long, pompom or round. fur: smooth, fluffy or curly.
    legs: leg length, 1 for usual. cheeks: head width, 1 for usual.
    tail: slim, plush, curl, thin, feather, pompom or stub.
    marks: the named markings and parts; see `coat.COAT_MARKS`, `face.FACE_MARKS`, `emblems.EMBLEMS` and `parts.PARTS`.
    other_mark_colour: of the second patch and so on; `part_colour`: of horn, wings, antenna and mohawk.
    second_eye: the colour of the right eye where it differs.
    """

    species: str
    coat: RGB
    belly: RGB
    muzzle: RGB
    eye: RGB
    ears: str = "pointed"
    ear_colour: RGB | None = None
    inner_ear: RGB = PINK
    nose: RGB = INK
    fur: str = "smooth"
    legs: float = 1.0
    cheeks: float = 1.0
    tail: str = "slim"
    tail_colour: RGB | None = None
    paws: RGB | None = None
    marks: tuple[str, ...] = ()
    mark_colour: RGB = INK
    other_mark_colour: RGB = INK
    part_colour: RGB = (250, 204, 70)
    second_eye: RGB | None = None

    @property
    def is_cat(self) -> bool:
        return self.species == "cat"
