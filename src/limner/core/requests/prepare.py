"""A wish for a dataset."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from limner.core.errors import unknown
from limner.core.image_faults import FAULTS
from limner.core.requests.request import Device, Flag, Frozen, Name, Refers, Request, Word
from limner.core.requests.parsing import parse_decimal, find_repeated
from limner.core.templates import Template

FaultName = Annotated[str, Field(max_length=64)]
SHARES = ("train", "validation", "test")


def _known(name: str) -> str:
    if name not in FAULTS:
        raise ValueError(str(unknown("fault", name, FAULTS)))
    return name


class FaultLimit(Frozen):
    """From which value on something is a fault; as text "blurred=60"."""

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
    def _measured(cls, value: str) -> str:
        if FAULTS[_known(value)].limit is None:
            measured = ", ".join(name for name, kind in FAULTS.items() if kind.limit is not None)
            raise ValueError(f"{value} has no limit; those with one are {measured}")
        return value

    def __str__(self) -> str:
        return f"{self.fault}={self.value:g}"


class SplitShares(Frozen):
    """Shares of a whole; as text "80/10/10", whatever its parts add up to."""

    train: float = Field(gt=0, le=1, description="For training.")
    validation: float = Field(default=0.0, ge=0, lt=1, description="To watch for overfitting.")
    test: float = Field(default=0.0, ge=0, lt=1, description="To be looked at only once.")

    @classmethod
    def from_text(cls, text: str) -> Any:
        parts = [parse_decimal(part) for part in text.strip().split("/")]
        numbers = [part for part in parts if part is not None]
        if len(numbers) < len(parts) or len(numbers) > len(SHARES) or not numbers[0]:
            raise ValueError(f"{text[:80]!r} is not of the form TRAIN/VALIDATION/TEST, such as 80/10/10")
        return {name: part / sum(numbers) for name, part in zip(SHARES, numbers, strict=False)}

    @model_validator(mode="after")
    def _of_a_whole(self) -> SplitShares:
        if abs(sum(self.parts) - 1) > 1e-6:
            raise ValueError(f"the shares {self} are not those of a whole")
        return self

    @property
    def parts(self) -> tuple[float, float, float]:
        return self.train, self.validation, self.test

    def __str__(self) -> str:
        return "/".join(f"{100 * part:g}" for part in self.parts)


class PrepareRequest(Request):
    """Make a clean dataset of a pile of pictures, and a report of what is in it."""

    kind: Annotated[Literal["prepare"], Flag(hidden=True)] = "prepare"
    sources: Annotated[tuple[Name, ...], Flag(positional=True), Refers("pictures")] = Field(
        min_length=1,
        max_length=1000,
        description="Folders, zip files, WebDataset shards, parquet files, tables of pictures and texts (CSV, JSONL), "
        "lists of URLs, or datasets of the Hugging Face hub.",
    )
    class_word: Annotated[Word | None, Flag("--class")] = Field(
        default=None, description="What the subject is, such as dog or teapot."
    )
    identifier: Word | None = Field(default=None, description="Made-up word that shall stand for the subject.")
    size: int = Field(default=512, ge=32, le=8192, description="Side of the pictures in pixels.")
    crop: Literal["centre", "subject", "none"] = Field(
        default="subject", description="What is cut out: the centre, where the subject is, or nothing."
    )
    buckets: bool = Field(
        default=False, description="Keep pictures near their shape, as many pixels as a square of the size has."
    )
    multiple: int = Field(default=64, ge=8, le=256, description="What the sides of buckets are multiples of.")
    detector: Name = Field(default="saliency", description="What finds the subject: saliency, face or model.")
    detector_model: Annotated[Name | None, Refers("model")] = Field(
        default=None, description="The network of a detector that needs one: a folder, a file or a Hugging Face id."
    )
    caption: Annotated[str | None, Field(min_length=1, max_length=2000)] = Field(
        default=None,
        description="Template of captions with fields in braces and parts that may be missing in brackets, as in "
        '"a photo of {identifier} {class}[ in the {background}]" (default: that, as far as it is known).',
    )
    written: bool = Field(default=True, description="Take the captions that come with pictures, where there are any.")
    captioner: Annotated[Name | None, Refers("model")] = Field(
        default=None, description="What captions pictures without one: starter, or a Hugging Face model."
    )
    captions: Annotated[Name | None, Refers("table")] = Field(
        default=None, description="The captions.csv of an earlier time, as it was edited; it has the last word."
    )
    fields: Annotated[Name | None, Refers("table")] = Field(
        default=None, description="CSV or JSONL of what pictures or folders show, by their names in the first column."
    )
    trigger: tuple[Word, ...] = Field(
        default=(), max_length=64, description="Word that every caption must contain; may be repeated."
    )
    ban: tuple[Word, ...] = Field(
        default=(), max_length=1000, description="Word that no caption may contain; may be repeated."
    )
    masks: Annotated[Name | None, Refers("pictures")] = Field(
        default=None, description="Folder of masks, named as the pictures, white where the subject is."
    )
    make_masks: bool = Field(default=False, description="Make masks of those without one, by the detector.")
    limit: tuple[FaultLimit, ...] = Field(
        default=(), max_length=64, description="When something is a fault: blurred=60; may be repeated."
    )
    drop: tuple[FaultName, ...] = Field(
        default=(),
        max_length=64,
        description=f"Fault that leaves a picture out, of {', '.join(FAULTS)}; may be repeated.",
    )
    flag: tuple[FaultName, ...] = Field(
        default=(), max_length=64, description="Fault that is only reported; may be repeated."
    )
    ignore: tuple[FaultName, ...] = Field(
        default=(), max_length=64, description="Fault that is not looked for; may be repeated."
    )
    encoder: Annotated[Name | None, Refers("model")] = Field(
        default="starter", description="Network by which pictures are alike or not; none for none."
    )
    by: tuple[Word, ...] = Field(
        default=(),
        max_length=16,
        description="Field to balance and to split by; may be repeated (default: the class, where several).",
    )
    balance: Literal["off", "weights", "sample"] = Field(
        default="off", description="Even out over-represented groups: by weights, or by leaving pictures out."
    )
    split: SplitShares = Field(default=SplitShares(train=1.0), description="Shares of train, validation and test, as 80/10/10.")
    author: Name | None = Field(default=None, description="Whose the pictures are, where they do not tell.")
    licence: Name | None = Field(default=None, description="Their licence, where they do not tell.")
    origin: Name | None = Field(default=None, description="Where they are from, where they do not tell.")
    consent: Name | None = Field(default=None, description="The consent of the people in them, where none is told.")
    despite: Annotated[str | None, Field(max_length=1000)] = Field(
        default=None, description="Why pictures marked 'no AI training' are taken all the same; it is recorded."
    )
    format: Literal["jpeg", "png", "webp"] = Field(default="jpeg", description="Format of the pictures.")
    quality: int = Field(default=95, ge=1, le=100, description="Quality of JPEG and WebP.")
    kohya: bool = Field(default=False, description="Write each caption beside its picture too, as a .txt file.")
    workers: int | None = Field(
        default=None, ge=1, le=1024, description="Processes that read pictures (default: as many as there are cores)."
    )
    executor: Literal["processes", "ray"] = Field(default="processes", description="What they run on.")
    seed: int = Field(default=42, ge=0, lt=2**63, description="Seed of everything random.")
    device: Device = Field(default="auto", description="auto, cpu, cuda, cuda:1 or mps: of networks.")

    @field_validator("drop", "flag", "ignore")
    @classmethod
    def _faults(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_known, value))

    @field_validator("caption")
    @classmethod
    def _template(cls, value: str | None) -> str | None:
        if value is not None:
            Template.read(value)
        return value

    @model_validator(mode="after")
    def _one_action_each(self) -> PrepareRequest:
        named = (*self.drop, *self.flag, *self.ignore)
        if (twice := find_repeated(named)) is not None:
            raise ValueError(f"{twice} is to be treated in several ways; name it once")
        for name in named:
            if FAULTS[name].certain and name not in self.drop:
                raise ValueError(f"{name} pictures cannot be kept; leave it out")
        if "refused" in (*self.flag, *self.ignore):
            raise ValueError("pictures marked 'no AI training' are taken only by saying why; give --despite")
        return self

    @model_validator(mode="after")
    def _no_word_banned_and_wanted(self) -> PrepareRequest:
        wanted = {word: f" {' '.join(word.lower().split())} " for word in (self.identifier, *self.trigger) if word}
        together = "\n".join(wanted.values())
        for banned in self.ban:
            if (sought := f" {' '.join(banned.lower().split())} ") in together:
                holding = next(word for word, plain in wanted.items() if sought in plain)
                raise ValueError(f"the banned word {banned!r} is in {holding!r}, which captions shall hold")
        return self

    @property
    def words(self) -> tuple[str, ...]:
        texts = (self.identifier, self.class_word, self.caption, *self.trigger)
        return tuple(dict.fromkeys(text for text in texts if text and text.strip()))

    @property
    def about(self) -> str:
        return ", ".join(self.sources)

    @property
    def name(self) -> str:
        return "dataset"

    @property
    def pixels(self) -> float:
        return self.size**2
