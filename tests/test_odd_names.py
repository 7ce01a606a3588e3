"""Long, odd and special names wherever one is taken: an error on one line, never a traceback or a status 5xx."""

from __future__ import annotations

import ast
import io
import json
import zipfile
from pathlib import Path
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from PIL import Image

import limner as package
import limner.models.loading
from hostile import BODIES
from limner.core.files import expand_home
from limner.core.kinds import KINDS
from limner.core.requests.request import reference_kind_of
from limner.server.app import create_app
from limner.server.settings import Settings
from limner.store.manifests import PART_BYTES, is_safe_name
from limner.studio.studio import Studio

NAMES = {
    "3,000 letters": "x" * 3000,
    "200 letters of two bytes": "é" * 200,
    "2,000 folders": "a/" * 2000 + "b",
    "repository of 300 letters": "a" * 300 + "/b",
    "memory": "/proc/self/mem",
    "device": "/dev/zero",
    "inside a device": "/dev/null/x",
    "unknown user": "~nobody-here/x",
    "not UTF-8": "x\udcff",
    "line end": "a\nb",
    "empty": "",
    "colon": "a:b:c",
    "format": "%s%n{0}",
    "address": "http://[::1",
    "reference": "sha256:zz",
    "folder": "folder:" + "0" * 64,
    "hub's file": "a/b/c.safetensors",
    "no repository": "..a/b--c",
    "emoji": "🐕‍🦺",
    "control": "\x1b[2J\u202e",
}
OK = "ok.png"
COMMANDS: dict[str, list[str]] = {
    "run": ["run", "NAME"],
    "show": ["show", "NAME"],
    "verify": ["verify", "NAME"],
    "history": ["history", "--search", "NAME", "--model", "NAME"],
    "rate": ["rate", "NAME", "3"],
    "rank": ["rank", "NAME"],
    "comparison": ["rank", OK, "--comparison", "NAME"],
    "opinions": ["opinions", "NAME"],
    "evaluation": ["opinions", OK, "--evaluation", "NAME"],
    "export": ["feedback", "export", "NAME"],
    "model to get": ["models", "get", "NAME"],
    "account": ["keys", "add", "NAME"],
    "key": ["keys", "revoke", "NAME"],
    "role": ["keys", "role", "NAME", "viewer"],
    "archive to restore": ["restore", "NAME"],
    "run to erase": ["erase", "NAME"],
    "owner to erase": ["erase", "owner:NAME"],
    "image to erase": ["erase", "image:NAME"],
    "job": ["queue", "stop", "NAME"],
    "reference to keep": ["prune", "--keep", "NAME"],
    "recipe": ["generate", "--recipe", "NAME"],
    "scheduler": ["generate", "a", "--scheduler", "NAME"],
    "policy": ["serve", "--policy", "NAME", "--port", "0"],
    "profile": ["serve", "--profile", "NAME", "--port", "0"],
    "command": ["NAME"],
    "out": ["run", OK, "--out", "NAME"],
}
"""A command for each name that is not a field of a request."""
LEAST = {"generate": ["a"], "train": ["--class", "dog"], "sweep": ["a"], "compare": ["--prompt", "a"], "influence": []}


@pytest.fixture
def refused(limner, tmp_path):
    """Run a command with a name in place of NAME, and assert that it ends with at most one line of an error."""
    Image.new("RGB", (64, 64)).save(tmp_path / OK)

    def run(arguments: list[str], name: str) -> str:
        done = limner(*(part.replace("NAME", name) for part in arguments))
        assert done.code in (0, 1, 2), done
        return done.error if done.code == 2 else ""

    return run


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_refuses_odd_names_on_one_line(refused, command):
    """Every third name with each command, so that every name is tried with many of them."""
    for name in [*NAMES.values()][[*COMMANDS].index(command) % 3 :: 3]:
        refused(COMMANDS[command], name)


FIELDS = ("model", "vae", "adapter", "image", "refiner")


@pytest.mark.parametrize("field", FIELDS)
def test_generate_refuses_odd_names_on_one_line(refused, field):
    """Every second name with each field."""
    names = [name for what, name in NAMES.items() if what != "device"][FIELDS.index(field) % 2 :: 2]
    said = [refused(["generate", "a", f"--{field}", "NAME"], name) for name in names]
    assert said and all(said), "each is refused"


@pytest.mark.parametrize("name", ["2,000 folders", "not UTF-8", "3,000 letters"])
def test_results_are_not_written_to_odd_places(refused, name):
    assert refused(["train", ".", "--class", "dog", "--steps", "1", "--out", "NAME"], NAMES[name])


def test_a_home_folder_that_does_not_exist_is_part_of_the_name():
    assert expand_home("~nobody-here/x") == Path("~nobody-here/x")
    assert expand_home("~/x") == Path.home() / "x"


def test_home_folders_are_expanded_in_one_place():
    """pathlib's `expanduser` raises RuntimeError for an unknown user."""
    found = {
        path.name
        for path in Path(package.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "expanduser"
    }
    assert found == {"files.py"}


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("x" * PART_BYTES, True),
        ("x" * (PART_BYTES + 1), False),
        ("é" * 127, True),
        ("é" * 128, False),
        ("/".join(["é" * 99] * 5), True),
        ("/".join(["é" * 100] * 5), False),
    ],
)
def test_names_of_stored_files_fit_a_disk(name, safe):
    assert is_safe_name(name) is safe


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """A client of a server; an error inside is a status 500."""
    studio = Studio(tmp_path_factory.mktemp("home"))
    with TestClient(
        create_app(studio, Settings()), base_url="http://127.0.0.1", raise_server_exceptions=False
    ) as found:
        yield found
    studio.store.close()


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_folder_with_odd_file_names_is_no_server_error(client, name):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name.replace("\udcff", "") or "x/", b"x")
    zipped = client.post("/v1/folders", content=file.getvalue(), headers={"Content-Type": "application/zip"})
    form = client.post("/v1/folders", files={"files": (name.replace("\udcff", ""), b"x")})
    for answer in (zipped, form):
        assert answer.status_code < 500, answer.text
        if any(len(part.encode()) > PART_BYTES for part in name.replace("\udcff", "").split("/")):
            assert answer.status_code == 422 and "at most 255 bytes" in answer.json()["remedy"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_with_odd_names_is_no_server_error(client, kind):
    model = KINDS[kind].load_request()
    fields = [name for name, field in model.model_fields.items() if reference_kind_of(field) or name == "scheduler"]
    for number, name in enumerate(NAMES.values()):
        for place, field in enumerate(fields):
            value = name if (number + place) % 2 else [name]
            body = json.dumps({"kind": kind, **BODIES[kind], field: value})
            answer = client.post("/v1/runs", content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code < 500, (field, name, answer.text)


def test_an_address_with_odd_names_is_no_server_error(client):
    for path in client.app.openapi()["paths"]:
        for name in (NAMES["3,000 letters"], NAMES["not UTF-8"], NAMES["control"]):
            text = quote(name.encode("utf-8", "surrogateescape"), safe="")
            for method in ("get", "delete"):
                filled = "/".join(text if part.startswith("{") else part for part in path.split("/"))
                answer = client.request(method, f"{filled}?search={text}&after={text}&status={text}&owner={text}")
                assert answer.status_code < 500, (method, filled, answer.text)
