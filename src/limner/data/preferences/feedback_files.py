"""Reads files of feedback: our own exports and those with the columns of Pick-a-Pic (arXiv 2305.01569), as JSON lines
or parquet. Anybody may have made them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from limner.core.errors import LimnerError
from limner.core.feedback import Reason
from limner.core.files import quoted
from limner.core.left_out import LeftOut
from limner.core.preferences import Feedback, JudgedImage, Judgement, Preference
from limner.core.requests.request import MAX_PROMPT
from limner.data.preferences import row_values
from limner.data.preferences.judged_images import NONE, ImageLeftOut, JudgedImages
from limner.data.preferences.row_values import WrongValue
from limner.data.preferences.tables import FeedbackRow, feedback_rows

MAX_ROWS = 200_000
"""Most rows of a file that are used."""
PAIR_COLUMNS = ("label_0", "label_1", "best_image_uid", "jpg_0", "jpg_1")
Better = Literal[0, 1, None]
"""Which image of a pair is better, None for a tie."""


def read_feedback(path: Path, folder: Path, local: bool = False) -> Feedback:
    """The ratings and pairs in a file; what cannot be used is counted in `left_out`.

    folder: where the images are written that the file contains; it is created when it is needed. local: whether the
    file may name other files on this machine, relative to it or by file URLs: not if it was sent in. Raises LimnerError
    for a file of which nothing can be used.
    """
    reader, left_out = _Reader(JudgedImages(path, folder, local)), LeftOut()
    for number, row in enumerate(feedback_rows(path)):
        if number == MAX_ROWS:
            left_out.add("part", f"only the first {MAX_ROWS:,} rows are read")
            break
        if isinstance(row, str):
            left_out.add("row", row)
        else:
            reader.add(row, left_out)
    if not reader.ratings and not reader.pairs:
        reason = left_out.lines[0] if left_out else "it is empty"
        remedy = "use an export of feedback, or a file with the columns of Pick-a-Pic, with its images"
        raise LimnerError(f"{quoted(path)} has no feedback that can be used: {reason}", remedy)
    return Feedback(ratings=tuple(reader.ratings), pairs=tuple(reader.pairs), left_out=left_out.lines)


class _Reader:
    """Collects the ratings and pairs of rows."""

    def __init__(self, images: JudgedImages) -> None:
        self._images = images
        self.ratings: list[Judgement] = []
        self.pairs: list[Preference] = []

    def add(self, row: FeedbackRow, left_out: LeftOut) -> None:
        """Add what a row says, or count why it is left out."""
        is_pair = any(name in row.images or row.values.get(name) is not None for name in PAIR_COLUMNS)
        what = "pair" if is_pair else "rating"
        try:
            if not is_pair and row.values.get("stars") is None:
                what = "row"
                raise WrongValue("there are neither stars nor the columns of a pair")
            given = row_values.reasons(row.values.get("reasons"))
            self._add_pair(row, given[0]) if is_pair else self._add_rating(row, given[0])
        except (WrongValue, ImageLeftOut) as error:
            left_out.add(what, error.reason, error.example)
            return
        for item in given[1]:
            left_out.add("reason", "not one of ours; the feedback is used without it", item)

    def _add_rating(self, row: FeedbackRow, reasons: tuple[Reason, ...]) -> None:
        stars, more = row_values.stars(row.values["stars"]), _more(row.values)
        self.ratings.append(Judgement(image=self._image(row, "image", ""), stars=stars, reasons=reasons, **more))

    def _add_pair(self, row: FeedbackRow, reasons: tuple[Reason, ...]) -> None:
        better, more = preferred(row.values), _more(row.values)
        images = [self._image(row, f"jpg_{side}", f"_{side}") for side in (0, 1)]
        if images[0].sha256 == images[1].sha256:
            raise WrongValue("both images are the same")
        if (images[0].prompt, images[0].negative_prompt) != (images[1].prompt, images[1].negative_prompt):
            raise WrongValue("the images belong to two prompts", images[0].prompt)
        first, second = images if better != 1 else images[::-1]
        self.pairs.append(
            Preference(better=first, worse=second, tie=better is None, reasons=reasons, source="file", **more)
        )

    def _image(self, row: FeedbackRow, cell: str, side: str) -> JudgedImage:
        """An image of a row. What its label says of model, adapters and seed counts, then what the row says."""
        url = row_values.text(row.values, f"image{side}_url")
        found: JudgedImage | None = None
        if cell in row.images:
            try:
                found = self._images.embedded(row.images[cell])
            except ImageLeftOut as error:
                if not url or error.reason != NONE:
                    raise
        if found is None:
            if not url:
                raise ImageLeftOut(NONE)
            found = self._images.named(url)
        said: dict[str, Any] = {}
        if found.model is None:
            said["model"] = row_values.text(row.values, f"model{side}") or None
            said["adapters"] = row_values.adapters(row.values.get(f"adapters{side}"))
        if prompt := row_values.prompt(row.values):
            negative = row_values.text(row.values, "negative_prompt", MAX_PROMPT)
            said |= {"prompt": prompt, "negative_prompt": negative}
        if not prompt and not found.prompt:
            raise WrongValue("there is no prompt")
        return found.model_copy(update=said)


def preferred(values: Mapping[str, Any]) -> Better:
    """Which image of a pair is better, by its labels or by the name of the better one.

    Raises WrongValue where the row does not say, or says two things.
    """
    labels = [row_values.share(values, f"label_{side}") for side in (0, 1)]
    best = row_values.text(values, "best_image_uid")
    if values.get("has_label") is False or (None in labels and not best):
        raise WrongValue("nobody judged them")
    named: dict[str, Better] = {"tie": None, **{row_values.text(values, f"image_{side}_uid"): side for side in (1, 0)}}
    if best and best not in named:
        raise WrongValue("best_image_uid is neither image", best)
    if None in labels:
        return named[best]
    first, second = labels
    assert first is not None and second is not None
    by_label: Better = None if first == second else 0 if first > second else 1
    if best and named[best] != by_label:
        raise WrongValue("the labels and best_image_uid contradict each other", best)
    return by_label


def _more(values: Mapping[str, Any]) -> dict[str, Any]:
    return {"rater": row_values.rater(values), "created": row_values.moment(values.get("created_at"))}
