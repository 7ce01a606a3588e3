"""OpenCV, an optional dependency."""

from __future__ import annotations

import importlib
from functools import lru_cache
from typing import Any

from limner.core.errors import LimnerError
from limner.core.files import short_line


@lru_cache(maxsize=1)
def opencv() -> Any:
    """The module `cv2`, limited to one thread, because worker processes share the cores.

    Raises LimnerError if OpenCV is not installed.
    """
    try:
        cv2 = importlib.import_module("cv2")
    except ImportError as error:
        raise LimnerError(
            f"OpenCV is missing ({short_line(str(error))})", "install it: pip install 'limner[prepare]'"
        ) from error
    cv2.setNumThreads(1)
    return cv2
