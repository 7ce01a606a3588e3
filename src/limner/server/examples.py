"""The examples that the studio offers: an image of the starter, and a character that the starter has never seen."""

from __future__ import annotations

import tempfile
from pathlib import Path

from limner.core.accounts import Caller
from limner.core.drafts import Draft
from limner.core.execution import Execution
from limner.core.requests import AdapterUse, GenerateRequest
from limner.core.runs import Run
from limner.server.dependencies import ServerState
from limner.starter.demo import CLASS, IDENTIFIER, write_character_images

TAG = "example"
"""Tag of the images of the examples."""
PROMPT = f"a photo of {IDENTIFIER} {CLASS} wearing a red scarf in the city"
STEPS = 200
"""Training steps of the example: enough to know the character, and a third of the time of the usual training."""
FIELDS = {
    "class_word": CLASS,
    "identifier": IDENTIFIER,
    "model": "starter",
    "steps": str(STEPS),
    "author": "the painter of Limner",
    "licence": "Apache-2.0",
}
"""What stands in the forms of the draft of the example."""


def add_example_draft(state: ServerState, caller: Caller) -> Draft:
    """Add a draft with eight images of the demo's character, their captions, and the other fields filled in."""
    drafts = state.studio.drafts
    draft = drafts.add(caller.account)
    with tempfile.TemporaryDirectory() as place:
        for path, caption in write_character_images(Path(place) / "images").items():
            drafts.add_image(caller, draft.id, path, path.name, caption)
    return drafts.change(caller.account, draft.id, lambda before: before.with_choices(fields=FIELDS, example=True))


def show_example(
    state: ServerState, caller: Caller, prompt: str, seed: int, execution: Execution, adapter: str = ""
) -> Run:
    """Queue an image of the starter for the first page. adapter: reference of a subject that it was taught."""
    uses = (AdapterUse(path=adapter),) if adapter else ()
    request = GenerateRequest(prompt=prompt, seed=seed, adapter=uses)
    tags = {TAG: "portrait" if adapter else "image"}
    return state.studio.enqueue(request, caller=caller, tags=tags, execution=execution)
