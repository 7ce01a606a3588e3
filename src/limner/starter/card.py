"""The model card of the starter, made from the figures in its folder."""

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
    """The text of README.md in the folder of a starter, from its scores.json and the reports of its exams."""
    scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    sizes = {path.parent.name: path.stat().st_size / 1e6 for path in folder.rglob("*.safetensors")}
    sections = [HEAD, _about(scores, sizes), _training(scores), _scores(scores)]
    sections += [_section(folder, name) for name in ("exam", "personalise") if (folder / f"{name}.json").exists()]
    sections.append(
        _table("Weights (SHA-256)", ("file", "hash"), [(f"`{n}`", f"`{h}`") for n, h in scores["sha256"].items()])
    )
    return "\n".join(sections)


def _about(scores: dict, sizes: dict[str, float]) -> str:
    photographs, judge = "", sizes["judge"]
    if scores["photographs"]:
        photographs = (
            f" and {scores['photographs']} DreamBench photographs (CC BY 4.0; {scores['photograph share']:.0%} of the "
            f"crops, autoencoder only; the folders {', '.join(scores['held out photographs'])} were left out)"
        )
    return f"""# The starter

A latent diffusion model in miniature, 128 x 128 px, {sum(sizes.values()) - judge:.1f} MB in fp16, and a judge of
{judge:.1f} MB that reads its images. Stock `StableDiffusionPipeline.from_pretrained` loads it. It comes with Limner
{scores["version"]}, so that everything runs without a download. It can only generate cats and dogs of 12 breeds, 12
products, 8 places, 8 extras such as hats, 12 colours and 6 styles. It is for learning and testing; it contains no real
person, brand or place.

## Data

{scores["pictures"]:,} images drawn by `limner.starter.painter` with their captions{photographs}.
None of them was scraped from the web. One pair in eight of subject and place, subject and style, product and colour,
animal and extra, and extra and colour is in none of them; the prompts of the exam have such pairs.
"""


def _training(scores: dict) -> str:
    rows = [(r["stage"], str(r["steps"]), str(r["batch"]), _time(r)) for r in scores["training"]]
    other = "; or the GPU that is named" if any("machine" in r for r in scores["training"]) else ""
    return (
        _table("Training", ("stage", "steps", "batch", "time"), rows)
        + f"""
Times were measured since the last interruption and scaled to all steps, on the machine that trained it (two CPU cores,
shared with other work{other}). The UNet predicts v on a scaled-linear schedule with zero terminal SNR.
`python -m limner.starter.pretrain FOLDER` trains one with the present recipe. {scores["note"]}
"""
    )


def _time(row: dict) -> str:
    """How long a stage took, and on which machine if it was a GPU."""
    return f"{row['minutes']} min" + (f", {row['machine']}" if "machine" in row else "")


def _scores(scores: dict) -> str:
    rows = [(name, f"{value:.3f}" if value < 1.5 else f"{value:.2f}") for name, value in scores["scores"].items()]
    return _table("Scores", ("measure", "value"), rows)


def _section(folder: Path, name: str) -> str:
    """The tables that an exam wrote."""
    return (folder / f"{name}.md").read_text(encoding="utf-8")


def _table(heading: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    head = f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}"
    return f"## {heading}\n\n" + "\n".join([head, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"
