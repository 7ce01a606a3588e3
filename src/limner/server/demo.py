"""The example that the studio offers on its first page: a character that the starter has never seen."""

from __future__ import annotations

import tempfile
from pathlib import Path

from limner.core.accounts import Caller
from limner.core.execution import Execution
from limner.core.requests import AdapterUse, GenerateRequest, TrainRequest
from limner.core.runs import Run
from limner.server.dependencies import ServerState
from limner.starter.demo import CLASS, IDENTIFIER, TRAINING_STEPS, write_character_images

PREVIEW_EVERY = 100
"""Training steps between two previews."""
TAG = "example"
"""Tag of the runs of the example."""
PROMPT = f"a photo of {IDENTIFIER} {CLASS} wearing a red scarf in the city"


def teach_example(state: ServerState, caller: Caller) -> Run:
    """Store the images of the demo's character for the caller, and queue the training on them."""
    with tempfile.TemporaryDirectory() as folder:
        photographs = Path(folder) / "photographs"
        write_character_images(photographs)
        data = state.studio.files.upload(photographs, caller)
    request = TrainRequest(
        data=data,
        class_word=CLASS,
        identifier=IDENTIFIER,
        steps=TRAINING_STEPS,
    )
    execution = Execution(preview_every=PREVIEW_EVERY)
    return state.studio.enqueue(request, caller=caller, tags={TAG: "teach"}, execution=execution)


def show_example(
    state: ServerState, caller: Caller, prompt: str, seed: int, execution: Execution, adapter: str = ""
) -> Run:
    """Queue an image of the starter for the first page. adapter: reference of a subject that it was taught."""
    uses = (AdapterUse(path=adapter),) if adapter else ()
    request = GenerateRequest(prompt=prompt, seed=seed, adapter=uses)
    tags = {TAG: "portrait" if adapter else "image"}
    return state.studio.enqueue(request, caller=caller, tags=tags, execution=execution)
