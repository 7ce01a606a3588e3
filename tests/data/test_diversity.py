"""Distances, clusters and outliers of known features."""

from __future__ import annotations

import numpy as np
import pytest

from limner.core.errors import LimnerError
from limner.data.diversity import diversity
from limner.data.diversity.diversity import (
    MeanDistance,
    clusters,
    mean_distance,
    outlier_scores,
    outliers,
    principal_components,
)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def planted(sizes, spread=0.05, width=32, seed=0):
    rng = np.random.default_rng(seed)
    centres = unit(rng.normal(size=(len(sizes), width)))
    truth = np.repeat(np.arange(len(sizes)), sizes)
    return unit(centres[truth] + spread * rng.normal(size=(len(truth), width))).astype(np.float32), truth


def test_the_mean_distance_is_that_of_all_pairs(tmp_path):
    features, _ = planted((40, 25))
    upper = np.triu_indices(65, 1)
    truth = float((1 - features.astype(float) @ features.T.astype(float))[upper].mean())
    assert mean_distance(features) == pytest.approx(truth, abs=1e-6)
    spread = MeanDistance()
    for row in features:
        spread.add(row[None])
    assert spread.distance == pytest.approx(truth, abs=1e-6)
    np.save(tmp_path / "kept.npy", features)
    assert mean_distance(np.load(tmp_path / "kept.npy", mmap_mode="r")) == pytest.approx(truth, abs=1e-6)
    assert mean_distance(features[:1]) == 0 == mean_distance(features[:0])
    assert mean_distance(features[[0, 0]]) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("sizes", [(9, 3), (5, 5, 2), (12,), (1, 1, 1)])
def test_planted_clusters_are_found(sizes):
    features, truth = planted(sizes)
    order = np.random.default_rng(1).permutation(len(truth))
    found = clusters(features[order], 0.7)
    assert np.bincount(found).tolist() == sorted(sizes, reverse=True)
    assert len(set(zip(found.tolist(), truth[order].tolist(), strict=True))) == len(sizes)


def test_many_are_clustered_by_a_sample(monkeypatch):
    monkeypatch.setattr(diversity, "WHOLE", 200)
    monkeypatch.setattr(diversity, "CHUNK", 64)
    features, truth = planted((900, 400, 150))
    found = clusters(features, 0.7)
    assert (found == truth).all() and (clusters(features, 0.7) == found).all()


def test_a_stranger_is_an_outlier_and_others_are_not():
    features, _ = planted((30, 1))
    found = outliers(features)
    assert list(found) == [30] and found[30].kind == "outlier" and (found[30].value or 0) > 3
    assert not outliers(features[:30]) and not outliers(features, limit=1e6)
    assert not outliers(np.repeat(features[:1], 20, axis=0)), "all the same"
    assert not outliers(features[-3:]) and not outlier_scores(features[:0]).any()


def test_strangeness_is_the_distance_to_the_five_nearest_in_robust_deviations():
    """1.4826 times the median absolute deviation is the standard deviation of normal numbers."""
    features, _ = planted((12,), spread=0.3)
    cosines = features.astype(float) @ features.T.astype(float)
    near = np.array([np.sort(1 - np.delete(row, at))[:5].mean() for at, row in enumerate(cosines)])
    deviation = 1.4826 * np.median(np.abs(near - np.median(near)))
    assert deviation > diversity.LEAST_SPREAD
    assert outlier_scores(features) == pytest.approx((near - np.median(near)) / deviation, rel=1e-3)
    found = outlier_scores(features)
    assert list(outliers(features, limit=float(np.sort(found)[-2]))) == [int(found.argmax())], "more than the limit"


def test_a_chain_is_no_cluster():
    """Average linkage: neighbours are near, and the ends far from each other."""
    turns = np.arange(20) * 0.1
    features = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    assert clusters(features, 0.3).max() + 1 >= 4
    assert clusters(features[:3], 0.3).max() == 0


def test_among_many_a_stranger_is_found_by_a_sample(monkeypatch):
    monkeypatch.setattr(diversity, "REFERENCES", 100)
    features, _ = planted((1500, 1))
    assert max(outliers(features), key=lambda at: outliers(features)[at].value or 0) == 1500


def test_a_map_has_two_axes_and_is_the_same_again():
    features, truth = planted((20, 20))
    places = principal_components(features)
    assert places.shape == (40, 2) and (principal_components(features) == places).all()
    first, second = places[truth == 0].mean(axis=0), places[truth == 1].mean(axis=0)
    assert np.linalg.norm(first - second) > 5 * places[truth == 0].std(axis=0).max()
    assert principal_components(features[:1]).tolist() == [[0, 0]] and principal_components(features[:0]).shape == (
        0,
        2,
    )
    assert principal_components(features[:2]).shape == (2, 2) and principal_components(features[:5, :1]).shape == (5, 2)


def test_features_without_rows_are_refused():
    with pytest.raises(LimnerError, match="one row for each image"):
        mean_distance(np.zeros(3))
