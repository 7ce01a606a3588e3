"""Images per second of Limner and of the stock StableDiffusionPipeline, in one process, interleaved.

    python benchmarks/generate.py --json generate.json
    python benchmarks/generate.py --adapter rex --json generate.json

Both generate from the same prompt and seeds in fp32 with the same scheduler, steps and guidance scale. The stock
pipeline runs with its defaults (adapter not merged) and with its best simple settings (adapter fused, no progress bar,
inference mode). The maximum difference between the images of both sides is printed, in 8-bit levels.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusionPipeline

from figures import machine, print_table, summary, write_json
from limner.core.protocols import SubjectWords
from limner.engine.generate.sampling import sample_images
from limner.engine.generate.schedulers import apply_scheduler
from limner.models import loading
from limner.models.adapters import adapters_applied, open_adapter
from limner.models.conditioning import conditioning
from limner.models.logging import quiet_libraries
from limner.plugins import registry

Painter = Callable[[int], np.ndarray]
OURS, DEFAULTS, BEST = "limner", "stock, defaults", "stock, best settings"


def random_adapter(model: loading.Model, folder: Path, rank: int) -> str:
    """An attention LoRA with small random weights; a trained one takes as long."""
    device = torch.device("cpu")
    components = model.family.load(model.source(), torch.float32, device)
    method = registry.methods.get("lora")
    trainable = method.attach(
        components, model.family.facts, method.Options(rank=rank, targets="attention"), SubjectWords("sks", "cat"), 0
    )  # type: ignore[call-arg]
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in trainable.state().values():
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.02)
    method.save(trainable, folder, {}, lambda: None)
    return str(folder)


def arguments(options: argparse.Namespace, seeds: list[int]) -> dict[str, Any]:
    """Return the arguments of the stock pipeline; noise comes from one CPU generator per image, as on our side."""
    return {
        "prompt": [options.prompt] * len(seeds),
        "num_inference_steps": options.steps,
        "guidance_scale": options.guidance,
        "generator": [torch.Generator().manual_seed(seed) for seed in seeds],
    }


def eight_bit(pictures: Any) -> np.ndarray:
    return (np.asarray(pictures) * 255).round().astype(np.uint8)


def stock(options: argparse.Namespace, location: str, adapter: str | None, best: bool) -> Painter:
    """The stock pipeline as a function from a count to images (n, h, w, 3)."""
    pipeline = StableDiffusionPipeline.from_pretrained(location, torch_dtype=torch.float32, safety_checker=None)
    pipeline.to(options.device)
    apply_scheduler(pipeline, options.scheduler, options.steps)
    if adapter:
        pipeline.load_lora_weights(adapter)
    if best:
        pipeline.set_progress_bar_config(disable=True)
        if adapter:
            pipeline.fuse_lora()
            pipeline.unload_lora_weights()

    def painted(count: int) -> np.ndarray:
        seeds = [options.seed + i for i in range(count)]
        with torch.inference_mode(best):
            return eight_bit(pipeline(**arguments(options, seeds), output_type="np")[0])

    return painted


def ours(options: argparse.Namespace, model: loading.Model, adapter: str | None, stack: ExitStack) -> Painter:
    """Limner as a function from a count to images (n, h, w, 3)."""
    device = torch.device(options.device)
    components = model.family.load(model.source(), torch.float32, device)
    side = components.side
    pipeline = model.family.pipeline(components)
    apply_scheduler(pipeline, options.scheduler, options.steps)
    stack.enter_context(
        adapters_applied(pipeline, model.family.facts, [open_adapter(adapter)], [1.0]) if adapter else nullcontext()
    )

    def painted(count: int) -> np.ndarray:
        seeds = [options.seed + i for i in range(count)]
        sampling = {"steps": options.steps, "guidance": options.guidance}
        prompt = conditioning(model.family, components, [options.prompt])
        return np.stack(list(sample_images(pipeline, prompt, seeds, sampling, (side, side), batch=count)))

    return painted


def race(painters: dict[str, Painter], count: int, repeats: int) -> dict[str, Any]:
    """One unmeasured round, then `repeats` interleaved ones; seconds by the clock and processor seconds of each."""
    clock: dict[str, list[float]] = {name: [] for name in painters}
    processor: dict[str, list[float]] = {name: [] for name in painters}
    pictures = {name: painter(count) for name, painter in painters.items()}
    for _ in range(repeats):
        for name, painter in painters.items():
            began, spent = time.perf_counter(), time.process_time()
            painter(count)
            clock[name].append(time.perf_counter() - began)
            processor[name].append(time.process_time() - spent)
    reference = pictures[DEFAULTS].astype(int)
    return {
        name: {
            "seconds": summary(clock[name]),
            "processor_seconds": summary(processor[name]),
            "pictures_per_second": count / summary(clock[name])["median"],
            "greatest_difference_of_255": int(np.abs(pictures[name] - reference).max()),
        }
        for name in painters
    }


def print_results(results: dict[str, dict[str, Any]]) -> None:
    rows = []
    for case, sides in results.items():
        mine = sides[OURS]
        for name, r in sides.items():
            seconds = r["seconds"]
            rows.append([
                case,
                name,
                f"{r['pictures_per_second']:.3f}",
                f"{seconds['median']:.2f} ({seconds['min']:.2f} to {seconds['max']:.2f})",
                f"{seconds['median'] / mine['seconds']['median']:.2f}",
                f"{r['processor_seconds']['median'] / mine['processor_seconds']['median']:.2f}",
                str(r["greatest_difference_of_255"]),
            ])  # fmt: skip
    header = ["case", "", "pictures/s", "s", "limner is x faster", "by CPU time", "greatest difference of 255"]
    print_table(header, rows)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="starter", help="alias or folder of a Stable Diffusion model")
    parser.add_argument("--adapter", help="folder of a LoRA (default: a random one on the attention layers)")
    parser.add_argument("--rank", type=int, default=16, help="rank of the random adapter")
    parser.add_argument("--prompt", default="a photo of a dog on the beach")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--guidance", type=float, default=7.5)
    parser.add_argument("--scheduler", help="scheduler by Limner's name (default: the model's own)")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--batches", type=int, nargs="+", default=(1, 4), help="images generated together")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, help="processor threads (default: torch's own choice)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    return parser.parse_args()


def main() -> None:
    chosen = options()
    quiet_libraries()
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    model = loading.resolve(chosen.model)
    results = {}
    with tempfile.TemporaryDirectory() as scratch:
        made = chosen.adapter or random_adapter(model, Path(scratch), chosen.rank)
        for label, adapter in (("base", None), ("adapter", made)):
            with ExitStack() as stack:
                painters = {OURS: ours(chosen, model, adapter, stack)}
                make_stock = partial(stock, chosen, model.location, adapter)
                painters |= {DEFAULTS: make_stock(best=False), BEST: make_stock(best=True)}
                for count in chosen.batches:
                    results[f"{label}, {count} together"] = race(painters, count, chosen.repeats)
                    print(f"done: {label}, {count} together", file=sys.stderr)
    settings = {name: str(value) for name, value in vars(chosen).items() if name not in ("json", "adapter", "model")}
    write_json(chosen.json, {"machine": machine(), "settings": settings, "results": results})
    print_results(results)


if __name__ == "__main__":
    main()
