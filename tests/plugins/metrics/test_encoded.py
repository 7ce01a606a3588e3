"""Metrics by encoders of any name, on what is known of their pictures."""

from __future__ import annotations

import random
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from limner.core.errors import LimnerError
from limner.core.metrics import ImageSet, ScoredImage
from limner.core.requests import MetricUse
from limner.engine.scoring.encoders import open_encoder
from limner.engine.scoring.scorers import Scorers
from limner.starter.painter import caption, paint, random_scene
from limner.starter.painter.scene import portraits
from scored import of, values


@pytest.fixture(scope="module")
def portraits_of(tmp_path_factory):
    """Four pictures of a character."""

    def painted(name: str, seed: int):
        folder = tmp_path_factory.mktemp(name)
        places, poses = ("park", "beach", "snow", "city"), ("sitting", "sitting", "lying", "standing")
        for number, scene in enumerate(portraits(name, random.Random(seed), places, poses)):
            paint(scene).save(folder / f"{number}.png")
        return tuple(sorted(folder.iterdir()))

    return painted


def test_prompts_of_their_own_fit_better_than_those_of_others(scenes):
    own = values("prompt_fidelity", ImageSet(tuple(scenes)))
    turned = [replace(item, prompt=other.prompt) for item, other in zip(scenes, scenes[1:] + scenes[:1], strict=True)]
    assert (own > values("prompt_fidelity", ImageSet(tuple(turned)))).mean() > 0.9


@pytest.mark.parametrize("name", ["prompt_fidelity", "preference"])
def test_a_clip_by_name_scores_as_itself(name, scenes, clip):
    from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel

    from limner.imaging.decode import open_image

    item = ScoredImage(scenes[0].path, "a photo of a red car")
    model = CLIPModel.from_pretrained(clip).eval()
    tokens = AutoTokenizer.from_pretrained(clip)([item.prompt], padding="max_length", return_tensors="pt")
    pixels = AutoImageProcessor.from_pretrained(clip, backend="pil")(open_image(item.path), return_tensors="pt")
    with torch.inference_mode():
        logit = model(**tokens, pixel_values=pixels["pixel_values"]).logits_per_image / model.logit_scale.exp()
    assert values(f"{name}={clip}", ImageSet((item,))) == pytest.approx(float(logit), abs=1e-5)


@pytest.mark.parametrize("name", ["prompt_fidelity", "preference"])
def test_an_encoder_without_text_is_refused_before_scoring(name, dino):
    with pytest.raises(LimnerError, match="has no text encoder"):
        Scorers([MetricUse(name=name, model=str(dino))])


@pytest.mark.parametrize("name", ["subject_fidelity", "diversity", "uniqueness", "class_drift", "fid", "kid"])
def test_another_encoder_gives_other_values(name, scenes, dino):
    items, paths = tuple(scenes[:20]), tuple(item.path for item in scenes[20:])
    base = tuple(replace(item, path=path) for item, path in zip(items, paths, strict=True))
    gallery = ImageSet(items, paths, paths, base)
    assert not np.allclose(values(f"{name}={dino}", gallery), values(name, gallery), atol=1e-3)


def test_a_folder_that_is_not_an_encoder_is_a_one_line_error(tmp_path, scenes):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(LimnerError, match=f"{tmp_path.name}' .*(incomplete|no encoder)"):
        values(f"subject_fidelity={tmp_path}", of([scenes[0].path], references=(scenes[1].path,)))


def test_the_subject_is_more_like_itself_than_like_another(portraits_of):
    gallery = of([*portraits_of("comet", 1), *portraits_of("biscuit", 1)], references=portraits_of("comet", 2))
    found = values("subject_fidelity", gallery)
    assert found[:4].min() > found[4:].max()


def test_subject_fidelity_is_the_mean_over_all_photographs(scenes):
    paths = [item.path for item in scenes[:4]]
    each = [values("subject_fidelity", of(paths[:1], references=(path,))) for path in paths[1:]]
    assert values("subject_fidelity", of(paths[:1], references=tuple(paths[1:]))) == pytest.approx(np.mean(each))


def test_the_more_differs_the_more_diverse(tmp_path):
    rng = random.Random(1)
    alike = [random_scene(rng, subject="dog", breed="corgi", place="park", style="illustration") for _ in range(4)]
    mixed = [random_scene(rng) for _ in range(4)]
    items = []
    for number, scene in enumerate(alike + mixed):
        paint(scene).save(tmp_path / f"{number}.png")
        items.append(ScoredImage(tmp_path / f"{number}.png", caption(scene), "alike" if number < 4 else "mixed"))
    found = values("diversity", ImageSet(tuple(items)))
    assert found[0] < found[1] / 2


def test_diversity_is_the_mean_over_pairs(scenes):
    items = [replace(item, group="one") for item in scenes[:3]]
    with torch.inference_mode():
        features = open_encoder("starter").images([item.path for item in items]).double()
    pairs = [1 - float(features[i] @ features[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert values("diversity", ImageSet(tuple(items))) == pytest.approx(np.mean(pairs))


def test_a_group_of_one_has_no_diversity(scenes):
    items = (*scenes[:4], replace(scenes[5], group="alone"))
    with pytest.raises(LimnerError, match="'alone' has one; give more"):
        values("diversity", ImageSet(items))


def test_drift_compares_the_same_prompts_only(scenes):
    with pytest.raises(LimnerError, match="'class_drift' was given"):
        values("class_drift", ImageSet(tuple(scenes[:2]), base=tuple(scenes[2:4])))


def test_fid_is_that_of_torchmetrics_and_zero_for_the_same(scenes):
    paths = tuple(item.path for item in scenes[:20])
    assert values("fid", of(paths, references=paths)) == pytest.approx(0, abs=1e-4)
    features = _features(scenes)
    assert values("fid", of(paths, references=tuple(item.path for item in scenes[20:]))) == pytest.approx(
        _frechet(features[:20], features[20:]), abs=1e-4
    )


def _features(scenes: list[ScoredImage]) -> np.ndarray:
    with torch.inference_mode():
        return open_encoder("starter").images([item.path for item in scenes]).double().numpy()


def _frechet(one: np.ndarray, other: np.ndarray) -> float:
    """Heusel et al. 2017, eq. 6; the trace of the root of a product by its eigenvalues."""
    first, second = np.cov(one.T), np.cov(other.T)
    root = np.sqrt(np.linalg.eigvals(first @ second).astype(complex)).sum().real
    return float(((one.mean(0) - other.mean(0)) ** 2).sum() + np.trace(first) + np.trace(second) - 2 * root)


def test_kid_is_the_unbiased_estimate_of_the_paper(scenes):
    features = _features(scenes)
    one, other = features[:20], features[20:]

    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (x @ y.T + 1) ** 3

    within = sum((kernel(x, x).sum() - np.trace(kernel(x, x))) / (20 * 19) for x in (one, other))
    expected = 1000 * (within - 2 * kernel(one, other).mean())
    paths = [item.path for item in scenes]
    assert values("kid", of(paths[:20], references=tuple(paths[20:]))) == pytest.approx(expected, abs=1e-4)


def test_kid_of_unequal_numbers_is_near_and_always_the_same(scenes):
    paths = [item.path for item in scenes]
    torch.manual_seed(5)
    state = torch.get_rng_state()
    found = values("kid", of(paths[:24], references=tuple(paths[24:])))
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(6)
    assert values("kid", of(paths[:24], references=tuple(paths[24:]))) == found


@pytest.mark.parametrize(("name", "fewest"), [("fid", 16), ("kid", 8)])
def test_too_few_images_are_refused(name, fewest, scenes):
    paths = [item.path for item in scenes]
    with pytest.raises(LimnerError, match=f"{name}.*at least {fewest} images, and there are {fewest - 1}"):
        values(name, of(paths[: fewest - 1], references=tuple(paths[20:])))
    with pytest.raises(LimnerError, match=f"{name}.*at least {fewest} reference photos"):
        values(name, of(paths[:20], references=tuple(paths[20 : 19 + fewest])))


@pytest.mark.parametrize("name", ["fid", "kid"])
def test_a_missing_package_is_one_line(name, monkeypatch):
    monkeypatch.setitem(sys.modules, f"torchmetrics.image.{name}", None)
    with pytest.raises(LimnerError, match=r"needs the package torchmetrics; pip install 'limner\[evaluate\]'"):
        Scorers([MetricUse(name=name)])
