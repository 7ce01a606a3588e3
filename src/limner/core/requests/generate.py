"""Request to generate images, and the settings that it shares with a sweep."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from limner.core.requests.request import (
    MODEL,
    QUANTISE,
    VAE,
    Choices,
    Flag,
    Heading,
    Label,
    Name,
    Precision,
    Prompt,
    Quantise,
    Refers,
    Request,
    Trait,
    digest_of,
    fields_with,
)
from limner.core.requests.uses import AdapterUse, ControlUse, Interval

GuidanceMethod = Literal["cfg", "apg"]


class GenerationSettings(Request):
    """How images are generated, whatever the prompt."""

    negative_prompt: Annotated[Prompt, Label("What to avoid"), Trait.BATCHED, Heading.BASICS] = Field(
        default="", description="What the image should not show."
    )
    model: Annotated[
        Name, Refers("model"), Label("Base model"), Trait.COMPARED_BY_HASH, Heading.BASICS, Choices("models")
    ] = Field(default="starter", description=MODEL)
    vae: Annotated[Name | None, Refers("model"), Trait.COMPARED_BY_HASH, Heading.MODEL] = Field(
        default=None, description=VAE
    )
    adapter: Annotated[tuple[AdapterUse, ...], Label("Subjects and styles"), Trait.COMPARED_BY_HASH, Heading.BASICS] = (
        Field(default=(), max_length=32, description="Adapter to use, as PATH or PATH:WEIGHT; may be repeated.")
    )
    image: Annotated[Name | None, Refers("picture"), Label("Image to start from"), Heading.IMAGE] = Field(
        default=None, description="Image to start from (image to image)."
    )
    strength: Annotated[float | None, Label("How much may change")] = Field(
        default=None,
        gt=0,
        le=1,
        description="How far the result may differ from `image`, up to 1 (default: 0.6, or 1 with a mask).",
    )
    mask: Annotated[Name | None, Refers("picture"), Label("Area to repaint")] = Field(
        default=None, description="Mask of the size of `image`; its white areas are generated again (inpainting)."
    )
    control: Annotated[tuple[ControlUse, ...], Heading.CONTROL] = Field(
        default=(),
        max_length=16,
        description="Image to take the structure from by ControlNet, as KIND=IMAGE or KIND=IMAGE:WEIGHT; may be "
        "repeated. Kinds: canny, depth, given.",
    )
    control_model: Annotated[tuple[Name, ...], Refers("model")] = Field(
        default=(),
        max_length=16,
        description="ControlNet for each `control`, in the same order (default: one that suits the model).",
    )
    hires: Annotated[float | None, Label("Enlarge"), Heading.SECOND_PASS] = Field(
        default=None, gt=1, le=4, description="Enlarge each image this many times and add detail in a second pass."
    )
    hires_strength: float | None = Field(
        default=None, gt=0, le=1, description="Strength of that second pass (default: 0.4)."
    )
    refiner: Annotated[Name | None, Refers("model")] = Field(
        default=None,
        description="Model that adds detail to each image, such as stabilityai/stable-diffusion-xl-refiner-1.0; a "
        "folder or a Hugging Face id.",
    )
    refiner_strength: float | None = Field(
        default=None, gt=0, le=1, description="Strength of the refiner (default: 0.3)."
    )
    seed: Annotated[int, Label("Variation number"), Trait.BATCHED, Trait.IMAGE_NUMBER, Heading.BASICS] = Field(
        default=42, ge=0, lt=2**63, description="Seed of the first image."
    )
    steps: Annotated[int | None, Label("Care taken"), Heading.BASICS] = Field(
        default=None, ge=1, le=1000, description="Denoising steps (default: the model's own)."
    )
    guidance: Annotated[float | None, Label("How closely to follow the prompt"), Heading.BASICS] = Field(
        default=None,
        ge=0,
        le=100,
        description="Guidance scale: how closely the prompt is followed (default: the model's own).",
    )
    guidance_rescale: Annotated[float | None, Trait.MODEL_DEFAULT, Heading.SAMPLING] = Field(
        default=None,
        ge=0,
        le=1,
        description="How much of the oversaturation by high guidance is removed, from 0 to 1 (default: the model's "
        "own).",
    )
    guidance_method: GuidanceMethod = Field(
        default="cfg",
        description="Guidance method: cfg (classifier-free), or apg (adaptive projected), which oversaturates less.",
    )
    guidance_interval: Interval | None = Field(
        default=None,
        description="Part of the denoising steps in which guidance is used, such as 0.2-0.8 (default: all).",
    )
    scheduler: Annotated[Name | None, Choices("schedulers")] = Field(
        default=None, description="Scheduler by name (default: the model's own)."
    )
    width: Annotated[int | None, Trait.MODEL_DEFAULT, Heading.BASICS] = Field(
        default=None, ge=8, le=8192, description="Width in pixels (default: the model's own)."
    )
    height: Annotated[int | None, Trait.MODEL_DEFAULT, Heading.BASICS] = Field(
        default=None, ge=8, le=8192, description="Height in pixels (default: the model's own)."
    )
    batch: Annotated[int, Trait.NOT_VARIED, Heading.MEMORY] = Field(
        default=8, ge=1, le=256, description="Maximum number of images in one batch."
    )
    tiled: bool = Field(default=False, description="Encode and decode images in tiles, to save memory.")
    quantise: Quantise | None = Field(default=None, description=QUANTISE)
    precision: Annotated[Precision, Trait.NOT_VARIED] = Field(
        default="auto", description="Precision of the computation: auto, fp32, bf16 or fp16."
    )

    @property
    def may_quantise(self) -> bool:
        return self.quantise is not None

    @property
    def may_adapt(self) -> bool:
        return bool(self.adapter)

    @property
    def pixels(self) -> float:
        width, height = self.width or self.height or 0, self.height or self.width or 0
        return width * height * (self.hires or 1) ** 2

    @model_validator(mode="after")
    def _consistent(self) -> GenerationSettings:
        for name in ("strength", "mask"):
            if self.image is None and (value := getattr(self, name)) is not None:
                raise ValueError(f"{name} ({value}) is given without an image; give --image, or leave it out")
        for name, needs in (("hires_strength", "hires"), ("refiner_strength", "refiner")):
            if getattr(self, needs) is None and (value := getattr(self, name)) is not None:
                raise ValueError(f"{name} ({value}) is given without {needs}; give that, or leave it out")
        if self.guidance_method != "cfg" and self.guidance_rescale:
            problem = f"guidance_rescale ({self.guidance_rescale:g}) has no effect with {self.guidance_method}"
            raise ValueError(f"{problem}; leave one of them out")
        if self.control_model and len(self.control_model) != len(self.control):
            counts = f"{len(self.control_model)} control models for {len(self.control)} controls"
            raise ValueError(f"there are {counts}; give one for each, or none")
        return self


class GenerateRequest(GenerationSettings):
    """Generate images from a prompt, or from a prompt and an image."""

    kind: Annotated[Literal["generate"], Flag(hidden=True), Trait.NOT_VARIED] = "generate"
    prompt: Annotated[Prompt, Flag(positional=True), Label("What to show"), Trait.BATCHED] = Field(
        description="What to generate."
    )
    count: Annotated[int, Label("How many"), Trait.BATCHED, Trait.IMAGE_NUMBER, Trait.NOT_VARIED, Heading.BASICS] = (
        Field(default=1, ge=1, le=10_000, description="Number of images, with consecutive seeds.")
    )

    @property
    def shares_folder(self) -> bool:
        return True  # its images are numbered, and no number is used twice

    @property
    def keeps_previews(self) -> bool:
        return False  # the images follow

    @property
    def texts(self) -> tuple[str, ...]:
        """Without the negative prompt: it names what the image should not show, often the worst things."""
        return (self.prompt,)

    @property
    def image_count(self) -> int:
        return self.count

    @property
    def batch_key(self) -> str | None:
        """The same for requests without input images whose settings are the same.

        Whether there is a negative prompt counts too, because some models work differently without one.
        """
        if self.image or self.control or self.hires or self.refiner:
            return None
        shared = self.model_dump(mode="json", exclude={*fields_with(type(self), Trait.BATCHED)})
        return digest_of(shared | {"negative": bool(self.negative_prompt)})

    @field_validator("prompt")
    @classmethod
    def _not_blank(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("the prompt is empty; say what to generate")
        return value
