"""Entries whose pictures were judged: what is prepared are the bytes that were judged, wherever they came from."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace

from limner.core.datasets import Entry, Place, Rights, TrainingRefused
from limner.core.errors import LimnerError
from limner.core.moderation import ImageScreen
from limner.data.entries.places import BytesPlace, UnreadablePlace
from limner.engine.prepare.image import Job
from limner.imaging.decode import decode


def screened(jobs: Iterable[Job], screen: ImageScreen | None) -> Iterator[Job]:
    """The jobs, their pictures and masks judged and held; raises moderation's Refused or Unable."""
    for number, item, stamp in jobs:
        if isinstance(item, Entry) and screen is not None and screen.sees_pictures:
            item = _judged(item, screen)
        yield number, item, stamp


def _judged(entry: Entry, screen: ImageScreen) -> Entry:
    place, said = _held(entry.place, screen)
    rights = entry.rights if said is None else Rights(training="refused", said=said).over(entry.rights)
    mask = None if entry.mask is None else _held(entry.mask, screen)[0]
    return replace(entry, place=place, mask=mask, rights=rights)


def _held(place: Place, screen: ImageScreen) -> tuple[Place, str | None]:
    """The bytes of a place, once what they show was judged, and the mark by which they are not to be learnt from.

    What cannot be read now is not read later either, for nobody would have judged it.
    """
    said = None
    try:
        try:
            data = place.read()
        except TrainingRefused as refused:
            data, said = refused.data, refused.said
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture = decode(data, place.name)
    except LimnerError as error:
        return UnreadablePlace(place.name, error.problem, error.remedy), None
    screen.admit_picture(picture, hashlib.sha256(data).hexdigest())
    return BytesPlace(place.name, data), said
