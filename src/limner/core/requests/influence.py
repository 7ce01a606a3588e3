"""A wish to know which training pictures made a picture."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from limner.core.requests.request import Flag, Name, Precision, Prompt, Refers, Request


class InfluenceRequest(Request):
    """Tell which training pictures made pictures, and which of them do harm or nothing (TRAK, D-TRAK)."""

    kind: Annotated[Literal["influence"], Flag(hidden=True)] = "influence"
    picture: Annotated[tuple[Name, ...], Flag(positional=True), Refers("picture")] = Field(
        default=(),
        max_length=1000,
        description="Pictures to explain; with none, only the training pictures are judged.",
    )
    adapter: Annotated[Name, Refers("weights")] = Field(description="Folder or .safetensors file of the adapter.")
    model: Annotated[Name | None, Refers("model")] = Field(
        default=None, description="The base model (default: the one that the adapter names)."
    )
    vae: Annotated[Name | None, Refers("model")] = Field(
        default=None,
        description="Autoencoder in place of the model's own (default: that of the adapter, where no model is given).",
    )
    data: Annotated[Name | None, Refers("pictures")] = Field(
        default=None, description="Folder of the training pictures (default: the one that the adapter names)."
    )
    prompt: Prompt | None = Field(default=None, description="Prompt of those pictures that do not tell theirs.")
    output: Literal["square", "loss"] = Field(
        default="loss",
        description="Whose gradients are compared: loss (TRAK) or square (the prediction's square, D-TRAK).",
    )
    timesteps: int = Field(default=10, ge=1, le=1000, description="Time steps that gradients are averaged over.")
    dimension: int = Field(
        default=16384, ge=16, le=2**24, description="Numbers that a gradient is projected to, where it has more."
    )
    ridge: float = Field(
        default=0.1, gt=0, le=1e6, description="Ridge of the kernel, in parts of its mean diagonal (lambda)."
    )
    seed: int = Field(default=42, ge=0, lt=2**63, description="Seed of noise and projection.")
    precision: Precision = Field(default="auto", description="auto, fp32, bf16 or fp16.")

    @property
    def words(self) -> tuple[str, ...]:
        return (self.prompt,) if self.prompt and self.prompt.strip() else ()

    @property
    def about(self) -> str:
        return f"{self.adapter}: {', '.join(self.picture) or 'its training pictures'}"

    @property
    def looked_up(self) -> tuple[str, ...]:
        return tuple(name for name in ("model", "data") if getattr(self, name) is None)
