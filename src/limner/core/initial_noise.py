"""Which generated images began with noise alone, so that their initial noise can be drawn again."""

from __future__ import annotations

from limner.core.requests import GenerateRequest


def seed_of_noise(request: GenerateRequest, seed: object) -> int | None:
    """The seed of an image's initial noise, by its request and its own seed; None unless it began with noise alone.

    Image to image begins with another image. A second pass, for more pixels or by a refiner, adds noise of its own.
    """
    second = request.image or request.hires or request.refiner
    return seed if type(seed) is int and not second else None
