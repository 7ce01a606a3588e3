"""Reproducing an image: the request in its label, checked so that it generates the same image again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from limner.core.errors import LimnerError
from limner.core.events import Emit, Notice
from limner.core.execution import Execution, split_body
from limner.core.files import expand_home, read_file
from limner.core.requests import GenerateRequest, references_of
from limner.models.loading import needs_download, resolve
from limner.plugins import registry
from limner.provenance.labels import Label, parse_label
from limner.store.files import sha256_of


def request_of_image(
    image: Path, places: Callable[[str], list[str]], emit: Emit, *, read_files: bool = False
) -> tuple[GenerateRequest, Execution, int | None]:
    """Return the request that generated an image, how it was executed, and the size of its batch.

    places: returns the paths of artifacts with a hash. read_files: whether an image that was not made here may name
    files of this machine. Raises LimnerError if it may not, or if a file that is needed is missing or was changed.
    """
    data = read_file(image)
    label = parse_label(data, image)
    if label is None:
        raise LimnerError(
            f"{str(image)!r} carries no Limner request", "only images that Limner generated can be run again"
        )
    request, execution = split_body(label.request)
    if not isinstance(request, GenerateRequest) or len(request.adapter) != len(label.adapters):
        raise LimnerError(
            f"the label of {str(image)!r} is not that of a generated image", "use an image as Limner wrote it"
        )
    if not read_files and not places(hashlib.sha256(data).hexdigest()):
        _refuse_files(image, request, label, places)
    for reference in (request.model, request.vae, request.refiner, *request.control_model):
        if reference is not None:
            _refuse_download(reference)
    adapters = zip(request.adapter, label.adapters, strict=True)
    uses = [
        use.model_copy(update={"path": _same_adapter(use.path, known["sha256"], places)}) for use, known in adapters
    ]
    request = request.model_copy(update={"adapter": tuple(uses)})
    size = "" if request.width is None or request.height is None else f" at {request.width} x {request.height}"
    emit(Notice(text=f"generating {request.count}{size} with {request.model!r}, as in the image's label"))
    _check_inputs(label.inputs)
    _warn_of_other_weights(request.model, label.model["sha256"], emit)
    return request, execution, label.together


def _refuse_files(image: Path, request: GenerateRequest, label: Label, places: Callable[[str], list[str]]) -> None:
    """Refuse the label of an image that may come from a stranger if it names files of this machine."""
    named = [name for _, name in references_of(request) if name not in registry.aliases()]
    known = [place for mark in label.adapters for place in places(mark["sha256"])]
    if found := [name for name in dict.fromkeys((*named, *label.inputs, *known)) if _is_local(name)]:
        raise LimnerError(
            f"{str(image)!r} was not generated here, and its label names files of this machine: "
            + ", ".join(map(repr, found)),
            "if it may read all of them, add --read-files",
        )


def _is_local(name: str) -> bool:
    """Whether a file of this machine has this name."""
    return os.path.exists(expand_home(name))  # pathlib's raises OSError for a name that is too long


def _refuse_download(model: str) -> None:
    """An image may come from a stranger, so its label alone must not start a download."""
    if needs_download(model):
        raise LimnerError(
            f"the image was generated with {model!r}, which is not on disk",
            f"if you trust that model, use it once: limner generate PROMPT --model {model}",
        )


def _warn_of_other_weights(model: str, sha256: str | None, emit: Emit) -> None:
    """Emit a warning if the weights of a model are not those that generated the image."""
    here = resolve(model).fingerprints()
    if sha256 is not None and here and sha256 not in here:
        emit(Notice(text=f"{model!r} has other weights now, so the image will differ", level="warning"))


def _check_inputs(inputs: Mapping[str, str]) -> None:
    """Refuse if an input image is missing or was changed. inputs: path -> SHA-256."""
    for path, sha256 in inputs.items():
        if not Path(path).is_file() or sha256_of(Path(path)) != sha256:
            state = "was changed" if Path(path).is_file() else "is gone"
            raise LimnerError(
                f"the input image {path!r} {state} (SHA-256 {sha256[:12]})",
                "restore the old file",
            )


def _same_adapter(path: str, sha256: str, places: Callable[[str], list[str]]) -> str:
    """Return the path of the adapter with a hash: the old one, or that of another run's artifact."""
    for place in (path, *places(sha256)):
        folder = Path(place)
        files = [folder] if folder.is_file() else sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
        for file in files:
            if sha256_of(file) == sha256:
                return place if len(files) == 1 else str(file)
    raise LimnerError(
        f"adapter {path!r} is gone or was changed since the image was generated (SHA-256 {sha256[:12]})",
        "restore the old file, or generate again with the prompt that `limner show` prints",
    )
