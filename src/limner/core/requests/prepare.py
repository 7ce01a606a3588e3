"""Request to build a dataset."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from limner.core.errors import unknown
from limner.core.image_faults import FAULTS
from limner.core.requests.parsing import find_repeated, parse_decimal
from limner.core.requests.request import Choices, Flag, Frozen, Heading, Name, Refers, Request, Trait, Word
from limner.core.templates import Template

FaultName = Annotated[str, Field(max_length=64)]
SHARES = ("train", "validation", "test")


def _known(name: str) -> str:
    if name not in FAULTS:
        raise ValueError(str(unknown("fault", name, FAULTS)))
    return name


class Limit(Frozen):
    """The limit from which a measurement is a fault; as text "blurred=60"."""

    fault: FaultName = Field(description="Name of the fault.")
    value: float = Field(ge=0, description="The limit.")

    @classmethod
    def from_text(cls, text: str) -> Any:
        fault, _, limit = text.partition("=")
        value = parse_decimal(limit.strip())
        if not fault.strip() or value is None:
            raise ValueError(f"{text[:80]!r} is not of the form FAULT=VALUE, such as blurred=60")
        return {"fault": fault.strip(), "value": value}

    @field_validator("fault")
    @classmethod
    def _has_limit(cls, value: str) -> str:
        if FAULTS[_known(value)].limit is None:
            with_limit = ", ".join(name for name, kind in FAULTS.items() if kind.limit is not None)
            raise ValueError(f"{value} has no limit; those with one are {with_limit}")
        return value

    def __str__(self) -> str:
        return f"{self.fault}={self.value:g}"


class Shares(Frozen):
    """Shares of the splits; as text "80/10/10", scaled to add up to 1."""

    train: float = Field(gt=0, le=1, description="For training.")
    validation: float = Field(default=0.0, ge=0, lt=1, description="For detecting overfitting.")
    test: float = Field(default=0.0, ge=0, lt=1, description="For the final evaluation.")

    @classmethod
    def from_text(cls, text: str) -> Any:
        parts = [parse_decimal(part) for part in text.strip().split("/")]
        numbers = [part for part in parts if part is not None]
        if len(numbers) < len(parts) or len(numbers) > len(SHARES) or not numbers[0]:
            raise ValueError(f"{text[:80]!r} is not of the form TRAIN/VALIDATION/TEST, such as 80/10/10")
        return {name: part / sum(numbers) for name, part in zip(SHARES, numbers, strict=False)}

    @model_validator(mode="after")
    def _add_up_to_one(self) -> Shares:
        if abs(sum(self.parts) - 1) > 1e-6:
            raise ValueError(f"the shares {self} do not add up to 100")
        return self

    @property
    def parts(self) -> tuple[float, float, float]:
        return self.train, self.validation, self.test

    def __str__(self) -> str:
        return "/".join(f"{100 * part:g}" for part in self.parts)


class PrepareRequest(Request):
    """Build a clean dataset from images, with a report."""

    kind: Annotated[Literal["prepare"], Flag(hidden=True), Trait.AFTER_DECODING] = "prepare"
    sources: Annotated[tuple[Name, ...], Flag(positional=True), Refers("pictures")] = Field(
        min_length=1,
        max_length=1000,
        description="Folders, zip files, WebDataset shards, parquet files, tables of images and captions (CSV, JSONL), "
        "lists of URLs, or datasets on the Hugging Face hub.",
    )
    follow_links: Annotated[bool, Heading.FILES] = Field(
        default=False, description="Read symbolic links that lead out of the folders of images and masks."
    )
    class_word: Annotated[Word | None, Flag("--class"), Heading.BASICS] = Field(
        default=None, description="What the subject is, such as dog or teapot."
    )
    identifier: Annotated[Word | None, Trait.AFTER_DECODING, Heading.BASICS] = Field(
        default=None, description="Made-up word for the subject."
    )
    size: Annotated[int, Heading.BASICS] = Field(
        default=512, ge=32, le=8192, description="Side of the images in pixels."
    )
    crop: Annotated[Literal["centre", "subject", "none"], Heading.BASICS] = Field(
        default="subject", description="Where to crop: subject, centre, or none for no crop."
    )
    buckets: Annotated[bool, Heading.CROP] = Field(
        default=False,
        description="Crop to the nearest of several aspect ratios instead of a square, with about as many pixels.",
    )
    multiple: int = Field(default=64, ge=8, le=256, description="Sides of buckets are multiples of this many pixels.")
    detector: Annotated[Name, Choices("detectors")] = Field(
        default="saliency", description="Detector that finds the subject: saliency, face or model."
    )
    detector_model: Annotated[Name | None, Refers("model")] = Field(
        default=None, description="Network of a detector that needs one: a folder, a file or a Hugging Face id."
    )
    caption: Annotated[str | None, Field(min_length=1, max_length=2000), Trait.AFTER_DECODING, Heading.BASICS] = Field(
        default=None,
        description="Template of captions, with fields in braces and optional parts in brackets, such as "
        '"a photo of {identifier} {class}[ in the {background}]" (default: this one).',
    )
    written: Annotated[bool, Trait.AFTER_DECODING, Heading.CAPTIONS] = Field(
        default=True, description="Use the captions that come with images."
    )
    captioner: Annotated[Name | None, Refers("model"), Trait.AFTER_DECODING, Heading.BASICS] = Field(
        default=None, description="Captioner for images without a caption: starter, or a Hugging Face model."
    )
    captions: Annotated[Name | None, Refers("table"), Trait.AFTER_DECODING] = Field(
        default=None, description="An edited captions.csv of an earlier run; it replaces all other captions."
    )
    fields: Annotated[Name | None, Refers("table")] = Field(
        default=None, description="CSV or JSONL table with fields of images or folders; its first column names them."
    )
    catalogue: Annotated[Name | None, Refers("table"), Trait.AFTER_DECODING] = Field(
        default=None,
        description="YAML file with the known fields of captions and their values (default: the catalogue of pets: "
        "species, breed, background, extras).",
    )
    trigger: Annotated[tuple[Word, ...], Trait.AFTER_DECODING] = Field(
        default=(),
        max_length=64,
        description="Trigger word, inserted into every caption that was not edited; may be repeated.",
    )
    ban: Annotated[tuple[Word, ...], Trait.AFTER_DECODING] = Field(
        default=(), max_length=1000, description="Word to remove from captions; may be repeated."
    )
    masks: Annotated[Name | None, Refers("pictures"), Heading.MASKS] = Field(
        default=None, description="Folder of masks named like the images, white where the subject is."
    )
    make_masks: bool = Field(default=False, description="Make the missing masks with the detector.")
    limit: Annotated[tuple[Limit, ...], Heading.FAULTS] = Field(
        default=(),
        max_length=64,
        description="Limit from which a fault is reported, such as blurred=60; may be repeated.",
    )
    drop: tuple[FaultName, ...] = Field(
        default=(),
        max_length=64,
        description=f"Fault for which images are left out: {', '.join(FAULTS)}; may be repeated.",
    )
    flag: tuple[FaultName, ...] = Field(
        default=(), max_length=64, description="Fault for which images are kept and reported; may be repeated."
    )
    ignore: tuple[FaultName, ...] = Field(
        default=(), max_length=64, description="Fault that is not checked; may be repeated."
    )
    encoder: Annotated[Name | None, Refers("model"), Trait.AFTER_DECODING, Heading.BALANCE] = Field(
        default="starter", description="Network whose features are used to find similar images; none turns this off."
    )
    by: Annotated[tuple[Word, ...], Trait.AFTER_DECODING] = Field(
        default=(),
        max_length=16,
        description="Field to balance and split by; may be repeated (default: the class, or else the folder, if there "
        "are several).",
    )
    balance: Annotated[Literal["off", "weights", "sample"], Trait.AFTER_DECODING] = Field(
        default="off",
        description="Balance the groups of `by`: weights gives images sampling weights; sample leaves images of "
        "large groups out.",
    )
    split: Annotated[Shares, Trait.AFTER_DECODING] = Field(
        default=Shares(train=1.0), description="Shares of train, validation and test, such as 80/10/10."
    )
    author: Annotated[Name | None, Heading.RIGHTS] = Field(
        default=None, description="Author of the images that do not name one."
    )
    licence: Name | None = Field(default=None, description="Licence of the images that do not name one.")
    origin: Name | None = Field(default=None, description="Source of the images that do not name one.")
    consent: Name | None = Field(default=None, description="Consent of the people in the images that do not state it.")
    despite: Annotated[str | None, Field(max_length=1000)] = Field(
        default=None, description="Use images marked 'no AI training' too, for this reason, which is recorded."
    )
    format: Annotated[Literal["jpeg", "png", "webp"], Heading.FILES] = Field(
        default="jpeg", description="Format of the images."
    )
    quality: int = Field(default=95, ge=1, le=100, description="Quality of JPEG and WebP.")
    kohya: Annotated[bool, Trait.AFTER_DECODING] = Field(
        default=False, description="Also write each caption into a .txt file beside its image."
    )
    seed: Annotated[int, Trait.AFTER_DECODING, Heading.EXECUTION] = Field(
        default=42, ge=0, lt=2**63, description="Seed of everything random."
    )

    @field_validator("drop", "flag", "ignore")
    @classmethod
    def _faults(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_known, value))

    @field_validator("caption")
    @classmethod
    def _valid_template(cls, value: str | None) -> str | None:
        if value is not None:
            Template.read(value)
        return value

    @model_validator(mode="after")
    def _one_action_for_each_fault(self) -> PrepareRequest:
        named = (*self.drop, *self.flag, *self.ignore)
        if (twice := find_repeated(named)) is not None:
            raise ValueError(f"{twice} is given for several actions; give it once")
        for name in named:
            if FAULTS[name].certain and name not in self.drop:
                raise ValueError(f"{name} images cannot be used; leave it out")
        if "refused" in (*self.flag, *self.ignore):
            raise ValueError("images marked 'no AI training' are used only with a reason; give --despite")
        return self

    @model_validator(mode="after")
    def _no_required_word_is_banned(self) -> PrepareRequest:
        wanted = {word: f" {' '.join(word.lower().split())} " for word in (self.identifier, *self.trigger) if word}
        together = "\n".join(wanted.values())
        for banned in self.ban:
            if (sought := f" {' '.join(banned.lower().split())} ") in together:
                holding = next(word for word, plain in wanted.items() if sought in plain)
                raise ValueError(f"the banned word {banned!r} is in {holding!r}, which captions must contain")
        return self

    @property
    def texts(self) -> tuple[str, ...]:
        texts = (self.identifier, self.class_word, self.caption, *self.trigger)
        return tuple(dict.fromkeys(text for text in texts if text and text.strip()))

    @property
    def summary(self) -> str:
        return ", ".join(self.sources)

    @property
    def folder_name(self) -> str:
        return "dataset"

    @property
    def pixels(self) -> float:
        return self.size**2
