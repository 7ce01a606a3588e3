"""Values that are divided by a statistic that may be zero stay finite."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from limner.models.guidance import projected
from limner.models.objectives import PREDICTION_TYPES
from limner.plugins.metrics.frequency import fine_share


def test_guidance_of_a_prediction_of_zeros():
    update = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    prompted = torch.stack([torch.zeros(4, 8, 8), update[1] * 0.5])
    found = projected(prompted - update, prompted, 3.0, update)
    assert found.isfinite().all()
    radius = 15.0 * (4 * 8 * 8 / (4 * 128 * 128)) ** 0.5
    shortened = update[0] * min(1.0, radius / float(update[0].norm()))
    assert torch.allclose(found[0], 2.0 * shortened, atol=1e-5), "zeros have no direction to project away"
    assert torch.allclose(found[1], prompted[1], atol=1e-5), "all of this update lies along the prediction"
    none = projected(prompted, prompted, 3.0, torch.zeros_like(update))
    assert torch.equal(none, prompted)


@pytest.mark.parametrize("gamma", [0.5, 5.0])
def test_min_snr_weights_where_the_terminal_snr_is_zero(gamma):
    snr = torch.tensor([0.0, 1e-30, 0.4, 5.0, 40.0, 1e6])
    known = {"epsilon": [1.0, 1.0], "v_prediction": [0.0, 1e-30]}
    known["epsilon"] += [min(value, gamma) / value for value in snr.tolist()[2:]]
    known["v_prediction"] += [min(value, gamma) / (value + 1) for value in snr.tolist()[2:]]
    for kind, weights in known.items():
        objective = PREDICTION_TYPES[kind](None, None)
        assert objective.min_snr_weight(snr, gamma).tolist() == pytest.approx(weights, rel=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 2), (2, 9), (3, 3)])
def test_fine_detail_of_an_image_of_a_few_pixels(shape):
    luma = np.random.default_rng(0).uniform(0, 255, shape)
    assert 0 <= fine_share(luma) <= 100
