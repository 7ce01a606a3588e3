"""OpenCV, where it is installed."""

from __future__ import annotations

import importlib
from functools import lru_cache
from typing import Any

from limner.core.errors import LimnerError


@lru_cache(maxsize=1)
def opencv() -> Any:
    """The module `cv2`, which takes no threads of its own here: worker processes share the cores."""
    try:
        cv2 = importlib.import_module("cv2")
    except ImportError as error:
        raise LimnerError(
            "pictures cannot be checked without OpenCV", "install it: pip install 'limner[prepare]'"
        ) from error
    cv2.setNumThreads(1)
    return cv2
