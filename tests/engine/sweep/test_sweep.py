"""Sweeps on a tiny model: images, scores and pages."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from diffusers.guiders.adaptive_projected_guidance import MomentumBuffer, normalized_guidance
from PIL import Image
from safetensors.torch import save_file

from limner import GenerateRequest, Studio
from limner.core.requests import SweepRequest
from limner.core.workspace import Workspace
from limner.engine.generate import parts
from limner.engine.sweep import sweep
from limner.engine.sweep.best_guidance import lowest_sufficient
from limner.engine.sweep.trajectory import FRAMES, changing_frames, denoising_frames
from limner.provenance import watermark
from limner.provenance.labels import read_label


def swept(home: Path, out: Path, model: Path, **fields: object) -> dict:
    asked = {"prompt": ["a cat"], "model": str(model), "steps": 2, "seeds": 2, "metric": ["saturation", "clipping"]}
    Studio(home).run(SweepRequest.model_validate(asked | fields), out)
    return json.loads((out / "sweep.json").read_text(encoding="utf-8"))


def files(report: dict) -> list[list[str]]:
    return [[picture["sha256"] for picture in cell["pictures"]] for cell in report["cells"]]


def test_all_files_of_a_sweep(home: Path, tmp_path: Path, tiny_sd: Path) -> None:
    report = swept(home, tmp_path / "out", tiny_sd, axis=["guidance=1.5,4"], trajectory=True, steps=4)
    out = tmp_path / "out"
    assert [cell["values"] for cell in report["cells"]] == [{"guidance": "1.5"}, {"guidance": "4"}]
    for cell in report["cells"]:
        assert [picture["seed"] for picture in cell["pictures"]] == [42, 43]
        label = read_label(out / cell["pictures"][1]["path"])
        assert label is not None and label.seed == 43 and label.request.guidance == float(cell["values"]["guidance"])
    with (out / "sweep.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["guidance"], row["picture_seed"]) for row in rows] == [
        ("1.5", "42"),
        ("1.5", "43"),
        ("4", "42"),
        ("4", "43"),
    ]
    means = [np.mean([float(row["saturation"]) for row in rows if row["guidance"] == value]) for value in ("1.5", "4")]
    assert np.allclose(means, [place["mean"] for place in report["along"]["guidance"]["saturation"]])
    for name in ("results.png", "curves.png", "trajectory.png", "trajectory.webp"):
        with Image.open(out / name) as picture:
            picture.load()
    with Image.open(out / "trajectory.webp") as film:
        assert getattr(film, "n_frames", 1) >= 3
    page = (out / "sweep.html").read_text(encoding="utf-8")
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)[^"']""", page), "the page needs something beside it"


def test_cells_share_the_noise_and_continuing_gives_the_same_images(home: Path, tmp_path: Path, tiny_sd: Path) -> None:
    one = swept(home, tmp_path / "one", tiny_sd, axis=["guidance_rescale=0,0.5", "seed=3,4"], seeds=1)
    assert len({name for cell in files(one) for name in cell}) == 4
    first = tmp_path / "one" / one["cells"][0]["pictures"][0]["path"]
    rest = tmp_path / "one" / one["cells"][1]["pictures"][0]["path"]
    before = rest.stat().st_mtime_ns
    first.unlink()
    again = swept(home, tmp_path / "one", tiny_sd, axis=["guidance_rescale=0,0.5", "seed=3,4"], seeds=1)
    assert rest.stat().st_mtime_ns == before, "what was there is not painted again"
    pixels = [Image.open(tmp_path / "one" / cell["pictures"][0]["path"]).tobytes() for cell in again["cells"]]
    assert len(set(pixels)) == 4
    other = swept(home, tmp_path / "other", tiny_sd, axis=["guidance_rescale=0,0.5", "seed=3,4"], seeds=1)
    fresh = [Image.open(tmp_path / "other" / cell["pictures"][0]["path"]).tobytes() for cell in other["cells"]]
    assert pixels == fresh


def test_guidance_methods_match_diffusers(home: Path, tmp_path: Path, tiny_sd: Path) -> None:
    """The interval as in diffusers' documentation, where a callback drops the unconditional half; APG as its guider."""
    axes = {"way": "guidance_method=cfg,apg", "interval": "guidance_interval=none,0-1,0-0.5"}
    pictures = {}
    for name, axis in axes.items():
        report = swept(home, tmp_path / name, tiny_sd, axis=[axis], guidance=100, seeds=1, steps=4)
        paths = (tmp_path / name / cell["pictures"][0]["path"] for cell in report["cells"])
        pictures[name] = [np.asarray(Image.open(path)).astype(int) for path in paths]
    # at so high a guidance the tiny network's pictures differ by more than rounding does
    (cfg, apg), (whole, all_of_it, half) = pictures["way"], pictures["interval"]
    assert np.array_equal(cfg, whole) and np.array_equal(cfg, all_of_it)
    pipeline = DiffusionPipeline.from_pretrained(tiny_sd, use_safetensors=True)
    pipeline.set_progress_bar_config(disable=True)

    def stock(**more: object) -> np.ndarray:
        pixels = pipeline(
            "a cat", num_inference_steps=4, guidance_scale=100, generator=torch.Generator().manual_seed(42),
            output_type="np", **more,
        ).images[0]  # fmt: skip
        return (pixels * 255).round().astype(int)

    def drop_half(pipe, step: int, timestep: object, values: dict) -> dict:
        if step == 1:  # two of four steps are done
            pipe._guidance_scale = 0.0
            values["prompt_embeds"] = values["prompt_embeds"].chunk(2)[-1]
        return values

    assert np.abs(cfg - stock()).max() <= 1
    assert np.abs(half - stock(callback_on_step_end=drop_half,
                               callback_on_step_end_tensor_inputs=["prompt_embeds"])).max() <= 1  # fmt: skip
    momentum, radius = MomentumBuffer(-0.5), 15 * (4 * 8 * 8 / (4 * 128 * 128)) ** 0.5

    def project(module: object, given: object, output: tuple) -> tuple:
        plain, prompted = output[0].chunk(2)
        found = normalized_guidance(prompted, plain, 99.0, momentum, 0.0, radius, use_original_formulation=True)
        return (torch.cat([found, found]),)

    hook = pipeline.unet.register_forward_hook(project)
    assert np.abs(apg - stock()).max() <= 1
    hook.remove()
    for one, other in ((cfg, apg), (cfg, half)):
        assert np.abs(one - other).max() > 3


@pytest.mark.parametrize(
    "settings",
    [
        {"negative_prompt": "a dog", "guidance_method": "apg", "width": 72, "height": 40, "scheduler": "euler"},
        {"guidance_rescale": 0.7, "guidance_interval": "0-0.6", "seed": 5, "adapter": ["word.safetensors:0.5"]},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_a_trajectory_ends_in_the_image(
    home: Path, tmp_path: Path, tiny_sd: Path, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watermark, "embed", lambda pixels, *rest: pixels)
    vectors = torch.randn(2, 32, generator=torch.Generator().manual_seed(1))
    save_file({"emb_params": vectors}, tmp_path / "word.safetensors")
    fields = {"prompt": "a word cat", "model": str(tiny_sd), "steps": 4, "guidance": 60, "guidance_rescale": 0}
    request = GenerateRequest.model_validate(fields | settings)
    Studio(home).run(request, tmp_path / "out")
    (path,) = (tmp_path / "out").glob("*.png")
    workspace = Workspace("test", tmp_path, tmp_path / "out", tmp_path)
    steps, frames = denoising_frames(request, workspace, lambda event: None)
    assert steps == [1, 2, 3, 4]
    image, *decoded = (np.asarray(picture).astype(int) for picture in (Image.open(path), *frames))
    assert np.abs(decoded[-1] - image).max() <= 1
    assert np.abs(decoded[0] - image).max() > 3


def test_hostile_prompts_are_only_text(home: Path, tmp_path: Path, tiny_sd: Path) -> None:
    hostile = "</script><img src=x onerror=alert(1)> \"'"
    swept(home, tmp_path / "out", tiny_sd, prompt=[hostile, "a dog"], axis=["guidance=1,2"], seeds=1)
    page = (tmp_path / "out" / "sweep.html").read_text(encoding="utf-8")
    assert "<img src=x" not in page and "</script><img" not in page


@pytest.mark.parametrize(
    ("means", "chosen"), [((0.15, 0.55, 0.55), 1), ((0.55, 0.55, 0.15), 0), ((0.15, 0.35, 0.55), 2), ((0.5, 0.5), None)]
)
def test_the_best_guidance_is_where_fidelity_stops_rising(means: tuple[float, ...], chosen: int | None) -> None:
    assert lowest_sufficient([np.linspace(-0.05, 0.05, 8) + mean for mean in means]) == chosen


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a cat"], "one to three are possible"),
        (["a cat", "--axis", "guidence=1,2"], "no axis 'guidence'"),
        (["a cat", "--axis", "steps=1,2", "--metric", "beauty"], "unknown metric 'beauty'"),
        (["a cat", "--axis", "prompt=nowhere.txt"], "'nowhere.txt' does not exist"),
        (["a cat", "--axis", "guidance_method=cfg,apg", "--guidance", "1", "--model", "MODEL"], "has no effect"),
        (["a cat", "--axis", "steps=1,2", "--seeds", "1", "--metric", "diversity", "--model", "MODEL"], "diversity"),
    ],
)
def test_mistakes_are_one_line(limner, tiny_sd: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    typed = [str(tiny_sd) if each == "MODEL" else each for each in arguments]
    output = limner("sweep", *typed, "--out", tmp_path / "out")
    assert output.code == 2 and message in output.err and "Traceback" not in output.err
    assert len([line for line in output.err.splitlines() if line.startswith("limner:")]) == 1


def test_a_cell_with_a_withheld_image_is_not_scored(home: Path, tmp_path: Path, tiny_sd: Path, monkeypatch) -> None:
    def withholding(*arguments: Any) -> list[dict[int, Path]]:
        first, *rest = parts.generate_parts(*arguments)
        return [{seed: path for seed, path in first.items() if seed != 43}, *rest]

    monkeypatch.setattr(sweep, "generate_parts", withholding)
    report = swept(home, tmp_path / "out", tiny_sd, axis=["guidance=1.5,4"])
    means = [place["mean"] for place in report["along"]["guidance"]["saturation"]]
    assert means[0] is None and means[1] is not None


def test_frames_of_a_trajectory_are_where_the_image_changes() -> None:
    """Of 30 frames, the first 20 are the same noise."""
    noise, image = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3))
    frames = [noise + (image - noise) * max(0, place - 19) / 10 for place in range(30)]
    shown = changing_frames(frames)
    assert (shown[0], shown[-1]) == (0, 29) and FRAMES - 1 <= len(shown) <= FRAMES
    assert sum(place < 20 for place in shown) == 1, "evenly spaced, 6 of 10 would be"
    assert changing_frames(frames[:FRAMES]) == list(range(FRAMES)), "few frames are all shown"
    assert changing_frames([noise] * 30) == [0, 29]
