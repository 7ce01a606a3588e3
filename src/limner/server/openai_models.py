"""A wish for pictures as OpenAI's clients word it. What of it cannot be done here is refused, never ignored."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from limner.server.convert import Format

BY_MODEL = "which here is a matter of the model; leave it out"
SIDE = 8192


Short = Annotated[str, Field(max_length=64)]


def _only(*values: Any, why: str) -> AfterValidator:
    """Refuse, with a reason, all but some of the values that OpenAI knows."""

    def check(value: Any) -> Any:
        if value is not None and value not in values:
            raise ValueError(f"{value!r} is not served: {why}")
        return value

    return AfterValidator(check)


def _a_size(value: str | None) -> str | None:
    if value not in (None, "auto"):
        found = re.fullmatch(r"([0-9]{1,4})x([0-9]{1,4})", value)
        if found is None or not all(8 <= int(side) <= SIDE for side in found.groups()):
            raise ValueError(f"{value!r} is no size; write it as 1024x1024, up to {SIDE} each, or auto")
    return value


class Wish(BaseModel):
    """What both paths take."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"prompt": "a red mug on the beach", "size": "auto"}]}
    )

    prompt: str = Field(min_length=1, max_length=20_000, json_schema_extra={"pattern": r"\S"})
    model: str | None = Field(
        default=None, max_length=200, description="A model of GET /v1/models; OpenAI's names mean the service's own."
    )
    n: int | None = Field(default=None, ge=1, le=10, description="How many pictures.")
    size: Annotated[Short | None, AfterValidator(_a_size)] = Field(
        default=None, description="WIDTHxHEIGHT, or auto for the model's own."
    )
    quality: Annotated[Short | None, _only("auto", "standard", "medium", why=BY_MODEL)] = None
    response_format: Literal["url", "b64_json"] | None = Field(
        default=None, description="Where nothing is said: b64_json for gpt-image names, url for all others."
    )
    output_format: Format | None = None
    output_compression: int | None = Field(default=None, ge=0, le=100, description="Quality of JPEG and WebP.")
    background: Annotated[Short | None, _only("auto", "opaque", why="no model here paints transparency")] = None
    moderation: Annotated[Short | None, _only("auto", why="moderation is not lowered by a wish")] = None
    user: str | None = Field(default=None, max_length=256, description="Kept with the run as a tag.")
    safety_identifier: str | None = Field(default=None, max_length=256, description="Kept with the run as a tag.")
    stream: Annotated[bool | None, _only(False, why="pictures come when they are done; /v1/runs streams events")] = None
    partial_images: Annotated[int | None, _only(0, why="there is no stream of partial pictures")] = None

    @model_validator(mode="after")
    def _said(self) -> Wish:
        if not self.prompt.strip():
            raise ValueError("the prompt is blank; say what to paint")
        if self.output_compression is not None and self.output_format in (None, "png"):
            raise ValueError("output_compression is for jpeg and webp; name one as output_format")
        return self

    @property
    def ours(self) -> str | None:
        """The model of ours that is named; OpenAI's names, and none, leave it to the service."""
        theirs = self.model is None or self.model.startswith(("dall-e-", "gpt-image-", "chatgpt-image-"))
        return None if theirs else self.model

    @property
    def embedded(self) -> bool:
        """Whether the answer holds the pictures themselves."""
        if self.response_format is None:
            return (self.model or "").startswith(("gpt-image-", "chatgpt-image-"))
        return self.response_format == "b64_json"

    def fields(self) -> dict[str, Any]:
        """The fields of a generate request that it says something of."""
        found: dict[str, Any] = {"prompt": self.prompt, "count": self.n or 1}
        if self.size not in (None, "auto"):
            found["width"], found["height"] = map(int, self.size.split("x"))
        return found

    def tags(self) -> dict[str, str]:
        """Whom it is for, as the client calls them."""
        said = {"user": self.user, "safety_identifier": self.safety_identifier}
        return {name: value for name, value in said.items() if value}


class Generation(Wish):
    """A wish for new pictures."""

    style: Annotated[Short | None, _only(why="say in the prompt how it shall look")] = None


class Edit(Wish):
    """A wish for pictures that begin from one."""

    input_fidelity: Annotated[Short | None, _only(why="the service decides how far a picture may change")] = None
