"""Damaged and hostile .safetensors files: one line of our own wherever one is read."""

from __future__ import annotations

import os
import shutil

import pytest

from hostile import OF_LIBRARY, TENSOR_FILES
from limner.core.errors import LimnerError
from limner.models.adapters import open_adapter
from limner.models.embeddings import read_embeddings
from limner.models.loading import resolve
from limner.models.lora_file import LoraFile
from limner.plugins.metrics.aesthetic import read_head

READERS = {
    "adapter": open_adapter,
    "embeddings": lambda path: read_embeddings(path),
    "LoRA": lambda path: LoraFile(path, {}, "unet").updates(),
    "model": lambda path: resolve(str(path)),
    "head": lambda path: read_head(str(path)),
}
"""What opens a .safetensors file, by what it is for."""


def line_of_our_own(text: str) -> bool:
    return "\n" not in text and not any(part in text for part in OF_LIBRARY)


@pytest.mark.parametrize("what", READERS)
@pytest.mark.parametrize("data", TENSOR_FILES.values(), ids=TENSOR_FILES)
def test_a_hostile_file_is_refused_in_our_own_words(tmp_path, what, data):
    place = tmp_path / "hostile.safetensors"
    place.write_bytes(data)
    with pytest.raises(LimnerError, match=r"hostile\.safetensors' cannot be read: ") as caught:
        READERS[what](place)
    assert line_of_our_own(str(caught.value)), caught.value


@pytest.mark.parametrize("what", READERS)
def test_a_pipe_is_refused_without_waiting(tmp_path, what):
    os.mkfifo(place := tmp_path / "pipe.safetensors")
    with pytest.raises(LimnerError):
        READERS[what](place)


@pytest.mark.parametrize("part", ["unet", "text_encoder", "vae"])
@pytest.mark.parametrize("name", ["header too large", "header no JSON", "offsets beyond the file", "overlap"])
def test_a_model_folder_with_a_hostile_part(limner, tiny_sd, tmp_path, part, name):
    folder = shutil.copytree(tiny_sd, tmp_path / "model")
    (file,) = (folder / part).glob("*.safetensors")
    file.write_bytes(TENSOR_FILES[name])
    done = limner("generate", "a cat", "--steps", "1", "--model", folder)
    assert done.code == 2 and line_of_our_own(done.error), done.err
