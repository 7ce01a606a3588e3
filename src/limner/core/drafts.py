"""Drafts: trainings that somebody is setting up on the pages, with all that was typed and uploaded so far."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from limner.core.accounts import Caller
from limner.core.requests.request import Frozen

MAX_IMAGES, MAX_CAPTION, MAX_NAME = 1000, 2000, 200
"""The most images of a draft, and the most characters of a caption and of a file name."""
MAX_VALUES = 256
"""The most fields of a draft's forms, and values of one field."""
DELETED, RESTORE = "this draft was deleted", "restore it on the page Teach, under Deleted drafts"
"""Why a draft takes nothing more, and what to do."""
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Text = Annotated[str, Field(max_length=20_000)]
RunId = Annotated[str, Field(max_length=32)]
Value = Text | Annotated[tuple[Text, ...], Field(max_length=MAX_VALUES)]
"""What somebody typed into a field; a field may hold several texts."""


class DraftImage(Frozen):
    """An uploaded image. name: of its file, unique in the draft. version: of the draft when its caption changed last.

    choice: whether it is used in spite of its faults, or left out; "" for what its faults say. removed: deleted, and
    not yet for good. crop: left, top, right and bottom in pixels; None for the crop that is found for it.
    """

    sha256: Sha256
    name: str = Field(max_length=MAX_NAME)
    width: int
    height: int
    caption: str = Field(default="", max_length=MAX_CAPTION)
    version: int = 0
    choice: Literal["", "keep", "drop"] = ""
    removed: bool = False
    crop: tuple[int, int, int, int] | None = None

    @property
    def reference(self) -> str:
        return f"sha256:{self.sha256}"


class DraftChoices(Frozen):
    """What was chosen besides the images.

    fields: what was typed, by name. versions: those of the draft in which a field changed last. check: the run
    that checked the images, and checked: the digest of what it checked. prepare, train: the runs of the training;
    `train` is empty while the dataset is prepared. body: of the training, without its data. by: who started it.
    trainings: earlier runs of this draft. undo: captions before the last change of several, by hash. problem: why the
    training could not be queued. step: that its owner looked at last. captioning: the run that writes captions, until
    they are taken over, and recaption: whether it replaces those that somebody typed. captioned: captions that a
    captioner wrote, by hash. example: whether it began as the drawn example. removed: whether the draft was deleted,
    and not yet for good.
    """

    fields: dict[str, Value] = Field(default_factory=dict[str, Value], max_length=MAX_VALUES)
    versions: dict[str, int] = Field(default_factory=dict[str, int], max_length=MAX_VALUES)
    check: RunId = ""
    checked: str = Field(default="", max_length=64)
    prepare: RunId = ""
    train: RunId = ""
    body: dict[str, Any] = Field(default_factory=dict[str, Any], max_length=MAX_VALUES)
    by: Caller | None = None
    trainings: tuple[RunId, ...] = Field(default=(), max_length=1000)
    undo: dict[str, str] = Field(default_factory=dict[str, str], max_length=MAX_IMAGES)
    problem: str = Field(default="", max_length=2000)
    step: str = Field(default="", max_length=20)
    captioning: RunId = ""
    recaption: bool = False
    captioned: dict[str, str] = Field(default_factory=dict[str, str], max_length=MAX_IMAGES)
    example: bool = False
    removed: bool = False

    @property
    def waits(self) -> bool:
        """Whether a training is to be queued once the dataset is prepared."""
        return bool(self.prepare) and not self.train and not self.problem


class Draft(Frozen):
    """A draft of an account. version: rises with every change. saved: when it changed last."""

    id: str
    owner: str
    version: int
    images: tuple[DraftImage, ...]
    choices: DraftChoices
    created: datetime
    saved: datetime

    @property
    def shown(self) -> tuple[DraftImage, ...]:
        """The images that are not deleted."""
        return tuple(image for image in self.images if not image.removed)

    @property
    def empty(self) -> bool:
        """Whether nothing was put into it: no image, also no deleted one, no text and no job."""
        choices = self.choices
        typed = any(choices.fields.values())
        return not (self.images or typed or choices.check or choices.prepare or choices.train or choices.trainings)

    def image(self, sha256: str) -> DraftImage | None:
        """The image with this hash."""
        return next((image for image in self.images if image.sha256 == sha256), None)

    def text(self, name: str, default: str = "") -> str:
        """What was typed into a field of one text."""
        value = self.choices.fields.get(name, "")
        return (value if isinstance(value, str) else " ".join(value)) or default

    def with_choices(self, **values: Any) -> Draft:
        """The draft with other choices."""
        return self.model_copy(update={"choices": self.choices.model_copy(update=values)})

    def with_image(self, sha256: str, **values: Any) -> Draft:
        """The draft with other values of one image."""
        images = (each.model_copy(update=values) if each.sha256 == sha256 else each for each in self.images)
        return self.model_copy(update={"images": tuple(images)})


def digest_of_images(images: tuple[DraftImage, ...], fields: dict[str, str]) -> str:
    """The hash of what a check depends on: the images, their captions and crops, and some fields."""
    rows = [(image.sha256, image.name, image.caption, image.crop) for image in images]
    return hashlib.sha256(json.dumps([rows, fields], sort_keys=True).encode()).hexdigest()
