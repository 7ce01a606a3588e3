"""Whether paired differences are more than chance: a sign-flip permutation test."""

from __future__ import annotations

from itertools import product
from math import ceil, log2

import numpy as np

SIGNIFICANCE = 0.05
"""A p-value below this is significant, where it is the only one; of n tests, one below an n-th of this (Bonferroni)."""
EXACT = 12
"""Pairs up to which all patterns of signs are enumerated."""
PATTERNS = 10_000
"""Random patterns of signs for more pairs."""


def pairs_needed(tests: int = 1) -> int:
    """The number of pairs from which on a difference can be significant, if all pairs agree in its direction.

    Of n pairs, one of 2^(n-1) patterns of signs is as one-sided by chance: 6 for a single test.
    """
    return ceil(log2(2 * tests / SIGNIFICANCE))


def sign_flip(differences: np.ndarray) -> np.ndarray:
    """Two-sided p-values (m,) of the means of paired differences (n, m) being zero.

    The share of patterns of signs under which the mean is at least as far from zero (Fisher 1935; Edgington and Onghena
    2007, chapter 6). Exact up to `EXACT` pairs, else by random patterns, of which the observed one is one (Phipson and
    Smyth 2010). NaN is a missing pair.
    """
    known = np.nan_to_num(np.asarray(differences, dtype=np.float64))
    count = len(known)
    if count <= EXACT:
        patterns = np.array(list(product((1.0, -1.0), repeat=count))).reshape(-1, count)
    else:
        patterns = np.random.default_rng(0).choice((1.0, -1.0), size=(PATTERNS, count))
        patterns[0] = 1.0
    observed = np.abs(known.sum(0))
    tolerance = 1e-9 * np.abs(known).sum(0)
    return (np.abs(patterns @ known) >= observed - tolerance).mean(0)
