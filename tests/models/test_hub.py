"""References to models on the hub, and what a model card says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from limner.models import hub


def test_a_file_on_the_hub_is_no_local_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hub.file_of("who/files/deep/model.safetensors") == ("who/files", "deep/model.safetensors")
    for other in ("who/files", "who/files/model.ckpt", "/who/files/model.safetensors"):
        assert hub.file_of(other) is None
    monkeypatch.chdir(tmp_path)
    (tmp_path / "who/files").mkdir(parents=True)
    (tmp_path / "who/files/model.safetensors").touch()
    assert hub.file_of("who/files/model.safetensors") is None


def test_a_single_part_in_the_cache_is_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached: dict[str, Any] = {}
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda repository, name: cached.get(name))
    assert hub.on_disk("who/vae") is None
    cached["config.json"] = str(tmp_path / "vae/config.json")
    assert hub.on_disk("who/vae") == tmp_path / "vae"
    cached["model_index.json"] = str(tmp_path / "pipeline/model_index.json")
    assert hub.on_disk("who/vae") == tmp_path / "pipeline"


def test_the_licence_is_the_line_of_that_name(tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    assert hub.card_licence(card) == "unknown"
    card.write_text("---\nlicense_name: mine\nlicense: cc0-1.0\n---\n")
    assert hub.card_licence(card) == "cc0-1.0"
    card.write_text("---\nlicense_name: mine\n---\n")
    assert hub.card_licence(card) == "unknown"
