"""Vectors of texts by meaning, from an encoder that needs no download."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ENCODER, DIMENSIONS = "wordllama", 256
LONGEST = 2000
"""Characters of a text that count; vectors of words are averaged, so that more say little."""


def text_vectors(texts: Sequence[str]) -> NDArray[np.float32]:
    """Unit vectors (n, DIMENSIONS) of texts."""
    if not texts:
        return np.empty((0, DIMENSIONS), np.float32)
    clean = [text[:LONGEST].encode("utf-8", "replace").decode("utf-8") for text in texts]
    return np.asarray(_encoder().embed(clean, norm=True), np.float32)


@cache
def _encoder() -> Any:
    import wordllama

    logging.getLogger("wordllama").setLevel(logging.ERROR)
    folder = Path(wordllama.__file__).parent  # its files are here, where version 0.4 does not look for the tokenizer
    return wordllama.WordLlama.load(cache_dir=folder, disable_download=True)
