"""The studio's pages, without a browser."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from fastapi.testclient import TestClient
from lxml import html
from PIL import Image
from safetensors.numpy import save

from limner.core.requests import TrainRequest
from limner.core.runs import Run, Status
from limner.server.settings import Settings
from limner.store.queue import Queue
from limner.store.runs import Lease
from limner.studio.studio import Studio
from limner.web.site import create_site
from serving import parsed

EXAMPLES = 200
"""Prompts of the library of examples."""
PART = {"HX-Request": "true", "Accept": "text/html"}


@dataclass
class Site:
    """A site and a client of it."""

    studio: Studio
    client: TestClient

    def page(self, path: str, **options) -> html.HtmlElement:
        response = self.client.get(path, **options)
        assert response.status_code == 200, response.text
        return html.fromstring(response.text)


def site_of(home, **settings) -> Site:
    studio = Studio(home)
    client = TestClient(create_site(studio, Settings(**settings)), base_url="http://127.0.0.1", follow_redirects=False)
    client.headers["Accept"] = "text/html"
    return Site(studio, client)


def tree(response: Any) -> html.HtmlElement:
    return html.fromstring(response.text)


def text_of(element: html.HtmlElement) -> str:
    return " ".join(element.text_content().split())


def streamed(
    site: Site, path: str, seconds: float = 0.0, act: Callable[[], object] = lambda: None
) -> list[html.HtmlElement]:
    """The parts that a stream of a page sends while something happens; without `seconds`, only the first one."""
    waiter = site.client.app.state.server.waiter  # type: ignore[attr-defined]

    def meanwhile() -> None:
        time.sleep(seconds / 2)
        act()
        time.sleep(seconds / 2)
        waiter.stop()

    thread = threading.Thread(target=meanwhile)
    thread.start() if seconds else waiter.stop()
    response = site.client.get(path, headers={**PART, "Accept": "text/html, text/event-stream"})
    if seconds:
        thread.join()
    waiter.stopping = False
    assert response.headers["content-type"].startswith("text/event-stream"), response.text
    return [html.fromstring(each["data"]) for each in parsed(response.content) if "event" not in each]


def adapter_file(**header: str) -> bytes:
    """The bytes of an adapter. header: its metadata; "__" in a name stands for a dot."""
    tensors = {"lora_unet_down.lora_down.weight": np.zeros((1, 1), np.float32)}
    return save(tensors, {name.replace("__", "."): value for name, value in header.items()})


def teach(site: Site, say: str = "a photo of sks cat", **fields) -> str:
    """A train run that is done, with an adapter of invented content; returns the adapter's reference."""
    data = site.studio.files.upload(picture_folder(site))
    run = site.studio.enqueue(TrainRequest(data=data, class_word="cat", identifier="sks", **fields))
    queue = Queue(site.studio.store, lease=timedelta(minutes=5))
    ((claimed, lease),) = queue.claim("worker", 1)
    assert claimed.id == run.id
    return finish_teaching(site, claimed, lease, say)


def finish_teaching(site: Site, run: Run, lease: Lease, say: str = "a photo of sks cat") -> str:
    """End a train run with an adapter of invented content; returns the adapter's reference."""
    place = site.studio.home / f"adapter-{run.id}"
    place.mkdir()
    (place / "adapter.safetensors").write_bytes(adapter_file(run=run.id))
    reference = site.studio.files.save(place)
    details = {"reference": reference, "say": say, "trigger_words": ["sks"], "base": "starter"}
    site.studio.store.add_artifact(run.id, "adapter", place, "0" * 64, details, lease)
    Queue(site.studio.store).finish(lease, Status.DONE)
    return reference


def picture_folder(site: Site) -> Path:
    """A folder with one picture."""
    place = site.studio.home / "photographs"
    place.mkdir(exist_ok=True)
    Image.new("RGB", (16, 16), "red").save(place / "1.png")
    return place


def newest(home) -> Run:
    """The newest run of a home."""
    studio = Studio(home)
    try:
        return studio.runs.list(1)[0]
    finally:
        studio.close()


def picture(folder: Path, size=(300, 200), name="photo.png") -> Path:
    """A plain image in a folder."""
    place = folder / name
    Image.new("RGB", size, "teal").save(place)
    return place
