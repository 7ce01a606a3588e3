"""Time and memory of the search for near duplicates.

    python benchmarks/near_duplicates.py speed 10000 100000 1000000 --json near-duplicates.json

"speed": signatures of random images (luma and chroma with a 1/f spectrum) in a file. One in a hundred is a copy of
another with noise and another contrast; every second copy is mirrored.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from figures import machine, print_table, write_json
from limner.core.image_faults import FAULTS
from limner.data.duplicates.near_duplicates import find_near_duplicates
from limner.data.duplicates.signatures import COLOUR_SIDE, DIGEST, LENGTH

LIMIT = FAULTS["near_duplicate"].limit or 0.0
BLOCK = 10_000
PLANTED = 100


def speed(count: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        signatures = np.memmap(Path(folder) / "signatures", dtype=np.uint8, mode="w+", shape=(count, LENGTH))
        for at in range(0, count, BLOCK):
            rng = np.random.default_rng(at)
            signatures[at : at + BLOCK] = random_signatures(min(BLOCK, count - at), rng)
        before, start = peak(), time.monotonic()
        twins = list(find_near_duplicates(signatures, LIMIT))
        seconds = time.monotonic() - start
    right = sum(twin.second == twin.first + 1 and twin.second % PLANTED == PLANTED - 1 for twin in twins)
    return {
        "signatures": count,
        "seconds": seconds,
        "peak_mib": peak(),
        "peak_before_mib": before,
        "planted": count // PLANTED,
        "found": right,
        "false": len(twins) - right,
    }


def peak() -> float:
    """Peak resident memory in MiB, including pages of mapped files."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def random_signatures(count: int, rng: np.random.Generator) -> np.ndarray:
    """(count, 720) in uint8; the last of every hundred is a copy of its predecessor."""
    luma, chroma = field(rng, count, 24, 45), np.stack([field(rng, count, COLOUR_SIDE, 15) for _ in "br"], axis=-1)
    copies = np.arange(PLANTED - 1, count, PLANTED)
    luma[copies], chroma[copies] = 0.8 * luma[copies - 1], chroma[copies - 1]
    luma[copies] += rng.normal(0, 1, luma[copies].shape)
    mirrored = copies[::2]
    luma[mirrored], chroma[mirrored] = luma[mirrored, :, ::-1], chroma[mirrored, :, ::-1]
    digests = rng.integers(0, 256, (count, DIGEST.stop))
    values = np.concatenate([each.reshape(count, -1) for each in (luma + 128, chroma + 128)], axis=1)
    return np.concatenate([digests, np.clip(np.rint(values), 0, 255)], axis=1).astype(np.uint8)


def field(rng: np.random.Generator, count: int, side: int, deviation: float) -> np.ndarray:
    """Random images (count, side, side) with amplitudes that fall as 1/f."""
    low = min(side, 16)
    frequency = np.hypot(*np.indices((low, low)))
    frequency[0, 0] = 1
    rows = np.cos(np.pi / side * (np.arange(side) + 0.5) * np.arange(low)[:, None])
    found = rows.T @ (rng.normal(size=(count, low, low)) / frequency) @ rows
    return found * (deviation / found.std(axis=(1, 2), keepdims=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    timed = commands.add_parser("speed")
    timed.add_argument("counts", type=int, nargs="+")
    timed.add_argument("--json", type=Path)
    given = parser.parse_args()
    result = [speed(count) for count in given.counts]
    print_dicts(result)
    write_json(given.json, {"machine": machine(), given.command: result})


def print_dicts(rows: Iterable[dict[str, Any]]) -> None:
    rows = list(rows)
    print_table(list(rows[0]), [[f"{v:.4g}" if isinstance(v, float) else str(v) for v in row.values()] for row in rows])


if __name__ == "__main__":
    main()
