"""Copies of what takes long to load, such as the parts of a pipeline."""

from __future__ import annotations

import io
import pickle
from typing import Any

import torch


class Original:
    """A tree of objects that hold tensors. A copy of it takes a fifth of the time of a deepcopy."""

    def __init__(self, tree: Any) -> None:
        file, self._tensors = io.BytesIO(), list[torch.Tensor]()
        pickler = _Pickler(file, self._tensors)
        pickler.dump(tree)
        self._pickled = file.getvalue()

    def copy(self) -> Any:
        """A new tree that shares nothing with the original."""
        return _Unpickler(io.BytesIO(self._pickled), self._tensors).load()


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, tensors: list[torch.Tensor]) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._tensors, self._places = tensors, dict[int, int]()

    def persistent_id(self, obj: Any) -> int | None:
        if not isinstance(obj, torch.Tensor):
            return None
        if id(obj) not in self._places:
            self._places[id(obj)] = len(self._tensors)
            self._tensors.append(obj)
        return self._places[id(obj)]


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, tensors: list[torch.Tensor]) -> None:
        super().__init__(file)
        self._tensors, self._copies = tensors, dict[int, torch.Tensor]()

    def persistent_load(self, pid: int) -> torch.Tensor:
        if pid not in self._copies:
            old = self._tensors[pid]
            new = old.detach().clone()
            if isinstance(old, torch.nn.Parameter):
                new = torch.nn.Parameter(new, old.requires_grad)
            self._copies[pid] = new
        return self._copies[pid]
