"""Request kinds are registered once: exports, commands, recipes and executors follow from the registry."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

import limner
from limner.cli.app import application
from limner.core import requests
from limner.core.kinds import KINDS, MAKE_ADAPTERS
from limner.core.requests import KnownRequest, parse_request
from limner.core.requests.request import Trait, fields_with


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_is_exported_and_has_a_command_with_recipes(name: str) -> None:
    kind = KINDS[name]
    request: Any = kind.load_request()
    assert getattr(limner, request.__name__) is getattr(requests, request.__name__) is request
    assert request.__name__ in limner.__all__ and request.__name__ in requests.__all__
    assert request.model_fields["kind"].default == name and request in get_args(KnownRequest)
    assert callable(kind.load_executor()) and callable(kind.load_command())
    flags = {flag for each in application([name])[name].assemble_argument_collection() for flag in each.names}
    assert {"--recipe", "--out", *(f"--{field.replace('_', '-')}" for field in kind.execution)} <= flags


def test_what_makes_an_adapter_is_resumed_by_its_checkpoints() -> None:
    assert {"train", "improve"} == MAKE_ADAPTERS
    assert {KINDS[name].resumed_by for name in MAKE_ADAPTERS} == {("--resume",)}


def test_the_static_imports_name_every_request_class() -> None:
    """What type checkers see of `limner` is what its registry exports."""
    assert {kind.request_class for kind in KINDS.values()} <= set(requests.__all__)


MODULE = """
from typing import Annotated, Literal
from limner.core.requests.request import Flag, Request

class EchoRequest(Request):
    kind: Annotated[Literal["echo"], Flag(hidden=True)] = "echo"
    text: Annotated[str, Flag(positional=True)]

def echo(request, execution, *, out="x"):
    print(request.kind, request.text, execution.device, out)
"""
SCRIPT = """
import sys
from importlib.util import spec_from_file_location
from limner.core.kinds import KINDS, CommandGroup, RequestKind

class Finder:
    def find_spec(name, path, target=None):
        return spec_from_file_location(name, sys.argv[1]) if name.endswith(".echo") else None

sys.meta_path.insert(0, Finder)
places = ("echo:EchoRequest", "echo:echo", "echo:check", "echo:echo")
KINDS["echo"] = RequestKind("echo", *places, ("device",), "Echo a text.", CommandGroup.START, ("echo hi", "echo ho"))
from limner.cli import main
from limner.core.execution import parse_body

request, execution = parse_body({"kind": "echo", "text": "hi", "device": "cpu"})
KINDS["echo"].load_executor()(request, execution)
main(["echo", "hello", "--device", "cpu", "--out", "y"])
"""


def test_a_new_kind_needs_one_line_beside_its_own_files(tmp_path: Path) -> None:
    (tmp_path / "echo.py").write_text(MODULE)
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "echo.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["echo hi cpu x", "echo hello cpu y"], done.stderr


def test_kinds_are_distinguished_in_json() -> None:
    assert type(parse_request({"kind": "generate", "prompt": "a"})) is limner.GenerateRequest
    with pytest.raises(ValueError, match="kind"):
        parse_request({"kind": "nosuch"})


def test_which_fields_of_a_dataset_change_how_images_are_read() -> None:
    """A new field counts as one that does, until it is annotated."""
    later = set(fields_with(limner.PrepareRequest, Trait.AFTER_DECODING))
    assert {"size", "crop", "buckets", "limit", "format", "quality", "sources", "masks"}.isdisjoint(later)
    assert {"caption", "trigger", "ban", "split", "balance", "seed", "kohya"} <= later
