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
    """This process, number `index` of `count`. Number 0 is the main one, which alone emits events and writes files."""

    index: int = 0
    count: int = 1

    @classmethod
    def joined(cls, device: torch.device) -> ProcessGroup:
        """Join the processes that were launched with this one; alone where there are none."""
        if int(os.environ.get("WORLD_SIZE", "1")) < 2:
            return cls()
        from accelerate import PartialState

        # the others wait for as long as the main process generates class images
        state = PartialState(cpu=device.type == "cpu", timeout=timedelta(days=1))
        return cls(state.process_index, state.num_processes)

    @property
    def main(self) -> bool:
        return self.index == 0

    def shared(self, workspace: Workspace) -> Workspace:
        """The workspace with the main process's folders."""
        values = (str(workspace.folder), str(workspace.out), str(workspace.cache), workspace.resume)
        folder, out, cache, resume = self.from_main(values)
        return replace(workspace, folder=Path(folder), out=Path(out), cache=Path(cache), resume=resume)

    def from_main(self, value: Any) -> Any:
        """The value in the main process."""
        if self.count == 1:
            return value
        held = [value]
        dist.broadcast_object_list(held, src=0)
        return held[0]

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.count > 1:
            dist.barrier()

    def agreed(self, value: bool, device: torch.device) -> bool:
        """Whether the value is true in any process."""
        if self.count == 1:
            return value
        votes = torch.tensor([int(value)], device=device)
        dist.all_reduce(votes)
        return bool(votes.item())

    def sum(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replace each tensor by its sum over all processes; all tensors have one dtype."""
        if self.count == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        start = 0
        for tensor in tensors:
            tensor.copy_(flat[start : start + tensor.numel()].view_as(tensor))
            start += tensor.numel()


ALONE = ProcessGroup()
