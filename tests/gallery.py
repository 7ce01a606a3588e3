"""Images for galleries, recorded as if runs had generated them."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image

from limner.core.accounts import Caller
from limner.core.requests import GenerateRequest
from limner.core.runs import Run, Status
from limner.provenance.labels import write_png
from limner.studio.runs import QUEUE
from limner.studio.studio import Studio

COLOURS = ("tomato", "seagreen", "steelblue", "goldenrod", "orchid", "slategray")


def png(colour: str = "tomato", size: tuple[int, int] = (320, 240)) -> bytes:
    out = BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return out.getvalue()


def add_run(
    studio: Studio, request: GenerateRequest, caller: Caller | None = None, tags: dict[str, str] | None = None
) -> Run:
    """Record a run of the queue that is done; no worker ever sees it waiting."""
    run = studio.store.create(request, caller=caller, tags=tags)
    return studio.store.update(run.id, status=Status.DONE, queue=QUEUE)


def add_image(
    studio: Studio,
    prompt: str = "a cat",
    colour: str = "tomato",
    size: tuple[int, int] = (320, 240),
    owner: str = "",
    run: Run | None = None,
    tags: dict[str, str] | None = None,
    **fields: Any,
) -> int:
    """Record an image of a run, a new one unless it is given; returns the image's id."""
    caller = Caller(account=owner)
    if run is None:
        run = add_run(studio, GenerateRequest(prompt=prompt, **fields), caller, tags)
    number = len(studio.runs.artifacts(run.id))
    with TemporaryDirectory() as folder:
        place = Path(folder) / "image.png"
        write_png(Image.new("RGB", size, colour), place)
        place.write_bytes(place.read_bytes() + f"{run.id} {number}".encode())  # each file is another one
        reference = studio.files.save(place)
    details = {"seed": run.request.seed + number, "width": size[0], "height": size[1], "reference": reference}
    sha256 = reference.removeprefix("sha256:")
    return studio.store.add_artifact(run.id, "picture", f"/{run.id}/{number}.png", sha256, details).id
