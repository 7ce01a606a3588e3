"""Inpainting with a UNet of any number of latent channels; diffusers' own pipeline supports 4 and 9."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import StableDiffusionImg2ImgPipeline


class LatentInpainting(StableDiffusionImg2ImgPipeline):
    """After each step, replaces what is outside the mask by the image, at the noise level of the step (RePaint without
    resampling, Lugmayr et al. 2022, arXiv 2201.09865).
    """

    @torch.no_grad()
    def __call__(  # type: ignore[override]
        self,
        *,
        image: list[Any],
        mask_image: list[Any],
        generator: list[torch.Generator],
        callback_on_step_end: Callable[..., dict[str, Any]],
        strength: float = 1.0,
        num_inference_steps: int = 50,
        guidance_scale: float = 7.5,
        prompt_embeds: torch.Tensor | None = None,
        negative_prompt_embeds: torch.Tensor | None = None,
        output_type: str = "pil",
    ) -> Any:
        device, vae = self._execution_device, self.vae
        pixels = self.image_processor.preprocess(image).to(device, vae.dtype)
        clean = vae.encode(pixels).latent_dist.mode() * vae.config.scaling_factor
        holes = torch.stack([torch.from_numpy(np.asarray(hole, dtype=np.float32)) for hole in mask_image]) / 255
        inside = F.adaptive_max_pool2d(holes[:, None], (clean.shape[2], clean.shape[3])).to(device) > 0.5
        seeds = [one.initial_seed() ^ 0x6D61736B for one in generator]  # different noise than that of the latents
        noise = torch.stack([torch.randn(clean.shape[1:], generator=torch.Generator().manual_seed(s)) for s in seeds])
        noise = noise.to(clean)

        def keep_outside(pipe: Any, step: int, timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
            times = self.scheduler.timesteps[-self._num_timesteps :]  # some timesteps come twice
            after = times[step + 1 :][:1]
            outside = self.scheduler.add_noise(clean, noise, after.repeat(len(clean))) if len(after) else clean
            values["latents"] = torch.where(inside, values["latents"], outside.to(values["latents"]))
            return callback_on_step_end(pipe, step, timestep, values)

        return super().__call__(
            image=image,
            strength=strength,
            num_inference_steps=num_inference_steps,
            guidance_scale=guidance_scale,
            generator=generator,
            prompt_embeds=prompt_embeds,
            negative_prompt_embeds=negative_prompt_embeds,
            output_type=output_type,
            callback_on_step_end=cast(Any, keep_outside),
        )
