"""The stock way to serve images: one diffusers pipeline behind FastAPI, with a lock around it.

    uvicorn stock_server:app --app-dir benchmarks

MODEL: folder of the model. THREADS: processor threads.
"""

from __future__ import annotations

import os
import threading
from io import BytesIO
from typing import Any

import torch
from diffusers import StableDiffusionPipeline
from fastapi import FastAPI, Response
from pydantic import BaseModel

torch.set_num_threads(int(os.environ.get("THREADS", "1")))
pipeline = StableDiffusionPipeline.from_pretrained(os.environ["MODEL"], safety_checker=None)
pipeline.set_progress_bar_config(disable=True)
lock = threading.Lock()
app = FastAPI()


class Wish(BaseModel):
    prompt: str
    seed: int
    steps: int
    guidance: float
    guidance_rescale: float


@app.post("/paint")
def paint(wish: Wish) -> Response:
    with lock:
        answer: Any = pipeline(
            wish.prompt,
            num_inference_steps=wish.steps,
            guidance_scale=wish.guidance,
            guidance_rescale=wish.guidance_rescale,
            generator=torch.Generator().manual_seed(wish.seed),
        )
    image = answer.images[0]
    body = BytesIO()
    image.save(body, format="PNG")
    return Response(body.getvalue(), media_type="image/png")
