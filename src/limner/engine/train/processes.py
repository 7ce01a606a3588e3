"""Several processes that train together, as `accelerate launch` starts them: each takes its share of every batch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from limner.core.workspace import Workspace


@dataclass(frozen=True)
class ProcessGroup:
    """This process, number `index` of `count`. Number 0 is the main one, which alone tells and writes."""

    index: int = 0
    count: int = 1

    @classmethod
    def joined(cls, device: torch.device) -> ProcessGroup:
        """Wait for the others that were launched with this one, where there are any."""
        if int(os.environ.get("WORLD_SIZE", "1")) < 2:
            return cls()
        from accelerate import PartialState

        # the others wait for as long as the main process paints class pictures
        state = PartialState(cpu=device.type == "cpu", timeout=timedelta(days=1))
        return cls(state.process_index, state.num_processes)

    @property
    def main(self) -> bool:
        return self.index == 0

    def shared(self, workspace: Workspace) -> Workspace:
        """The main process's folders, for all."""
        told = self._told((str(workspace.folder), str(workspace.out), str(workspace.cache), workspace.resume))
        folder, out, cache, resume = told
        return replace(workspace, folder=Path(folder), out=Path(out), cache=Path(cache), resume=resume)

    def _told(self, value: Any) -> Any:
        """The main process's value."""
        if self.count == 1:
            return value
        held = [value]
        dist.broadcast_object_list(held, src=0)
        return held[0]

    def wait(self) -> None:
        """Until all are here."""
        if self.count > 1:
            dist.barrier()

    def agreed(self, wish: bool, device: torch.device) -> bool:
        """Whether any process wishes it."""
        if self.count == 1:
            return wish
        wishes = torch.tensor([int(wish)], device=device)
        dist.all_reduce(wishes)
        return bool(wishes.item())

    def summed(self, tensors: Sequence[torch.Tensor]) -> None:
        """Put the sum over all processes into each tensor; all are of one number format."""
        if self.count == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        start = 0
        for tensor in tensors:
            tensor.copy_(flat[start : start + tensor.numel()].view_as(tensor))
            start += tensor.numel()


ALONE = ProcessGroup()
