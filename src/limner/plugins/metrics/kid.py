"""KID: distance of the images as a whole to the photos as a whole, unbiased for few images."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from limner.core.metrics import Encoder, ImageSet, Need, Score, Unit
from limner.models.features import check_counts, passed_through, torchmetrics_image

if TYPE_CHECKING:
    import torch

MIN_IMAGES = 8
SUBSETS, SUBSET = 100, 1000


class KID:
    """Squared maximum mean discrepancy with a cubic kernel (Bińkowski et al. 2018, arXiv 1801.01401, section 3), by
    torchmetrics: k(x, y) = (x . y + 1)^3 of features of length 1, times 1000.
    """

    title = "KID"
    about = (
        "kernel distance, times 1000, of the features of images and photos, by an image encoder (Bińkowski et al. "
        "2018, with Inception); unbiased, so about 0 or below for images of the same kind"
    )
    better: Literal["higher", "lower"] | None = "lower"
    unit: Unit = "set"
    needs: frozenset[Need] = frozenset({"references"})
    model: str | None = "starter"
    named = False

    def scorer(self, model: str | None, encoder: Callable[[str], Encoder]) -> Score:
        assert model is not None
        distance = torchmetrics_image("kid").KernelInceptionDistance
        opened = encoder(model)

        def score(gallery: ImageSet) -> np.ndarray:
            check_counts("kid", gallery, MIN_IMAGES)
            return np.array(
                [1000 * _distance(distance, opened.images(gallery.paths), opened.images(gallery.references))]
            )

        return score


def _distance(distance: Any, images: torch.Tensor, references: torch.Tensor) -> float:
    """KID of features (n, d) and (m, d). The subsets that torchmetrics draws are the same every time and do not depend
    on the order of the features.
    """
    import torch

    fewest = min(len(images), len(references), SUBSET)
    subsets = 1 if len(images) == len(references) == fewest else SUBSETS
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore", UserWarning)  # that all features are stored, which are few
        torch.manual_seed(0)
        measure = distance(feature=passed_through(images.shape[1]), subsets=subsets, subset_size=fewest, gamma=1.0)
        measure.update(_sorted(references), real=True)
        measure.update(_sorted(images), real=False)
        return float(measure.compute()[0])


def _sorted(features: torch.Tensor) -> torch.Tensor:
    """The rows of features (n, d), sorted by their values, in fp64."""
    import torch

    found = features.double().cpu().numpy()
    return torch.from_numpy(found[np.lexsort(found.T[::-1].round(4))])


plugin = KID()
