"""Requests over HTTP with wrong names or values are refused at once, by nothing but the request itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from limner.core.kinds import KINDS
from limner.core.requests import parse_request
from limner.server.app import create_app
from limner.server.settings import Settings
from limner.studio.studio import Studio

A, B = f"sha256:{'a' * 64}", f"folder:{'b' * 64}"
GENERATE: dict[str, Any] = {"kind": "generate", "prompt": "a cat"}
TRAIN: dict[str, Any] = {"kind": "train", "data": B, "identifier": "sks", "class_word": "dog"}
SWEEP: dict[str, Any] = {"kind": "sweep", "prompt": ["a cat"], "axis": ["guidance=1,2"]}
COMPARE: dict[str, Any] = {"kind": "compare", "contestants": ["starter", "sd15"], "prompt": ["a cat"]}
EVALUATE: dict[str, Any] = {"kind": "evaluate", "target": "starter", "prompt": ["a cat"]}
PREPARE: dict[str, Any] = {"kind": "prepare", "sources": [B], "class_word": "dog"}
INFLUENCE: dict[str, Any] = {"kind": "influence", "picture": [A], "adapter": A, "model": "starter", "data": B}
IMPROVE: dict[str, Any] = {"kind": "improve", "target": B, "model": "starter"}
REFUSED: list[tuple[dict[str, Any], str]] = [
    (GENERATE | {"scheduler": "ddi"}, "unknown scheduler 'ddi'"),
    (GENERATE | {"model": "owner/name", "scheduler": "ddi"}, "unknown scheduler 'ddi'"),
    (GENERATE | {"model": "flux-schnell", "scheduler": "ddim"}, "scheduler 'ddim' is not supported"),
    (GENERATE | {"width": 100}, "width 100 is not a multiple of 8"),
    (GENERATE | {"height": 100}, "height 100 is not a multiple of 8"),
    (GENERATE | {"image": A, "strength": 0.01}, "strength (0.01) leaves none of 8 steps"),
    (GENERATE | {"control": [f"edges={A}"]}, "unknown control 'edges'"),
    (GENERATE | {"model": "startr"}, "'startr' is not a reference"),
    (GENERATE | {"adapter": ["nosuch"]}, "'nosuch' is not a reference"),
    (GENERATE | {"image": "nosuch.png"}, "'nosuch.png' is not a reference"),
    (TRAIN | {"resolution": 101}, "resolution 101 is not a multiple of 8"),
    (TRAIN | {"method": "lor"}, "unknown method 'lor'"),
    (SWEEP | {"axis": ["scheduler=ddim,ddi"]}, "unknown scheduler 'ddi'"),
    (SWEEP | {"width": 100}, "width 100 is not a multiple of 8"),
    (SWEEP | {"metric": ["saturatio"]}, "unknown metric 'saturatio'"),
    (COMPARE | {"metric": ["saturatio"]}, "unknown metric 'saturatio'"),
    (COMPARE | {"scheduler": "ddi"}, "unknown scheduler 'ddi'"),
    (COMPARE | {"contestants": ["a/b", "c/d"], "scheduler": "ddi"}, "unknown scheduler 'ddi'"),
    (COMPARE | {"width": 100}, "width 100 is not a multiple of 8"),
    (EVALUATE | {"metric": ["saturatio"]}, "unknown metric 'saturatio'"),
    (EVALUATE | {"height": 100}, "height 100 is not a multiple of 8"),
    (PREPARE | {"crop": "subject", "detector": "fac"}, "unknown detector 'fac'"),
    (PREPARE | {"make_masks": True, "detector": "fac"}, "unknown detector 'fac'"),
    (INFLUENCE | {"model": "startr"}, "'startr' is not a reference"),
    (IMPROVE | {"source": "pair"}, "'pair' is not a reference"),
    (IMPROVE | {"model": None}, "model is not given"),
]
VALID: list[dict[str, Any]] = [
    GENERATE | {"vae": "owner/vae", "refiner": "owner/refiner", "adapter": [A], "image": A},
    GENERATE | {"model": "owner/name", "width": 100, "scheduler": "ddim"},
    GENERATE | {"model": A, "width": 104, "vae": "owner/vae", "refiner": "owner/refiner", "adapter": [A]},
    GENERATE | {"image": A, "mask": A, "control": [f"canny={A}"], "control_model": ["owner/controlnet"]},
    TRAIN | {"model": "owner/name", "resolution": 101},
    SWEEP | {"axis": ["scheduler=ddim,euler"], "metric": ["saturation"]},
    COMPARE | {"contestants": [B, "owner/name"], "model": "starter", "width": 104},
    EVALUATE | {"target": B, "model": "starter", "dataset": B},
    PREPARE | {"detector": "fac", "crop": "none"},
    INFLUENCE,
    IMPROVE | {"source": "pairs", "references": B, "industry": "food"},
    IMPROVE | {"target": "owner/name", "source": A, "encoder": "owner/clip"},
]
"""Requests of which only a worker can know whether it can execute them."""


def test_every_kind_is_tried() -> None:
    assert {body["kind"] for body, _ in REFUSED} == {body["kind"] for body in VALID} == KINDS.keys()


class Anyone(Studio):
    """A studio in which all uploads belong to whoever names them."""

    def _check_references(self, request: Any, caller: Any, granted: Any) -> None:
        super()._check_references(request, None, granted)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    return TestClient(create_app(Anyone(tmp_path_factory.mktemp("refused")), Settings()), base_url="http://127.0.0.1")


@pytest.mark.parametrize(("body", "problem"), REFUSED, ids=[f"{body['kind']} {problem}" for body, problem in REFUSED])
def test_a_wrong_request_is_no_run(client: TestClient, body: dict[str, Any], problem: str) -> None:
    response = client.post("/v1/runs", json=body)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert problem in response.json()["detail"]
    assert client.get("/v1/runs").json() == []


@pytest.mark.parametrize("number", range(len(VALID)))
def test_the_check_reads_no_file_and_no_cache(number: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    read: list[Any] = []
    body = VALID[number]
    folder = tmp_path / "owner" / "name"
    folder.mkdir(parents=True)
    (folder / "model_index.json").write_text("broken")
    monkeypatch.chdir(tmp_path)
    load = KINDS[body["kind"]].load_value_check()
    request = parse_request(body)
    with monkeypatch.context() as patches:
        for name in ("on_disk", "index_of", "part_config"):
            patches.setattr(f"limner.models.hub.{name}", lambda *args, **options: read.append(args))
        for name in ("exists", "is_file", "is_dir", "open"):
            patches.setattr(Path, name, lambda *args, **options: read.append(args))
        load(request)
    assert read == []


SCRIPT = """
import json, sys
from limner.core.errors import LimnerError
from limner.core.requests import parse_request
from limner.studio.studio import Studio
studio, refused = Studio(sys.argv[1]), 0
for body in json.loads(sys.stdin.read()):
    try:
        studio.enqueue(parse_request(body))
    except LimnerError:
        refused += 1
print(refused, sorted({"torch", "diffusers", "transformers"} & sys.modules.keys()))
"""


def test_refusing_imports_nothing_heavy(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        input=json.dumps([body for body, _ in REFUSED]),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    assert done.stdout.strip() == f"{len(REFUSED)} []", done.stderr
