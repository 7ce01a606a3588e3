"""The denoising error of encoded images, which every lesson compares in its own way."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import reduce

import torch

from limner.core.protocols import DEFAULT_LOSS, Batch, Components, Family, LossOptions, NoiseDraw, Teacher
from limner.engine.train.examples import Examples


@dataclass(frozen=True)
class BatchSelection:
    """Some images of a set: which, in which view, with which caption, and their noise and timesteps."""

    examples: Examples
    indices: list[int]
    views: list[int]
    captions: list[int]
    draw: NoiseDraw | None = None

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, part: slice) -> BatchSelection:
        assert self.draw is not None
        draw = NoiseDraw(self.draw.noise[part], self.draw.timesteps[part])
        return BatchSelection(self.examples, self.indices[part], self.views[part], self.captions[part], draw)


@dataclass(frozen=True)
class Denoising:
    """The denoising error of images by a model as it is now.

    options: how noise is drawn and errors are weighted. autocast: the number format of the forward pass; None for the
    weights' own. trains_text: whether text encoders are trained, so that captions are encoded at every call.
    """

    family: Family
    components: Components
    options: LossOptions = DEFAULT_LOSS
    autocast: torch.dtype | None = None
    trains_text: bool = False

    @property
    def timesteps(self) -> int:
        """Number of timesteps of the noise schedule."""
        return self.family.objective(self.components).timesteps

    def draw(self, examples: Examples, count: int, rng: torch.Generator) -> NoiseDraw:
        """Noise and timesteps for so many images of a set."""
        shape = torch.Size((count, *examples.size))
        return self.family.objective(self.components).draw(shape, rng, self.options)

    def errors(self, groups: Sequence[BatchSelection], teacher: Teacher | None = None) -> torch.Tensor:
        """The error of each image, (n,), of groups that go through the model together. teacher: as `Objective.loss`."""
        draws = [group.draw for group in groups if group.draw is not None]
        draw = NoiseDraw(torch.cat([each.noise for each in draws]), torch.cat([each.timesteps for each in draws]))
        with self._amp():
            batch = reduce(joined, map(self._batch, groups))
            return self.family.objective(self.components).loss(batch, draw, self.options, teacher)

    def _amp(self) -> AbstractContextManager[object]:
        kind = self.components.device.type
        return nullcontext() if self.autocast is None else torch.autocast(kind, self.autocast)

    def _batch(self, picks: BatchSelection) -> Batch:
        return picks.examples.batch(picks.indices, picks.views, self.text(picks))

    def text(self, picks: BatchSelection) -> dict[str, torch.Tensor]:
        """The captions of images as they were encoded, or, where text encoders are trained, as they encode them now."""
        examples, rows = picks.examples, picks.captions
        if not self.trains_text:
            return examples.text_of(rows)
        known = sorted(set(rows))
        text = self.family.encode_text(self.components, [examples.captions[row] for row in known])
        return {name: value[[known.index(row) for row in rows]] for name, value in text.items()}


def alike(groups: Sequence[BatchSelection]) -> bool:
    """Whether the images of all groups have one size."""
    return len({group.examples.size for group in groups}) == 1


def joined(one: Batch, other: Batch) -> Batch:
    """Two batches as one; where only one has masks, the other's images count everywhere."""
    text = {name: torch.cat([value, other.text[name]]) for name, value in one.text.items()}
    frames = None if one.frames is None or other.frames is None else torch.cat([one.frames, other.frames])
    masks = None
    if one.mask is not None or other.mask is not None:
        masks = torch.cat([_mask(one), _mask(other)])
    return Batch(torch.cat([one.latents, other.latents]), text, frames, masks)


def _mask(batch: Batch) -> torch.Tensor:
    count, _, height, width = batch.latents.shape
    return batch.latents.new_ones(count, 1, height, width) if batch.mask is None else batch.mask
