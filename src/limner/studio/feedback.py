"""Feedback on images as surfaces use it: rate, compare, summarise and export."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from limner.core.errors import LimnerError
from limner.core.feedback import ByWhat, GeneratedImage, RatingSummary
from limner.core.preferences import Feedback, FeedbackKind, FeedbackSelection, FeedbackSource, JudgedImage
from limner.store.blobs import REFERENCE
from limner.store.feedback import FeedbackStore, rating_summary
from limner.store.files import atomic_file, sha256_of
from limner.store.preferences import PreferenceData
from limner.store.runs import Store
from limner.studio.feedback_export import Embed, ExportFormat, ExportKind, FeedbackExport, check_export
from limner.studio.files import StudioFiles
from limner.studio.images import StudioImages, Viewer

__all__ = [
    "Embed",
    "ExportFormat",
    "ExportKind",
    "StudioFeedback",
    "Viewer",
    "check_export",
    "rank",
    "summarise_opinions",
]


class StudioFeedback(FeedbackStore):
    """Feedback of accounts on images. `rate`, `set_favourite` and `compare` record it."""

    def __init__(self, store: Store, files: StudioFiles, images: StudioImages) -> None:
        super().__init__(store)
        self._store, self._files, self._images = store, files, images

    def summary(self, viewer: Viewer, by: ByWhat, industry: str | None = None) -> list[RatingSummary]:
        """The feedback on the images of each model, adapter, industry or style, best mean first.

        industry: only images with this tag.
        """
        return rating_summary(self._store, viewer, by, industry)

    def named(self, names: Sequence[str]) -> list[int]:
        """The ids of the images with these names, each once: a file, an id, a SHA-256, or a run for all its images."""
        return list(dict.fromkeys(id for name in names for id in self._ids(name)))

    def _ids(self, name: str) -> list[int]:
        """The ids of the images that a name stands for."""
        viewer = Viewer()
        if Path(name).is_file():
            return [self._images.get(viewer, sha256_of(Path(name))).id]
        if re.fullmatch("[0-9a-f]{64}", name):
            return [self._images.get(viewer, name).id]
        if re.fullmatch("[0-9]{1,9}", name):
            with suppress(LimnerError):  # the id of a run may start so too
                return [self._images.get(viewer, int(name)).id]
        try:
            run = self._store.get(name)
        except LimnerError as error:
            problem = f"{name!r} is not a file, and not the id of an image or a run"
            raise LimnerError(problem, "`limner history` lists the images") from error
        ids = self._images.of_run(viewer, run.id)
        if not ids:
            raise LimnerError(f"run {name!r} generated no images", "limner history lists the images")
        return ids

    def export(
        self, viewer: Viewer, kind: ExportKind, stars: bool, url: Callable[[GeneratedImage], str]
    ) -> FeedbackExport:
        """The feedback on the visible images as training data, to be written.

        kind: ratings, or pairs of images of the same prompts. stars: also pairs that follow from ratings. url: the URL
        of an image.
        """
        return FeedbackExport(PreferenceData(self._store, viewer), kind, stars, url, self._read)

    def export_file(self, path: Path, kind: ExportKind, stars: bool, embed: Embed) -> None:
        """Write all feedback to a .jsonl or a .parquet file. embed: whether and how a parquet file holds the images."""
        suffix = path.suffix.lower()
        if suffix not in (".jsonl", ".parquet"):
            raise LimnerError(f"{str(path)!r} is neither a .jsonl nor a .parquet file", "use one of these suffixes")
        check_export("jsonl" if suffix == ".jsonl" else "parquet", embed)
        export = self.export(Viewer(), kind, stars, _location)
        with atomic_file(path) as partial, partial.open("wb") as target:
            if suffix == ".jsonl":
                target.writelines(export.json_lines())
            else:
                export.write_parquet(target, embed)

    def source(self, viewer: Viewer) -> FeedbackSource:
        """A function that reads the feedback on the visible images, with their files on this machine."""

        def read(kind: FeedbackKind | None, selection: FeedbackSelection) -> Feedback:
            found = PreferenceData(self._store, viewer).feedback(kind, selection)
            return with_locations(found, self._local)

        return read

    def _local(self, location: str) -> str:
        """The path of an image's file; its location as it is where the file is missing."""
        if REFERENCE.fullmatch(location):
            with suppress(LimnerError, OSError):
                return str(self._files.local_path(location, ".png"))
        return location

    def _read(self, image: GeneratedImage) -> bytes | None:
        """The bytes of an image; None if its file is missing."""
        with suppress(LimnerError, OSError):
            path = self._files.local_path(image.reference) if image.reference else Path(image.path)
            return path.read_bytes()
        return None


def with_locations(feedback: Feedback, place: Callable[[str], str]) -> Feedback:
    """The feedback with the location of each image replaced by what `place` returns, which is called once for each."""
    known: dict[str, JudgedImage] = {}

    def moved(image: JudgedImage) -> JudgedImage:
        if image.sha256 not in known:
            known[image.sha256] = image.model_copy(update={"location": place(image.location)})
        return known[image.sha256]

    ratings = tuple(each.model_copy(update={"image": moved(each.image)}) for each in feedback.ratings)
    pairs = tuple(
        each.model_copy(update={"better": moved(each.better), "worse": moved(each.worse)}) for each in feedback.pairs
    )
    return Feedback(ratings=ratings, pairs=pairs, left_out=feedback.left_out)


def _location(image: GeneratedImage) -> str:
    location = image.location
    return location if location == image.reference else Path(location).as_uri()


def rank(votes: Sequence[Path], comparison: Path) -> Any:
    """The ranking of a comparison's contestants by files of votes: `ranks`, best first, and `verdict`."""
    from limner.engine.compare.ranking import rank

    return rank(votes, comparison)


def summarise_opinions(scores: Sequence[Path], evaluation: Path) -> tuple[Any, Path]:
    """What people scored and which metrics agree with them, with its `verdict`; and the page that shows it."""
    from limner.engine.evaluate.opinions_report import report_opinions

    return report_opinions(scores, evaluation)
