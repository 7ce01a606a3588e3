"""The error per group: the pictures of a group that an encoder would take for those of another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from limner.core.metrics import Encoder
from limner.core.requests.evaluate import MISTAKEN
from limner.models.features import cosines
from limner.stats.group_fairness import Fairness, fairness
from limner.stats.intervals import wilson

ALIKE = 1 - 1e-6
"""Texts of at least this cosine are one to an encoder."""


@dataclass(frozen=True, slots=True)
class Mistaken:
    """Shares of pictures that an encoder takes for those of another group.

    encoder: who judged. share, low, high: of all pictures, with Wilson's 95% interval. groups: the same of each group,
    with the gap between them. taken: how many pictures of each group are taken for each other one.
    """

    encoder: str
    share: float
    low: float
    high: float
    groups: Fairness
    taken: Mapping[str, Mapping[str, int]]

    @property
    def by_guessing(self) -> float:
        """The share of an encoder that guesses."""
        return 1 - 1 / len(self.taken)

    def mostly(self, group: str) -> str | None:
        """The group that pictures of this one are most often taken for, None where they never are."""
        others = self.taken[group]
        return max(others, key=lambda name: others[name]) if any(others.values()) else None


def mistaken(encoder: Encoder, pictures: Mapping[str, Sequence[Path]], texts: Mapping[str, Sequence[str]]) -> Mistaken:
    """A picture is mistaken where the text of its prompt with another group in it is nearer than that with its own.

    pictures: of each group, n. texts: for each group the prompts of these n with that group in its place.
    """
    names = list(pictures)
    read = _read(encoder, texts)
    taken: dict[str, dict[str, int]] = {}
    wrong: dict[str, list[float]] = {}
    for own, name in enumerate(names):
        with torch.inference_mode():
            seen = encoder.images(pictures[name])
        near = np.einsum("nd,gnd->ng", seen.double().cpu().numpy(), read)
        others = np.where(np.arange(len(names)) == own, -np.inf, near)
        lost = others.max(1) > near[:, own]
        nearest = others.argmax(1)[lost]
        taken[name] = {other: int((nearest == place).sum()) for place, other in enumerate(names) if other != name}
        wrong[name] = lost.astype(float).tolist()
    parted = fairness(MISTAKEN, wrong, "lower", paired=True)
    groups = tuple(
        replace(group, low=low, high=high)
        for group in parted.groups
        for _, low, high in [wilson(int(sum(wrong[group.value])), group.count)]
    )
    hits = int(sum(map(sum, wrong.values())))
    return Mistaken(encoder.name, *wilson(hits, sum(map(len, wrong.values()))), replace(parted, groups=groups), taken)


def read_alike(encoder: Encoder, texts: Mapping[str, Sequence[str]]) -> tuple[str, str] | None:
    """Two texts that differ in the group only and are one to the encoder, which cut them off or knows no difference."""
    read, names = _read(encoder, texts), list(texts)
    for case in range(read.shape[1]):
        rows = torch.from_numpy(read[:, case])
        same = np.triu(cosines(rows, rows) >= ALIKE, 1)
        if same.any():
            one, other = np.argwhere(same)[0]
            return texts[names[one]][case], texts[names[other]][case]
    return None


def _read(encoder: Encoder, texts: Mapping[str, Sequence[str]]) -> np.ndarray:
    """What the encoder makes of n texts of each group, each text read once: (groups, n, d) in fp64."""
    every = list(dict.fromkeys(text for those in texts.values() for text in those))
    with torch.inference_mode():
        told = dict(zip(every, encoder.texts(every).double().cpu().numpy(), strict=True))
    return np.stack([np.stack([told[text] for text in those]) for those in texts.values()])
