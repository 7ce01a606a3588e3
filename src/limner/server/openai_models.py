"""Requests and responses of the routes that OpenAI's clients use. What Limner cannot do is refused, never ignored."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

ImageFormat = Literal["png", "jpeg", "webp"]
BY_MODEL = "the model decides this here; leave it out"
MAX_SIDE = 8192
ShortText = Annotated[str, Field(max_length=64)]


def _only(*values: Any, why: str) -> AfterValidator:
    """Return a validator that refuses, with a reason, all but these of OpenAI's values."""

    def check(value: Any) -> Any:
        if value is not None and value not in values:
            raise ValueError(f"{value!r} is not supported: {why}")
        return value

    return AfterValidator(check)


def _check_size(value: str | None) -> str | None:
    if value not in (None, "auto"):
        found = re.fullmatch(r"([0-9]{1,4})x([0-9]{1,4})", value)
        if found is None or not all(8 <= int(side) <= MAX_SIDE for side in found.groups()):
            raise ValueError(f"{value!r} is not a size; use auto, or WIDTHxHEIGHT with sides from 8 to {MAX_SIDE}")
    return value


class ImageRequest(BaseModel):
    """Fields of both image routes."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"prompt": "a red mug on the beach", "size": "auto"}]}
    )

    prompt: str = Field(min_length=1, max_length=20_000, json_schema_extra={"pattern": r"\S"})
    model: str | None = Field(
        default=None,
        max_length=200,
        description="A model of GET /v1/models. OpenAI's model names select the server's default.",
    )
    n: int | None = Field(default=None, ge=1, le=10, description="Number of images.")
    size: Annotated[ShortText | None, AfterValidator(_check_size)] = Field(
        default=None, description="WIDTHxHEIGHT, or auto for the model's own size."
    )
    quality: Annotated[ShortText | None, _only("auto", "standard", "medium", why=BY_MODEL)] = None
    response_format: Literal["url", "b64_json"] | None = Field(
        default=None, description="Default: b64_json for gpt-image models, url for all others."
    )
    output_format: ImageFormat | None = None
    output_compression: int | None = Field(default=None, ge=0, le=100, description="Quality of JPEG and WebP.")
    background: Annotated[ShortText | None, _only("auto", "opaque", why="no model makes transparent images")] = None
    moderation: Annotated[ShortText | None, _only("auto", why="a request cannot lower moderation")] = None
    user: str | None = Field(default=None, max_length=256, description="Stored as a tag of the run.")
    safety_identifier: str | None = Field(default=None, max_length=256, description="Stored as a tag of the run.")
    stream: Annotated[bool | None, _only(False, why="use /v1/runs, which streams events")] = None
    partial_images: Annotated[int | None, _only(0, why="partial images are not streamed")] = None

    @model_validator(mode="after")
    def _check_fields(self) -> ImageRequest:
        if not self.prompt.strip():
            raise ValueError("the prompt is blank; describe the image")
        if self.output_compression is not None and self.output_format in (None, "png"):
            raise ValueError("output_compression is for jpeg and webp; set output_format to one of them")
        return self

    @property
    def own_model(self) -> str | None:
        """The model of this server that is named; None where the server's default is used, as for OpenAI's names."""
        openai = self.model is None or self.model.startswith(("dall-e-", "gpt-image-", "chatgpt-image-"))
        return None if openai else self.model

    @property
    def embeds_images(self) -> bool:
        """Whether the response contains the images themselves."""
        if self.response_format is None:
            return (self.model or "").startswith(("gpt-image-", "chatgpt-image-"))
        return self.response_format == "b64_json"

    def generate_fields(self) -> dict[str, Any]:
        """Return the fields of a generate request that it sets."""
        fields: dict[str, Any] = {"prompt": self.prompt, "count": self.n or 1}
        if self.size not in (None, "auto"):
            fields["width"], fields["height"] = map(int, self.size.split("x"))
        return fields

    def tags(self) -> dict[str, str]:
        """Return the tags of the run: the client's identifiers of its user."""
        identifiers = {"user": self.user, "safety_identifier": self.safety_identifier}
        return {name: value for name, value in identifiers.items() if value}


class ImageGenerationRequest(ImageRequest):
    """Request to generate images from a prompt."""

    style: Annotated[ShortText | None, _only(why="describe the style in the prompt")] = None


class ImageEditRequest(ImageRequest):
    """Request to generate images from an image and a prompt."""

    input_fidelity: Annotated[ShortText | None, _only(why="the server decides how much an image may change")] = None


class OpenAIImage(BaseModel):
    """An image: its URL, or its bytes in base64."""

    url: str | None = None
    b64_json: str | None = None


class ImagesResponse(BaseModel):
    """The images that were generated. created: seconds since 1970."""

    created: int
    data: list[OpenAIImage]
    output_format: ImageFormat = "png"
    background: str = "opaque"
    size: str | None = Field(default=None, examples=["1024x1024"])


class ModelReply(BaseModel):
    """A base model that requests may name. created: always 0, as this is not known."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelReply]


class OpenAIError(BaseModel):
    """An error in OpenAI's format."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIErrorReply(BaseModel):
    error: OpenAIError


CLIENT_ERRORS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": OpenAIErrorReply, "description": "An error that the client can correct."}
}
