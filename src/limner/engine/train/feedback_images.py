"""Judged images, encoded once, and the initial noise of those that Limner generated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from limner.core.errors import LimnerError
from limner.core.preferences import JudgedImage
from limner.core.protocols import Components, Family
from limner.data.sets.folder import ImageFile
from limner.data.sets.pixels import CroppedFiles, Shape
from limner.engine.train.batches import generator_for
from limner.engine.train.examples import Examples, encode, encode_captions
from limner.imaging.decode import open_image
from limner.models.devices import DTYPES, pick_dtype
from limner.provenance.labels import read_label


@dataclass(frozen=True)
class InitialNoise:
    """The noise that an image was generated from. dtype: number format that it was drawn in."""

    seed: int
    dtype: torch.dtype

    def draw(self, size: torch.Size) -> torch.Tensor:
        """The noise as fp32, for latents of a size (c, h, w); the same numbers as diffusers' pipelines draw."""
        generator = torch.Generator("cpu").manual_seed(self.seed)
        return torch.randn((1, *size), generator=generator, dtype=self.dtype)[0].float()


@dataclass(frozen=True)
class FeedbackImages:
    """Encoded judged images of one size. places: index of an image by its hash and its prompt. noise: the initial noise
    of each image; None where it is not known.
    """

    examples: Examples
    places: dict[tuple[str, str], int]
    noise: tuple[InitialNoise | None, ...]

    def place(self, image: JudgedImage) -> int:
        """The index of an image."""
        return self.places[image.sha256, image.prompt]


class FeedbackEncoder:
    """Encodes judged images with a model's own encoders, each with its prompt as its caption.

    shape_of: in another shape than its own, an image is cropped. Everything random depends on the seed only.
    """

    def __init__(self, family: Family, components: Components, seed: int) -> None:
        self.family, self.components = family, components
        self.rng = generator_for(seed, "posterior", 0)

    def encode(self, images: Iterable[tuple[JudgedImage, Shape]]) -> dict[Shape, FeedbackImages]:
        """Encode images in the shapes (width, height) that are given with them; each one once."""
        wanted: dict[Shape, dict[tuple[str, str], JudgedImage]] = {}
        for image, shape in images:
            wanted.setdefault(shape, {})[image.sha256, image.prompt] = image
        return {shape: self._encode(shape, wanted[shape]) for shape in sorted(wanted)}

    def _encode(self, shape: Shape, wanted: dict[tuple[str, str], JudgedImage]) -> FeedbackImages:
        keys = sorted(wanted)  # feedback in another order is encoded alike
        images = [wanted[key] for key in keys]
        cropped = CroppedFiles([file_of(image) for image in images], shape)
        prompts = [image.prompt for image in images]
        examples = encode(self.family, self.components, cropped, prompts, False, self.rng)
        noise = tuple(self._noise(image, shape) for image in images)
        return FeedbackImages(examples, {key: index for index, key in enumerate(keys)}, noise)

    def recaptioned(self, examples: Examples, captions: Sequence[str]) -> Examples:
        """Encoded images with other captions in place of theirs, in the same order."""
        text = encode_captions(self.family, self.components, captions)
        return replace(examples, captions=tuple(captions), text=text)

    def _noise(self, image: JudgedImage, shape: Shape) -> InitialNoise | None:
        """The initial noise of an image; None where it is not known, or was of another shape."""
        if image.seed is None or (image.width, image.height) != shape:
            return None
        fixed = self.family.facts.noise_precision
        dtype = DTYPES[fixed] if fixed else precision_of(image, self.components.device)
        return InitialNoise(image.seed, dtype)


def file_of(image: JudgedImage) -> ImageFile:
    """The file of a judged image, with its actual size; LimnerError if it cannot be read."""
    path = Path(image.location)
    return ImageFile(path, image.sha256, open_image(path).size)


def precision_of(image: JudgedImage, device: torch.device) -> torch.dtype:
    """The number format that an image was generated in: the one in its label, by default the device's."""
    try:
        label = read_label(image.location)
    except LimnerError:
        label = None
    precision = getattr(label.request, "precision", "auto") if label else "auto"
    return DTYPES[precision] if precision in DTYPES else pick_dtype("auto", device)


def own_noise(images: FeedbackImages, groups: Sequence[Sequence[int]], noise: torch.Tensor) -> list[torch.Tensor]:
    """Noise for each group of images, (n, c, h, w): in each row, the images' own where it is known of all of them.

    groups: indices of images, n in each. noise: (n, c, h, w), used for all images of the other rows.
    """
    found = [noise.clone() for _ in groups]
    for row, places in enumerate(zip(*groups, strict=True)):
        own = [images.noise[place] for place in places]
        if all(own):
            for rows, each in zip(found, own, strict=True):
                if each is not None:
                    rows[row] = each.draw(images.examples.size)
    return found
