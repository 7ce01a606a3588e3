"""What the command line does with pictures and feedback: look up, rate, export. It sees all of this home."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from limner.core.errors import LimnerError
from limner.core.feedback import Picture, PictureQuery, Rating
from limner.store.feedback import FeedbackStore
from limner.store.files import atomic_file, sha256_of
from limner.store.images import ImageIndex, Viewer
from limner.store.preferences import PreferenceData
from limner.studio.feedback_columns import Embed, Kind, Pictured, picture_bytes
from limner.studio.feedback_export import check_export, json_lines, write_parquet
from limner.studio.studio import Studio

ALL = Viewer()


def found(query: PictureQuery) -> list[Picture]:
    """The pictures that a query asks for."""
    return ImageIndex(Studio().store).list(ALL, query)


def rate(names: Sequence[str], rating: Rating) -> list[int]:
    """Rate pictures, named by their file, their id or their SHA-256, or all of a run; their ids."""
    studio = Studio()
    ids = list(dict.fromkeys(id for name in names for id in _meant(studio, name)))
    for id in ids:
        FeedbackStore(studio.store).rate(ALL, id, rating)
    return ids


def _meant(studio: Studio, name: str) -> list[int]:
    """Ids of the pictures that a name stands for."""
    pictures = ImageIndex(studio.store)
    if Path(name).is_file():
        return [pictures.get(ALL, sha256_of(Path(name))).id]
    if re.fullmatch("[0-9a-f]{64}", name):
        return [pictures.get(ALL, name).id]
    if re.fullmatch("[0-9]{1,9}", name):
        with suppress(LimnerError):  # a run's id may begin so too
            return [pictures.get(ALL, int(name)).id]
    ids = pictures.of_run(ALL, studio.store.get(name).id)
    if not ids:
        raise LimnerError(f"run {name!r} painted nothing", "limner history lists the pictures")
    return ids


def export(file: Path, kind: Kind, stars: bool, embed: Embed) -> None:
    """Write all feedback to a .jsonl or a .parquet file."""
    suffix = file.suffix.lower()
    if suffix not in (".jsonl", ".parquet"):
        raise LimnerError(f"{str(file)!r} is neither a .jsonl nor a .parquet file", "name it so")
    check_export("jsonl" if suffix == ".jsonl" else "parquet", embed)
    studio = Studio()
    preferences, pictured = PreferenceData(studio.store, ALL), Pictured(_place, partial(picture_bytes, studio))
    with atomic_file(file) as place, place.open("wb") as target:
        if suffix == ".jsonl":
            target.writelines(json_lines(kind, preferences, pictured, stars))
        else:
            write_parquet(target, kind, preferences, pictured, stars, embed)


def _place(picture: Picture) -> str:
    return picture.reference or Path(picture.path).as_uri()
