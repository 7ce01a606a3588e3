"""Requests of several clients in one batch: each client gets its own image."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from limner.provenance.labels import read_label
from limner.server.settings import Settings
from limner.studio.studio import Studio
from serving import PAINT, parsed, service, workers
from waiting import until


@pytest.mark.slow
def test_eight_clients_share_a_batch(tmp_path: Path, starter: Path) -> None:
    with ThreadPoolExecutor(8) as clients, service(tmp_path / "home", workers=0) as running:
        call = running.call

        def asked(number: int) -> tuple[dict[str, Any], bytes]:
            body = PAINT | {"prompt": f"a cat and {number} mugs", "seed": 100 + number, "steps": 4}
            run = call("POST", "/v1/runs", body, Prefer="wait").json
            return run, call("GET", run["artifacts"][0]["url"]).body

        coming = clients.map(asked, range(8))
        until("the eighth run", lambda: len(call("GET", "/v1/runs").json) == 8)
        with workers(running.home, Settings()):
            answers = list(coming)
        for number, (run, body) in enumerate(answers):
            assert run["status"] == "done" and len(run["artifacts"]) == 1, run["error"]
            events = [event["event"] for event in parsed(call("GET", f"{run['url']}/events").body)]
            events = [event for event in events if event not in ("progress", "notice")]
            assert events == ["stage", "stage", "made", "end"]
            (tmp_path / f"{number}.png").write_bytes(body)
            label = read_label(tmp_path / f"{number}.png")
            assert label is not None and label.request.prompt == f"a cat and {number} mugs"
            assert (label.seed, label.together) == (100 + number, 8)
    assert len({body for _, body in answers}) == 8
    studio = Studio(tmp_path / "another")
    studio.reproduce(tmp_path / "3.png", tmp_path / "again")
    studio.store.close()
    (again,) = (tmp_path / "again").glob("*.png")
    assert np.array_equal(np.asarray(Image.open(again)), np.asarray(Image.open(tmp_path / "3.png")))
