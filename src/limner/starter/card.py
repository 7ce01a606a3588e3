"""The starter's model card, from the figures that stand beside its weights."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

HEAD = """---
license: apache-2.0
library_name: diffusers
pipeline_tag: text-to-image
---
"""


def weight_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every weights file of a model folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.safetensors"))
    }


def model_card(folder: Path) -> str:
    """README.md of a starter's folder, from its scores.json and, where they are, what its exams left."""
    told = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    sizes = {path.parent.name: path.stat().st_size / 1e6 for path in folder.rglob("*.safetensors")}
    sections = [HEAD, _about(told, sizes), _training(told), _scores(told)]
    sections += [_section(folder, name) for name in ("exam", "personalise") if (folder / f"{name}.json").exists()]
    sections.append(
        _table("Weights (SHA-256)", ("file", "hash"), [(f"`{n}`", f"`{h}`") for n, h in told["sha256"].items()])
    )
    return "\n".join(sections)


def _about(told: dict, sizes: dict[str, float]) -> str:
    photographs, judge = "", sizes["judge"]
    if told["photographs"]:
        photographs = (
            f" and {told['photographs']} DreamBench photographs (CC BY 4.0; {told['photograph share']:.0%} of the "
            f"crops, autoencoder only; the folders {', '.join(told['held out photographs'])} were left out)"
        )
    return f"""# The starter

A latent diffusion model in miniature, 128 x 128 px, {sum(sizes.values()) - judge:.1f} MB in fp16, and a judge of
{judge:.1f} MB that reads its pictures. Stock `StableDiffusionPipeline.from_pretrained` loads it. It comes with Limner
{told["version"]} so that everything runs without a download, and it knows one small world: cats and dogs of 12 breeds,
12 products, 8 places, 8 things to wear, 12 colours, 6 styles. It is for learning and testing; it knows no real person,
brand or place.

## Data

{told["pictures"]:,} pictures drawn by `limner.starter.painter` with their captions{photographs}. No scraped picture is
among them. One pair in eight of subject and place, subject and style, product and colour, animal and what it wears, and
thing worn and its colour is in none of them: the exam asks for those.
"""


def _training(told: dict) -> str:
    rows = [(r["stage"], str(r["steps"]), str(r["batch"]), f"{r['minutes']} min") for r in told["training"]]
    return (
        _table("Training", ("stage", "steps", "batch", "time"), rows)
        + f"""
Times are of the last uninterrupted stretch, scaled to all steps, on the machine that trained it (two CPU cores, shared
with other work). The UNet predicts v on a scaled-linear schedule with zero terminal SNR.
`python -m limner.starter.pretrain FOLDER` makes one by the recipe as it stands now. {told["note"]}
"""
    )


def _scores(told: dict) -> str:
    rows = [(name, f"{value:.3f}" if value < 1.5 else f"{value:.2f}") for name, value in told["scores"].items()]
    return _table("Scores", ("measure", "value"), rows)


def _section(folder: Path, name: str) -> str:
    """The tables that the exam wrote."""
    return (folder / f"{name}.md").read_text(encoding="utf-8")


def _table(heading: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    head = f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}"
    return f"## {heading}\n\n" + "\n".join([head, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"
