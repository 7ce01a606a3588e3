"""Class pictures for prior preservation (Ruiz et al. 2022, arXiv 2208.12242), painted once by the base model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from limner.core.errors import LimnerError
from limner.core.events import Emit, Progress, Stage
from limner.core.protocols import Components, Family
from limner.core.workspace import Workspace
from limner.engine.generate.sampling import paint
from limner.models.conditioning import conditioning
from limner.store.files import atomic_file

BATCH, PIXELS = 8, 2**21
"""Pictures that are painted together at most, and their pixels."""


def class_pictures(
    family: Family,
    components: Components,
    fingerprint: str,
    prompts: Sequence[str],
    count: int,
    side: int,
    seed: int,
    sampling: Mapping[str, Any],
    workspace: Workspace,
    emit: Emit,
) -> np.ndarray:
    """`count` pictures (n, side, side, 3) uint8, the prompts in turn, from the cache where it has them.

    sampling: steps and guidance.

    They are painted in whole batches, always cut at the same places, so that a cache that was filled in two goes holds
    the same bits as one that was filled at once.
    """
    facts = {"model": fingerprint, "prompts": list(prompts), "side": side, "seed": seed, **sampling}
    facts |= {"device": components.device.type, "dtype": str(components.dtype)}
    size = max(1, min(BATCH, PIXELS // side**2))
    facts |= {"batch": size} if size < BATCH else {}
    folder = workspace.cache / "class" / hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]
    folder.mkdir(parents=True, exist_ok=True)
    groups = sorted({i // size for i in range(count) if not (folder / f"{i:05d}.npy").exists()})
    missing = [group * size + row for group in groups for row in range(size)]
    if missing:
        emit(Stage(name="class pictures", total=len(missing) * sampling["steps"]))

        def on_step(done: int) -> None:
            emit(Progress(done=done))
            workspace.check()

        pictures = paint(
            family.pipeline(components),
            conditioning(family, components, [prompts[i % len(prompts)] for i in missing]),
            [seed + i for i in missing],
            **sampling,
            height=side,
            width=side,
            batch=size,
            on_step=on_step,
        )
        for index, pixels in zip(missing, pictures, strict=True):
            with atomic_file(folder / f"{index:05d}.npy") as partial, partial.open("wb") as file:
                np.save(file, pixels, allow_pickle=False)
    try:
        return np.stack([np.load(folder / f"{i:05d}.npy", allow_pickle=False) for i in range(count)])
    except (ValueError, OSError) as error:
        raise LimnerError(
            f"the kept class pictures in {str(folder)!r} cannot be read: {error}", "delete that folder"
        ) from error
