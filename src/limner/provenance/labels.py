"""Labels: the request and settings that every generated PNG contains, so that it can be reproduced.

PNG text keys: `limner`, the label as JSON; `parameters`, the text of A1111 that many tools read; and an XMP packet with
the IPTC digital source type (http://cv.iptc.org/newscodes/digitalsourcetype/).
"""

from __future__ import annotations

import json
import re
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydantic import ConfigDict, Field, ValidationError, field_validator, with_config
from typing_extensions import TypedDict

from limner.core.errors import LimnerError
from limner.core.execution import AnyBody, as_body
from limner.core.files import quoted, read_file, short_line
from limner.core.requests import Frozen, GenerateRequest
from limner.core.value_errors import describe_value_error
from limner.imaging.damage import verified_png_info
from limner.imaging.formats import media_type
from limner.provenance import credentials
from limner.provenance.xmp import SourceType, write_packet

TEXT_CAP = 2**20
"""The longest label that is read, in characters."""

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


@with_config(_STRICT)
class ModelMark(TypedDict):
    """The base model: the user's reference, the hash of its weights if known, and its licence."""

    reference: str
    sha256: Sha256 | None
    licence: str


@with_config(_STRICT)
class AdapterMark(TypedDict):
    """An adapter and its weight."""

    name: str
    path: str
    sha256: Sha256
    weight: float


class Label(Frozen):
    """How an image was generated: the body of its request, the index of the image in it, the seed, and the models.

    inputs: input images with their hashes. together: the size of the batch, if it contained images of other requests:
    the last bits of the pixels depend on it.
    """

    request: AnyBody
    index: int = Field(ge=0)
    seed: int = Field(ge=0, lt=2**64)
    version: str = Field(max_length=200)
    model: ModelMark
    adapters: tuple[AdapterMark, ...] = Field(default=(), max_length=64)
    inputs: dict[str, Sha256] = Field(default_factory=dict, max_length=256)
    together: int | None = Field(default=None, ge=1, le=256)

    @field_validator("request", mode="before")
    @classmethod
    def _with_execution(cls, value: Any) -> Any:
        return as_body(value)


def write_png(
    image: Image.Image,
    path: str | Path,
    label: Label | None = None,
    source: SourceType = "trainedAlgorithmicMedia",
    home: Path | None = None,
) -> None:
    """Write an image to exactly this path, with its label and its source type.

    It is signed last, with the credentials of `home` or the default home. Images drawn by a program are not signed, so
    that the same drawing gives the same file.
    """
    text = PngInfo()
    if label is not None:
        text.add_text("limner", label.model_dump_json())
        if parameters := a1111_parameters(label, image.size):
            text.add_text("parameters", parameters)
    text.add_itxt("XML:com.adobe.xmp", write_packet(source))
    file = BytesIO()
    image.save(file, format="PNG", pnginfo=text)
    data = file.getvalue()
    Path(path).write_bytes(data if source == "algorithmicMedia" else credentials.sign(data, source, home))


def read_label(path: str | Path) -> Label | None:
    """The label of a PNG; None if it has none. Raises LimnerError for a file or label that cannot be read."""
    return parse_label(read_file(path), path)


def parse_label(data: bytes, path: str | Path) -> Label | None:
    """The label in the bytes of a PNG; None if it has none. path: for messages."""
    text = _label_text(data, path)
    if text is None:
        return None
    if len(text) > TEXT_CAP:
        raise label_error(path, f"its label is longer than {TEXT_CAP} characters")
    try:
        return Label.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "label"
        raise label_error(path, f"{where}: {describe_value_error(first)}") from error


def label_error(path: str | Path, reason: str = "") -> LimnerError:
    """The error for an image that cannot be reproduced because its label is missing or cannot be read."""
    because = f" that can be read ({short_line(reason)})" if reason else ""
    remedy = "only images that Limner generated can be reproduced"
    return LimnerError(f"{quoted(path)} carries no Limner request{because}", remedy)


def _label_text(data: bytes, path: str | Path) -> str | None:
    """The text `limner` of a PNG whose checksums are right; no pixel is decoded."""
    try:
        return verified_png_info(data).get("limner")
    except Exception as error:  # a hostile file makes the decoder raise nearly anything
        png = media_type(data) == "image/png"
        raise label_error(path, "the PNG file is damaged or unfinished" if png else "it is not a PNG file") from error


def a1111_parameters(label: Label, size: tuple[int, int] | None = None) -> str:
    """The parameters in the format of A1111, which many tools parse; "" for requests other than generate.

    size: (width, height) of the image, for requests that leave them to the model.
    """
    request = label.request
    if not isinstance(request, GenerateRequest):
        return ""
    loras = [f"<lora:{_alias(mark)}:{_number(mark['weight'])}>" for mark in label.adapters]
    lines = [_clean(" ".join([request.prompt, *loras]))]
    if request.negative_prompt.strip():
        lines.append(f"Negative prompt: {_clean(request.negative_prompt)}")
    values = _a1111_values(label, request, size or (request.width, request.height))
    lines.append(", ".join(f"{key}: {_quoted(value)}" for key, value in values.items() if value is not None))
    return "\n".join(lines)


def _a1111_values(label: Label, request: GenerateRequest, size: tuple[int | None, int | None]) -> dict[str, str | None]:
    """Keys and values of the last line, in A1111's order."""
    sha256 = label.model["sha256"]
    hashes = ", ".join(f"{_alias(mark)}: {mark['sha256'][:12]}" for mark in label.adapters)
    return {
        "Steps": None if request.steps is None else str(request.steps),
        "Sampler": request.scheduler,
        "CFG scale": None if request.guidance is None else _number(request.guidance),
        "Seed": str(label.seed),
        "Size": f"{size[0]}x{size[1]}" if all(size) else None,
        "Model hash": sha256[:10] if sha256 else None,
        "Model": label.model["reference"],
        "Lora hashes": hashes or None,
        "Version": f"limner {label.version}",
    }


def _quoted(value: str) -> str:
    """The value, as JSON if it would break the line or its parsers."""
    plain = value and value == value.strip() and not re.search(r'[,:"\r\n]', value)
    return value if plain else json.dumps(value, ensure_ascii=False)


def _alias(mark: AdapterMark) -> str:
    """The name of an adapter without characters that end `<lora:name:weight>` or split the list of hashes."""
    return re.sub(r"[<>:,\s]+", "_", mark["name"])


def _number(value: float) -> str:
    return repr(value).removesuffix(".0")


def _clean(text: str) -> str:
    """The text without NUL, which ends a PNG text."""
    return text.replace("\0", "")
