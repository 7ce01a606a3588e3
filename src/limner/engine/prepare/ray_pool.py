"""A crew of processes that Ray starts, on this machine or on a cluster."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from typing import Any

from limner.core.errors import LimnerError
from limner.engine.prepare.pool import Answer, Dead, each


class RayCrew:
    """As many tasks at a time as there are workers. Where RAY_ADDRESS names a cluster, it is used; the staging folder
    must then be on a disk that all its machines share.
    """

    def __init__(self, workers: int) -> None:
        try:
            import ray
        except ImportError as error:
            raise LimnerError("Ray is not installed", "pip install 'limner[ray]', or --executor processes") from error
        self.ray = ray
        self.begun = not ray.is_initialized()
        if self.begun:
            cores = None if _on_a_cluster() else workers
            ray.init(num_cpus=cores, log_to_driver=False, include_dashboard=False, logging_level=logging.ERROR)
        self._task = ray.remote(max_retries=0)(each)

    def submit(self, work: Callable[[Any], Any], items: Sequence[Any]) -> Answer:
        return _Remote(self.ray, self._task.remote(work, items))

    def renew(self) -> None:
        """Ray begins a new process for one that died by itself."""

    def __enter__(self) -> RayCrew:
        return self

    def __exit__(self, *error: object) -> None:
        if self.begun:
            self.ray.shutdown()


def _on_a_cluster() -> bool:
    return bool(os.environ.get("RAY_ADDRESS"))


class _Remote:
    def __init__(self, ray: Any, reference: Any) -> None:
        self.ray, self._reference = ray, reference

    def result(self) -> list[Any]:
        try:
            return self.ray.get(self._reference)
        except self.ray.exceptions.WorkerCrashedError as error:
            raise Dead from error
