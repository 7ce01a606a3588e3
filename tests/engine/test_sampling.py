"""Sampling in batches, with a pipeline that records its arguments."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from limner.core.errors import LimnerError
from limner.engine.generate.sampling import rows_of, sample_images


class Pipeline:
    """Returns a pixel for each seed: the seed's first random number, the prompt's value, and 0.5."""

    def __init__(self, value=None):
        self.given, self.value = [], value

    def set_progress_bar_config(self, disable):
        assert disable

    def __call__(
        self,
        prompt_embeds=None,
        prompt=None,
        num_inference_steps=None,
        guidance_scale=None,
        guidance_rescale=0.0,
        generator=None,
        height=None,
        width=None,
        strength=None,
        output_type=None,
        callback_on_step_end=None,
    ):
        assert output_type == "np" and not torch.is_grad_enabled() and all(g.device.type == "cpu" for g in generator)
        self.given.append((num_inference_steps, guidance_scale, guidance_rescale, height, width, strength, prompt))
        for step in range(num_inference_steps):
            callback_on_step_end(self, step, 0, {})
        drawn = [torch.rand((), generator=each).item() for each in generator]
        values = [0.0] * len(generator) if prompt_embeds is None else prompt_embeds.flatten().tolist()
        pixels = np.array([[seed, words, 0.5] for seed, words in zip(drawn, values, strict=True)])
        return SimpleNamespace(images=np.full((len(generator), 1, 1, 3), self.value) if self.value is not None else
                               pixels[:, None, None])  # fmt: skip


class Plain(Pipeline):
    """A pipeline without guidance rescale."""

    def __call__(self, prompt_embeds=None, num_inference_steps=None, guidance_scale=None, generator=None, height=None,
                 width=None, output_type=None, callback_on_step_end=None):  # fmt: skip
        return super().__call__(prompt_embeds, None, num_inference_steps, guidance_scale, 0.0, generator, height, width,
                                None, output_type, callback_on_step_end)  # fmt: skip


WORDS = {"prompt_embeds": torch.tensor([[0.1], [0.2], [0.3], [0.4], [0.5]])}


def sampled(pipeline, conditioning, seeds, rescale=0.0, **options):
    sampling = {"steps": 3, "guidance": 2.0, "guidance_rescale": rescale}
    return list(sample_images(pipeline, conditioning, seeds, sampling, (16, 8), batch=2, **options))


def test_each_image_has_its_own_seed_and_prompt():
    pipeline = Pipeline()
    pixels = np.stack(sampled(pipeline, WORDS, [7, 8, 9, 10, 11]))[:, 0, 0]
    drawn = [torch.rand((), generator=torch.Generator().manual_seed(seed)).item() for seed in (7, 8, 9, 10, 11)]
    assert pixels[:, 0].tolist() == [round(255 * value) for value in drawn]
    assert pixels[:, 1].tolist() == [round(255 * value) for value in WORDS["prompt_embeds"].flatten().tolist()]
    assert pipeline.given == [(3, 2.0, 0.0, 8, 16, None, None)] * 3


def test_settings_hold_for_all_images():
    pipeline = Pipeline()
    sampled(pipeline, {"prompt": ["a"]}, [1, 2, 3], rescale=0.7, settings={"strength": 0.4})
    assert pipeline.given == [(3, 2.0, 0.7, 8, 16, 0.4, ["a", "a"]), (3, 2.0, 0.7, 8, 16, 0.4, ["a"])]
    assert len(sampled(Plain(), {}, [1], rescale=0.7)) == 1, "left out for pipelines that do not support it"


def test_steps_are_counted_for_each_image():
    values = []
    sampled(Pipeline(), WORDS, [1, 2, 3, 4, 5], on_step=values.append)
    assert values == [2, 4, 6, 6, 8, 10, 12, 12, 13, 14, 15, 15]


@pytest.mark.parametrize(
    ("value", "level"), [(0.0, 0), (1.0, 255), (0.498, 127), (0.4985, 127), (0.5, 128), (0.999, 255)]
)
def test_levels_are_rounded(value, level):
    ((pixel,),) = sampled(Pipeline(value), {}, [1])[0]
    assert pixel.tolist() == [level] * 3 and pixel.dtype == np.uint8


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_black_image_is_an_error(value):
    with pytest.raises(LimnerError, match="generated NaN"):
        sampled(Pipeline(value), {}, [1])


@pytest.mark.parametrize(
    ("dtype", "remedy"),
    [
        (torch.float16, "use --precision fp32 or bf16"),
        (torch.float32, "lower --guidance or the weight"),
        (torch.bfloat16, "lower --guidance or the weight"),
    ],
)
def test_precision_is_blamed_only_if_a_higher_one_helps(dtype, remedy):
    pipeline = Pipeline(np.nan)
    pipeline.dtype = dtype
    with pytest.raises(LimnerError, match=remedy):
        sampled(pipeline, {}, [1])


def test_one_black_image_of_several_is_an_error():
    class Half(Pipeline):
        def __call__(self, num_inference_steps=None, guidance_scale=None, generator=None, output_type=None,
                     callback_on_step_end=None):  # fmt: skip
            return SimpleNamespace(images=np.array([[[[0.5] * 3]], [[[np.nan, 0.5, 0.5]]]]))

    with pytest.raises(LimnerError, match="generated NaN"):
        sampled(Half(), {}, [1, 2])


def test_rows():
    assert rows_of(WORDS["prompt_embeds"], 1, 2).flatten().tolist() == pytest.approx([0.2, 0.3])
    assert rows_of(torch.tensor([[7.0, 8.0]]), 4, 3).tolist() == [[7, 8]] * 3
    assert rows_of(["a"], 4, 3) == ["a"] * 3 and rows_of(["a", "b", "c"], 1, 2) == ["b", "c"]
