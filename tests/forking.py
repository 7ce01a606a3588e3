"""Processes that are forked from this one, which has imported all that they need."""

from __future__ import annotations

import multiprocessing
import warnings
from collections.abc import Callable
from multiprocessing.context import ForkProcess

from limner.studio import Studio


def forked(studio: Studio, act: Callable[[], object]) -> ForkProcess:
    """A process that does `act` and ends.

    studio: its database is closed here first, since no connection may be open in two processes.
    """
    studio.store.close()
    process = multiprocessing.get_context("fork").Process(target=act)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns where other threads run
        process.start()
    return process
