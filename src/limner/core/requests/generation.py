"""How pictures are painted: the fields that every request to paint shares."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from limner.core.requests.request import (
    MEMORY,
    MODEL,
    QUANTISE,
    VAE,
    Device,
    Memory,
    Name,
    Precision,
    Prompt,
    Quantise,
    Refers,
    Request,
)
from limner.core.requests.uses import AdapterUse, ControlUse, Interval

GuidanceMethod = Literal["cfg", "apg"]


class GenerationSettings(Request):
    """How pictures are painted, whatever they show."""

    negative_prompt: Prompt = Field(default="", description="What to keep out of the picture.")
    model: Annotated[Name, Refers("model")] = Field(default="starter", description=MODEL)
    vae: Annotated[Name | None, Refers("model")] = Field(default=None, description=VAE)
    adapter: tuple[AdapterUse, ...] = Field(
        default=(), max_length=32, description="Adapter to use, as PATH or PATH:WEIGHT; may be repeated."
    )
    image: Annotated[Name | None, Refers("picture")] = Field(default=None, description="Picture to begin from.")
    strength: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="How far the painting may go from that picture, up to 1 (default: 0.6, with a mask 1).",
    )
    mask: Annotated[Name | None, Refers("picture")] = Field(
        default=None, description="Picture of the image's size: what is white is painted anew."
    )
    control: tuple[ControlUse, ...] = Field(
        default=(),
        max_length=16,
        description="Picture to take the structure from, as KIND=PICTURE or KIND=PICTURE:WEIGHT, by ControlNet; may be "
        "repeated. Kinds: canny, depth, given.",
    )
    control_model: Annotated[tuple[Name, ...], Refers("model")] = Field(
        default=(),
        max_length=16,
        description="ControlNet for each --control, in their order (default: what suits the model).",
    )
    hires: float | None = Field(
        default=None,
        gt=1,
        le=4,
        description="Enlarge each picture so many times, and paint over it once more for the detail.",
    )
    hires_strength: float | None = Field(
        default=None, gt=0, le=1, description="How far that second painting may go (default: 0.4)."
    )
    refiner: Annotated[Name | None, Refers("model")] = Field(
        default=None,
        description="Model that paints over each picture for the detail, such as "
        "stabilityai/stable-diffusion-xl-refiner-1.0; a folder or a Hugging Face id.",
    )
    refiner_strength: float | None = Field(
        default=None, gt=0, le=1, description="How far the refiner may go (default: 0.3)."
    )
    seed: int = Field(default=42, ge=0, lt=2**63, description="Seed of the first picture.")
    steps: int | None = Field(
        default=None, ge=1, le=1000, description="Denoising steps (default: what suits the model)."
    )
    guidance: float | None = Field(
        default=None,
        ge=0,
        le=100,
        description="Guidance scale: how closely the prompt is followed (default: what suits the model).",
    )
    guidance_rescale: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="How far the harsh contrast of a high guidance is taken back (default: what suits the model).",
    )
    guidance_method: GuidanceMethod = Field(
        default="cfg",
        description="How guidance pulls towards the prompt: cfg, or apg, which projects away what only makes colours "
        "harsh.",
    )
    guidance_interval: Interval | None = Field(
        default=None, description="Share of the steps in which guidance acts, such as 0.2-0.8 (default: all of them)."
    )
    scheduler: Name | None = Field(default=None, description="Sampler by name (default: the model's own).")
    width: int | None = Field(default=None, ge=8, le=8192, description="Width in pixels (default: the model's own).")
    height: int | None = Field(default=None, ge=8, le=8192, description="Height in pixels (default: the model's own).")
    batch: int = Field(default=8, ge=1, le=256, description="How many pictures go through the model together.")
    tiled: bool = Field(default=False, description="Encode and decode pictures in tiles, to save memory.")
    memory: Memory = Field(default="high", description=MEMORY)
    quantise: Quantise | None = Field(default=None, description=QUANTISE)
    device: Device = Field(default="auto", description="auto, cpu, cuda, cuda:1 or mps.")
    precision: Precision = Field(default="auto", description="auto, fp32, bf16 or fp16.")

    @property
    def pixels(self) -> float:
        width, height = self.width or self.height or 0, self.height or self.width or 0
        return width * height * (self.hires or 1) ** 2

    @model_validator(mode="after")
    def _with_an_image(self) -> GenerationSettings:
        for name in ("strength", "mask"):
            if self.image is None and (value := getattr(self, name)) is not None:
                raise ValueError(f"{name} ({value}) is given without an image; give --image, or leave it out")
        for name, needs in (("hires_strength", "hires"), ("refiner_strength", "refiner")):
            if getattr(self, needs) is None and (value := getattr(self, name)) is not None:
                raise ValueError(f"{name} ({value}) is given without {needs}; give that, or leave it out")
        if self.guidance_method != "cfg" and self.guidance_rescale:
            told = f"guidance_rescale ({self.guidance_rescale:g}) takes nothing back from {self.guidance_method}"
            raise ValueError(f"{told}; leave one of them out")
        if self.control_model and len(self.control_model) != len(self.control):
            told = f"{len(self.control_model)} control models for {len(self.control)} controls"
            raise ValueError(f"there are {told}; give one for each, or none")
        return self
