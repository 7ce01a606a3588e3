"""Check `safety_checker`: the safety checker of Stable Diffusion.

It compares an image's CLIP embedding with those of 20 concepts, which are not published; Rando et al. 2022 (arXiv
2210.04610) found out what they are.
"""

from __future__ import annotations

from typing import Any

from limner.core.files import expand_home
from limner.core.moderation import Finding, JudgeFunction, ModelReference
from limner.core.requests import Frozen

UNSAFE = "not safe for work"


class SafetyCheckerOptions(Frozen):
    """model: a folder or a Hugging Face id, of the checker itself or of a pipeline that contains one."""

    model: ModelReference = "CompVis/stable-diffusion-safety-checker"


class SafetyChecker:
    Options = SafetyCheckerOptions
    texts, pictures = False, True

    def ready(self, options: Any) -> JudgeFunction:
        import torch
        from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
        from PIL import Image
        from transformers import AutoImageProcessor

        from limner.models.classifiers import checked, load_model, load_processor

        in_pipeline = (expand_home(options.model) / "safety_checker").is_dir()
        folders = ({"subfolder": "safety_checker"}, {"subfolder": "feature_extractor"}) if in_pipeline else ({}, {})
        model = load_model(StableDiffusionSafetyChecker, options.model, **folders[0])
        processor = load_processor(AutoImageProcessor, options.model, backend="pil", **folders[1])

        def judge(image: Any) -> Finding:
            with torch.inference_mode():
                pixels = processor(images=image, return_tensors="pt")["pixel_values"]
                if not torch.isfinite(model.visual_projection(model.vision_model(pixels)[1])).all():
                    raise ValueError("the image's embedding is not finite")
                _, flagged = model(clip_input=pixels, images=torch.zeros(1, 1))
            return Finding(UNSAFE if flagged[0] else None)

        return checked(judge, Image.new("RGB", (64, 48)), options.model)


plugin = SafetyChecker()
