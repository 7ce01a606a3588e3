"""Container image and compose file: linted, without default passwords, published on loopback only."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]


def linter(name: str) -> Path:
    found = Path(sys.executable).with_name(name)
    if not found.exists():
        pytest.skip(f"{name} is not installed")
    return found


def test_the_containerfile_passes_its_linter() -> None:
    done = subprocess.run([linter("hadolint"), ROOT / "Containerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_compose_file_is_valid() -> None:
    command = [linter("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", ROOT / "compose.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_passwords_have_no_default() -> None:
    text = (ROOT / "compose.yaml").read_text().replace("${TORCH_FLAGS:-}", "")  # no secret
    expected = set(re.findall(r"\$\{(\w+)", text))
    assert text.count("${") == text.count(":?is not set; see compose.env}"), "a missing value is an error"
    given = dict(re.findall(r"^(\w+)=(.*)$", (ROOT / "compose.env").read_text(), re.M))
    assert expected == given.keys() - {"TORCH_FLAGS"} and not any(given.values())


def test_only_the_server_is_published_on_loopback() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    assert [name for name, service in services.items() if "ports" in service] == ["service"]
    assert services["service"]["ports"] == ["127.0.0.1:7412:7412"]
    assert not any(service["image"].endswith(":latest") for service in services.values())


def test_the_container_copies_existing_files() -> None:
    ignored = (ROOT / ".containerignore").read_text()
    assert ignored == (ROOT / ".dockerignore").read_text()
    kept = re.findall(r"^!(\S+)$", ignored, re.M)
    text = (ROOT / "Containerfile").read_text()
    copied = {name for line in re.findall(r"^COPY (?!--)(.+) \S+$", text, re.M) for name in line.split()}
    assert copied == set(kept) and all((ROOT / name).exists() for name in kept)
    assert "USER 10001" in text and "/readyz" in text
