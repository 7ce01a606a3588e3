"""Request to find out which training images influenced generated images."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from limner.core.requests.request import Flag, Heading, Name, Precision, Prompt, Refers, Request


class InfluenceRequest(Request):
    """Estimate which training images influenced generated images, and rank them by usefulness (TRAK, D-TRAK)."""

    kind: Annotated[Literal["influence"], Flag(hidden=True)] = "influence"
    picture: Annotated[tuple[Name, ...], Flag(positional=True), Refers("picture")] = Field(
        default=(),
        max_length=1000,
        description="Generated images to explain; without any, only the training images are judged.",
    )
    adapter: Annotated[Name, Refers("weights")] = Field(description="Folder or .safetensors file of the adapter.")
    model: Annotated[Name | None, Refers("model"), Heading.BASICS] = Field(
        default=None, description="Base model (default: the one the adapter was trained on)."
    )
    vae: Annotated[Name | None, Refers("model"), Heading.MODEL] = Field(
        default=None,
        description="Autoencoder in place of the model's own (default: the adapter's, if no model is given).",
    )
    data: Annotated[Name | None, Refers("pictures"), Heading.BASICS] = Field(
        default=None, description="Folder of the training images (default: the one named in the adapter)."
    )
    prompt: Annotated[Prompt | None, Heading.MEASURE] = Field(
        default=None, description="Prompt of the images that have no label."
    )
    output: Literal["square", "loss"] = Field(
        default="loss",
        description="What gradients are taken of: loss (TRAK) or square (the squared prediction, D-TRAK).",
    )
    timesteps: int = Field(
        default=10, ge=1, le=1000, description="Number of timesteps that gradients are averaged over."
    )
    dimension: int = Field(
        default=16384,
        ge=16,
        le=2**24,
        description="Number of dimensions that gradients are projected to, if they have more.",
    )
    ridge: float = Field(
        default=0.1, gt=0, le=1e6, description="Ridge of the kernel, relative to its mean diagonal (lambda)."
    )
    seed: int = Field(default=42, ge=0, lt=2**63, description="Seed of noise and projection.")
    precision: Precision = Field(default="auto", description="Precision of the computation: auto, fp32, bf16 or fp16.")

    @property
    def texts(self) -> tuple[str, ...]:
        return (self.prompt,) if self.prompt and self.prompt.strip() else ()

    @property
    def summary(self) -> str:
        return f"{self.adapter}: {', '.join(self.picture) or 'its training images'}"

    @property
    def unresolved(self) -> tuple[str, ...]:
        return tuple(name for name in ("model", "data") if getattr(self, name) is None)
