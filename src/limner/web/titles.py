"""What runs and their kinds are called on the pages."""

from __future__ import annotations

import re

from limner.core.adapter_names import adapter_name, short_name
from limner.core.requests import ImproveRequest, InfluenceRequest, PrepareRequest, TrainRequest
from limner.core.runs import Run
from limner.server.replies import without_paths

KIND_TEXTS = {
    "generate": "Images",
    "train": "Training",
    "prepare": "Check of photos",
    "evaluate": "Measurement",
    "compare": "Comparison",
    "sweep": "Series",
    "influence": "Influential photos",
    "improve": "Improvement",
}
_HASH = re.compile(r"\b((?:sha256|folder):[0-9a-f]{12})[0-9a-f]{52}\b")
LONGEST_TITLE = 300
PROMPT_TAG = "prompt"
"""The tag of a search for influential photos with the prompt of its image."""
LONGEST_PROMPT = 100


def kind_text(kind: str | None) -> str:
    """A kind of request in plain words."""
    return KIND_TEXTS.get(kind or "", kind or "")


def title_of(run: Run) -> str:
    """A run in one line: the prompt of images, the subject of a training, with shortened references."""
    request = run.request
    if isinstance(request, TrainRequest):
        return f"Teach {adapter_name(request, run.tags)}"
    if isinstance(request, ImproveRequest):
        return f"Improve {short_name(request.improved)}"
    if isinstance(request, PrepareRequest) and run.queue is not None:
        return f"Prepare images of {request.class_word}" if request.class_word else "Prepare images"
    if isinstance(request, InfluenceRequest) and run.queue is not None:
        return _influence_title(request, run.tags.get(PROMPT_TAG, ""))
    text = request.summary if run.queue is not None else without_paths(request.summary)
    shortened = _HASH.sub(r"\1…", text) or kind_text(request.kind)
    return shortened if len(shortened) <= LONGEST_TITLE else shortened[: LONGEST_TITLE - 1] + "…"


def _influence_title(request: InfluenceRequest, prompt: str) -> str:
    if not request.picture:
        return "How useful the training photos are"
    if prompt:
        shown = prompt if len(prompt) <= LONGEST_PROMPT else prompt[: LONGEST_PROMPT - 1].rstrip() + "…"
        return f"Photos that influenced “{shown}”"
    count = len(request.picture)
    return f"Photos that influenced {'an image' if count == 1 else f'{count} images'}"
