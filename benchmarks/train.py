"""Images per second of `limner train` and of diffusers' own `train_dreambooth_lora.py`, run unmodified.

    python benchmarks/train.py --peer .../examples/dreambooth/train_dreambooth_lora.py --json train.json

Both train on the same images with prior preservation and the same model: LoRA on the attention layers, AdamW, the same
rank, batch, resolution and precision. Whole processes are timed at two numbers of steps; the difference cancels start,
caching and saving. Runs are interleaved. Subject images and class images both count as images.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from figures import machine, print_table, summary, write_json
from limner.models import loading

STAND_IN = Path(__file__).parent / "stand_in"
WORD, LEARNING_RATE = "thing", "1e-4"


@dataclass(frozen=True)
class Cost:
    """Cost of one process: wall-clock seconds, processor seconds, and peak memory in MiB."""

    wall: float
    processor: float
    memory: float


def run(command: list[str], environment: dict[str, str], log: Path) -> Cost:
    """Run a command to its end; one that fails ends the benchmark with its last lines."""
    with log.open("wb") as output:
        began = time.perf_counter()
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)}\nfailed:\n" + "\n".join(log.read_text(errors="replace").splitlines()[-20:]))
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit)


class Bench:
    """The commands of both sides over one scratch folder. pictures: folder of the subject's images."""

    def __init__(self, options: argparse.Namespace, scratch: Path) -> None:
        self.options, self.scratch = options, scratch
        self.model = loading.resolve(options.model).location
        self.pictures = options.data or painted(scratch / "pictures", options.pictures)
        self.environment = {"HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}
        if options.device == "cpu":
            self.environment |= {"ACCELERATE_USE_CPU": "true", "CUDA_VISIBLE_DEVICES": ""}
        if options.threads:
            self.environment["OMP_NUM_THREADS"] = str(options.threads)

    def limner(self, steps: int) -> list[str]:
        o = self.options
        flags = {
            "--class": WORD, "--model": self.model, "--targets": "attention", "--rank": o.rank, "--batch": o.batch,
            "--resolution": o.resolution, "--steps": steps, "--class-pictures": o.class_pictures, "--held-out": 0,
            "--precision": o.precision, "--schedule": "constant", "--warmup": 0, "--learning-rate": LEARNING_RATE,
            "--prior-target": "pictures", "--checkpoint-every": 1_000_000, "--device": o.device,
            "--out": self.scratch / "adapter",
        }  # fmt: skip
        return [sys.executable, "-m", "limner.cli", "train", str(self.pictures), *spelt(flags)]

    def peer(self, steps: int, *best: str) -> list[str]:
        o = self.options
        flags = {
            "--pretrained_model_name_or_path": self.model, "--instance_data_dir": self.pictures,
            "--class_data_dir": self.scratch / "class", "--num_class_images": o.class_pictures,
            "--instance_prompt": f"a photo of sks {WORD}", "--class_prompt": f"a photo of {WORD}", "--rank": o.rank,
            "--train_batch_size": o.batch, "--resolution": o.resolution, "--max_train_steps": steps, "--seed": 42,
            "--mixed_precision": "no" if o.precision == "fp32" else o.precision, "--learning_rate": LEARNING_RATE,
            "--checkpointing_steps": 1_000_000, "--output_dir": self.scratch / "adapter",
        }  # fmt: skip
        launcher = [] if has_torchvision() else [str(STAND_IN)]
        return [sys.executable, *launcher, str(o.peer), "--with_prior_preservation", *spelt(flags), *best]

    def contestants(self) -> dict[str, Any]:
        """Name -> function from the number of steps to a command."""
        return {
            "limner": self.limner,
            "peer, defaults": self.peer,
            "peer, text precomputed": lambda steps: self.peer(steps, "--pre_compute_text_embeddings"),
        }

    def time(self, command: list[str]) -> Cost:
        shutil.rmtree(self.scratch / "adapter", ignore_errors=True)
        home = {"LIMNER_HOME": str(self.scratch / "home")}
        return run(command, {**self.environment, **home}, self.scratch / "log")


def spelt(flags: dict[str, Any]) -> list[str]:
    return [str(part) for pair in flags.items() for part in pair]


def has_torchvision() -> bool:
    return importlib.util.find_spec("torchvision") is not None


def painted(folder: Path, count: int) -> Path:
    """A folder of painter images."""
    from limner.starter.painter import paint, random_scene

    folder.mkdir()
    for index in range(count):
        paint(random_scene(random.Random(index))).save(folder / f"{index}.png")
    return folder


def measure(bench: Bench, few: int, many: int, repeats: int) -> dict[str, dict[str, Any]]:
    """First runs, which also generate the class images, then `repeats` rounds of every contestant at both lengths."""
    contestants = bench.contestants()
    pictures = 2 * bench.options.batch
    first = {name: bench.time(command(few)) for name, command in contestants.items()}
    rounds: dict[str, list[tuple[Cost, Cost]]] = {name: [] for name in contestants}
    for number in range(repeats):
        for name, command in contestants.items():
            rounds[name].append((bench.time(command(few)), bench.time(command(many))))
            print(f"round {number + 1} of {repeats}: {name} {rounds[name][-1][1].wall:.1f} s", file=sys.stderr)
    results = {}
    for name, costs in rounds.items():
        step = summary([(long.wall - short.wall) / (many - few) for short, long in costs])
        processor = summary([(long.processor - short.processor) / (many - few) for short, long in costs])
        short = summary([short.wall for short, _ in costs])
        results[name] = {
            "seconds_per_step": step,
            "processor_seconds_per_step": processor,
            "images_per_second": pictures / step["median"],
            "start_and_end_seconds": short["median"] - few * step["median"],
            "first_run_extra_seconds": first[name].wall - short["median"],
            "peak_memory_mib": max(long.memory for _, long in costs),
        }
    return results


def print_results(results: dict[str, dict[str, Any]]) -> None:
    ours = results["limner"]
    rows = []
    for name, r in results.items():
        step = r["seconds_per_step"]
        processor = r["processor_seconds_per_step"]["median"]
        rows.append([
            name,
            f"{r['images_per_second']:.2f}",
            f"{step['median']:.3f} ({step['min']:.3f} to {step['max']:.3f})",
            f"{processor:.3f}",
            f"{step['median'] / ours['seconds_per_step']['median']:.2f}",
            f"{processor / ours['processor_seconds_per_step']['median']:.2f}",
            f"{r['start_and_end_seconds']:.1f}",
            f"{r['first_run_extra_seconds']:.1f}",
            f"{r['peak_memory_mib']:.0f}",
        ])  # fmt: skip
    speed = ["", "images/s", "s/step", "CPU s/step", "limner is x faster", "by CPU time"]
    print_table([*speed, "start s", "class pictures s", "peak MiB"], rows)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, required=True, help="path of diffusers' train_dreambooth_lora.py")
    parser.add_argument("--model", default="starter", help="alias or folder, the same for both")
    parser.add_argument("--data", type=Path, help="folder of images (default: painter images)")
    parser.add_argument("--pictures", type=int, default=8, help="number of painter images")
    parser.add_argument("--class-pictures", type=int, default=16, help="a multiple of the batch")
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--batch", type=int, default=4, help="subject images per step, and as many class images")
    parser.add_argument("--resolution", type=int, default=128)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, help="OMP_NUM_THREADS for both (default: as the machine has it)")
    parser.add_argument("--steps", type=int, nargs=2, default=(10, 60), metavar=("FEW", "MANY"))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    chosen = parser.parse_args()
    if chosen.class_pictures % chosen.batch or chosen.class_pictures < chosen.pictures:
        parser.error("--class-pictures must be a multiple of --batch, and no fewer than the pictures")
    return chosen


def main() -> None:
    chosen = options()
    with tempfile.TemporaryDirectory() as scratch:
        results = measure(Bench(chosen, Path(scratch)), chosen.steps[0], chosen.steps[1], chosen.repeats)
    stand_in = not has_torchvision()
    if stand_in:
        print("torchvision is not installed: the peer ran with the stand-in of benchmarks/stand_in", file=sys.stderr)
    settings = {name: str(value) for name, value in vars(chosen).items() if name not in ("json", "peer", "data")}
    write_json(chosen.json, {"machine": machine(), "settings": settings, "stand_in": stand_in, "results": results})
    print_results(results)


if __name__ == "__main__":
    main()
