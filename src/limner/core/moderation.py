"""What is judged of a request and of its pictures, by which checks, and what they found."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Protocol, runtime_checkable

from pydantic import AfterValidator, BaseModel, Field, model_validator

from limner.core.errors import LimnerError
from limner.core.requests import Frozen, Name


def _absolute(reference: str) -> str:
    place = Path(reference).expanduser()
    return str(place.resolve()) if place.exists() else reference


Model = Annotated[Name, AfterValidator(_absolute)]
"""A folder, made absolute so that it means the same to every process, or a Hugging Face id."""


class CheckStage(StrEnum):
    """What is judged: the words of a request, a picture that it brings, or one that was painted for it."""

    PROMPT = "prompt"
    INPUT = "input"
    PICTURE = "picture"

    @property
    def is_text(self) -> bool:
        return self is CheckStage.PROMPT


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found. category: why it refuses; None where it lets pass. score: from 0 to 1, where it has one."""

    category: str | None = None
    score: float | None = None


Judge = Callable[[Any], Finding]
"""A check that is ready: given a text, or a picture (RGB), it says what it finds; any error means that it cannot."""


@runtime_checkable
class Check(Protocol):
    """One way to judge.

    texts, pictures: what it can judge. Options: how it is set up in a policy.
    """

    Options: type[BaseModel]
    texts: bool
    pictures: bool

    def ready(self, options: Any) -> JudgeFunction:
        """Load what it needs; raises LimnerError where that cannot be had."""
        ...


class CheckUse(Frozen):
    """A check of a policy. required: whether what it cannot judge is refused; else that it was skipped is noted."""

    check: Name
    required: bool = True
    options: dict[str, Any] = Field(default_factory=dict[str, Any])


WORDS = "words"
"""The check that every policy has."""


class Policy(Frozen):
    """Which checks judge what. keep_text: keep the refused words themselves too, and not only their hash."""

    prompt: tuple[CheckUse, ...] = ()
    input: tuple[CheckUse, ...] = ()
    picture: tuple[CheckUse, ...] = ()
    keep_text: bool = False

    @model_validator(mode="after")
    def _with_words(self) -> Policy:
        lists = [use for use in self.prompt if use.check == WORDS]
        if len(lists) > 1:
            raise ValueError("prompt names the check 'words' twice; write its words into one")
        if not all(use.required for use in lists):
            raise ValueError("the check 'words' is always required; leave required out")
        if not lists:
            object.__setattr__(self, "prompt", (CheckUse(check=WORDS), *self.prompt))
        return self

    def uses(self, stage: CheckStage) -> tuple[CheckUse, ...]:
        """The checks of a stage."""
        return getattr(self, stage.value)

    @property
    def text(self) -> str:
        """The policy as canonical JSON."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))

    @property
    def digest(self) -> str:
        """SHA-256 of that text, by which runs name it."""
        return hashlib.sha256(self.text.encode()).hexdigest()


class Verdict(Frozen):
    """What a check said of something. subject: SHA-256 of the text, or of the picture's file.

    skipped: it could not judge, and the policy does not require it to.
    """

    stage: CheckStage
    subject: str
    check: str
    allowed: bool
    category: str | None = None
    score: float | None = None
    skipped: bool = False


class KeptVerdict(Verdict):
    """A verdict as it is remembered. run: None where the words of a request were refused, and no run came of it.

    policy: by the digest. text: the words that were refused, where the policy keeps them.
    """

    id: int
    run: str | None
    owner: str
    policy: str
    text: str | None = None
    created: datetime


class ImageScreen(Protocol):
    """Judges what a run reads, where only the run itself knows how to read it; raises Refused or Unable."""

    @property
    def sees_pictures(self) -> bool:
        """Whether the policy has checks of pictures that a request brings."""
        ...

    def admit_picture(self, picture: Any, sha256: str) -> None:
        """Judge a picture (RGB). sha256: of its file."""
        ...

    def admit_captions(self, captions: Iterable[str]) -> None:
        """Judge captions, each text once."""
        ...


class RequestRefused(LimnerError):
    """A check refuses something; category says why, and not by which word."""

    def __init__(self, what: str, category: str) -> None:
        self.category = category
        super().__init__(f"{what}: {category}", "ask for something else")


class Unable(LimnerError):
    """A check that is required cannot judge, so what it should judge is refused."""

    def __init__(self, check: str) -> None:
        super().__init__(f"the check {check!r} is required and cannot judge now", "try again later")
