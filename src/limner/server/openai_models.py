"""Requests and responses of the routes that OpenAI's clients use.

What Limner cannot do is refused. Hints about the result, which no setting of a model here corresponds to, are checked
and named in the notes of the response.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from limner.core.image_sizes import ImageSize, size_fields

ImageFormat = Literal["png", "jpeg", "webp"]
ShortText = Annotated[str, Field(max_length=64)]


_HINTS: dict[str, tuple[tuple[Any, ...], str]] = {
    "quality": ((None, "auto", "standard", "medium"), "the settings of the model decide the quality"),
    "style": ((None,), "describe the style in the prompt"),
    "input_fidelity": ((None,), "the settings of the server decide how much an image may change"),
    "partial_images": ((None, 0), "the stream contains finished images only"),
}
"""Hints: the values that ask for nothing, and why the others are not used."""


def _only(*values: Any, why: str) -> AfterValidator:
    """Return a validator that refuses, with a reason, all but these of OpenAI's values."""

    def check(value: Any) -> Any:
        if value is not None and value not in values:
            raise ValueError(f"{value!r} is not supported: {why}")
        return value

    return AfterValidator(check)


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
    size: ImageSize = None
    quality: Literal["auto", "low", "medium", "high", "standard", "hd"] | None = Field(
        default=None, description="A hint. The settings of the model decide the quality."
    )
    response_format: Literal["url", "b64_json"] | None = Field(
        default=None, description="Default: b64_json for gpt-image models, url for all others."
    )
    output_format: ImageFormat | None = None
    output_compression: int | None = Field(default=None, ge=0, le=100, description="Quality of JPEG and WebP.")
    background: Annotated[ShortText | None, _only("auto", "opaque", why="no model makes transparent images")] = None
    moderation: Annotated[ShortText | None, _only("auto", why="a request cannot lower moderation")] = None
    user: str | None = Field(default=None, max_length=256, description="Stored as a tag of the run.")
    safety_identifier: str | None = Field(default=None, max_length=256, description="Stored as a tag of the run.")
    stream: bool | None = Field(default=None, description="Send the images as server-sent events.")
    partial_images: int | None = Field(
        default=None, ge=0, le=3, description="A hint. The stream contains finished images only."
    )

    @model_validator(mode="after")
    def _check_fields(self) -> ImageRequest:
        if not self.prompt.strip():
            raise ValueError("the prompt is blank; describe the image")
        if self.output_compression is not None and self.output_format in (None, "png"):
            raise ValueError("output_compression is for jpeg and webp; set output_format to one of them")
        return self

    @property
    def own_model(self) -> str | None:
        """The model of this server that is named; None if the server's default is used, as for OpenAI's names."""
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
        return fields | size_fields(self.size)

    @property
    def notes(self) -> list[str]:
        """One line for each hint that the images do not follow."""
        given = {name: getattr(self, name) for name in _HINTS if getattr(self, name, None) not in _HINTS[name][0]}
        return [f"{name} {value!r} is not used: {_HINTS[name][1]}" for name, value in given.items()]

    def tags(self) -> dict[str, str]:
        """Return the tags of the run: the client's identifiers of its user."""
        identifiers = {"user": self.user, "safety_identifier": self.safety_identifier}
        return {name: value for name, value in identifiers.items() if value}


class ImageGenerationRequest(ImageRequest):
    """Request to generate images from a prompt."""

    style: Literal["vivid", "natural"] | None = Field(default=None, description="A hint. The prompt decides the style.")


class ImageEditRequest(ImageRequest):
    """Request to generate images from an image and a prompt."""

    input_fidelity: Literal["high", "low"] | None = Field(
        default=None, description="A hint. The settings of the server decide how much an image may change."
    )


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
    notes: list[str] | None = Field(default=None, description="Parameters of the request that were not used, and why.")


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
