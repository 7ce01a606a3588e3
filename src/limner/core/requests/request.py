"""What every request is made of: a frozen model, and the fields that several requests share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast
from unicodedata import category

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo


@dataclass(frozen=True, slots=True)
class Flag:
    """How a field is spelt on a command line, where that differs from `--field-name`.

    overrules: fields of a recipe that make no sense beside a value that was typed for this one, and go.
    """

    name: str | None = None
    positional: bool = False
    hidden: bool = False
    overrules: tuple[str, ...] = ()


Kind = Literal["picture", "pictures", "table", "weights", "model"]


@dataclass(frozen=True, slots=True)
class Refers:
    """What a field names outside of its request: a picture, a folder of pictures, a table about them, a file of
    weights, or a model or a part of one. Its value is a text, None, or several of them.
    """

    to: Kind


Device = Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Name = Annotated[str, Field(min_length=1, max_length=4096)]


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    if not line or any(category(char) in ("Cc", "Cs") for char in line):
        raise ValueError(f"{text[:80]!r} is no word or words")
    return line


Word = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_one_line)]
"""What stands in captions and prompts: on one line, white space made single, without control characters."""
LONGEST = 20_000
"""Characters of a prompt at most."""
Prompt = Annotated[str, Field(max_length=LONGEST)]
MODEL = "The base model: an alias (see `limner models`), a folder, a .safetensors file, or a Hugging Face id."
VAE = "Autoencoder in place of the model's own: a folder, a .safetensors file, or a Hugging Face id."
SUBJECT = "{}"
"""Stands for the subject in a prompt."""
Quantise = Literal["nf4", "int8"]
QUANTISE = "Round the largest networks' weights: nf4 to 4 bits by bitsandbytes, int8 to 8 by torchao (default: off)."
Memory = Literal["low", "balanced", "high"]
MEMORY = (
    "How much GPU memory there is: high keeps all networks there, balanced only the one at work, and low rounds its "
    "weights to 4 bits besides, and decodes in tiles."
)


class Frozen(BaseModel):
    """Immutable, no unknown keys, finite numbers, and the same after a JSON round trip."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Request(Frozen):
    """Anything that `Studio.submit` takes. Each has a literal `kind`, which tells requests apart in JSON."""

    @property
    def words(self) -> tuple[str, ...]:
        """What it says of what shall be seen, each text once."""
        return ()

    @property
    def name(self) -> str:
        """A folder's name for its results."""
        return "pictures"

    @property
    def shares_folder(self) -> bool:
        """Whether its results may go where another run puts its own at the same time."""
        return False

    @property
    def about(self) -> str:
        """What a list of runs says of it."""
        return "; ".join(self.words)

    @property
    def pictures(self) -> int:
        """How many pictures it asks for."""
        return 0

    @property
    def pixels(self) -> float:
        """How many pixels a picture of it has, as far as it says so."""
        return 0

    @property
    def looked_up(self) -> tuple[str, ...]:
        """Fields that are left open, and for which an adapter's own word of this machine's files is taken."""
        return ()

    @property
    def digest(self) -> str:
        """SHA-256 of the request's canonical JSON."""
        return digest_of(self.model_dump(mode="json"))

    @property
    def batch_key(self) -> str | None:
        """Requests of the same key can be carried out together; None where this one is carried out alone."""
        return None


def refers(field: FieldInfo) -> Kind | None:
    """What a field names outside of its request."""
    return next((item.to for item in field.metadata if isinstance(item, Refers)), None)


def referred(request: Frozen) -> Iterator[tuple[Kind, str]]:
    """All that a request names outside of it, with what each is."""
    for name, field in type(request).model_fields.items():
        value = getattr(request, name)
        kind = refers(field)
        parts = cast(tuple[Any, ...], value) if isinstance(value, tuple) else (value,)
        for part in parts:
            if isinstance(part, Frozen):
                yield from referred(part)
            elif kind is not None and part is not None:
                yield kind, part


def digest_of(value: Any) -> str:
    """SHA-256 of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
