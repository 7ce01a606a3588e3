"""Many clients at once: each gets its own picture, painted together or not."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from test_service import PAINT, Service, end, parsed, start

from limner.engine.provenance.labels import read_label
from limner.studio import Studio


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, starter: Path) -> Iterator[Service]:
    running = start(tmp_path_factory.mktemp("together"))
    yield running
    end(running)


def test_eight_clients_at_once(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call = service.call
    first = call("POST", "/v1/runs", PAINT | {"steps": 100}).json  # what comes now waits, and goes on together

    def asked(number: int) -> tuple[dict[str, Any], bytes]:
        body = PAINT | {"prompt": f"a cat and {number} mugs", "seed": 100 + number, "steps": 4}
        run = call("POST", "/v1/runs", body, Prefer="wait").json
        return run, call("GET", run["artifacts"][0]["url"]).body

    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(asked, range(8)))
    together = set()
    for number, (run, body) in enumerate(answers):
        assert run["status"] == "done" and len(run["artifacts"]) == 1, run["error"]
        events = [event["event"] for event in parsed(call("GET", f"{run['url']}/events").body)]
        assert [event for event in events if event != "progress"] == ["stage", "stage", "made", "end"]
        (tmp_path / f"{number}.png").write_bytes(body)
        label = read_label(tmp_path / f"{number}.png")
        assert label is not None and label.request.prompt == f"a cat and {number} mugs" and label.seed == 100 + number
        together.add(label.together)
    assert together != {None}, "they were painted one by one"
    assert call("GET", first["url"]).json["status"] == "done"
    assert len({body for _, body in answers}) == 8
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    studio = Studio(tmp_path / "home")
    studio.again(tmp_path / "3.png", tmp_path / "again")
    studio.store.close()
    (again,) = (tmp_path / "again").glob("*.png")
    assert np.array_equal(np.asarray(Image.open(again)), np.asarray(Image.open(tmp_path / "3.png")))
