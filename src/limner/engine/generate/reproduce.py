"""The request in a picture's label, checked so that it paints the same again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from limner.core.errors import LimnerError
from limner.core.events import Emit, Notice
from limner.core.execution import Execution, split_body
from limner.core.requests import GenerateRequest
from limner.models.loading import must_be_fetched, resolve
from limner.provenance.labels import read_label
from limner.store.files import sha256_of


def repeated(
    picture: Path, places: Callable[[str], list[str]], emit: Emit
) -> tuple[GenerateRequest, Execution, int | None]:
    """The request that painted a picture, how it was executed, and how many pictures went through the model with it.

    places: where something of a hash was left, by its hash. Raises LimnerError where something that it needs is gone,
    or was changed.
    """
    label = read_label(picture)
    if label is None:
        raise LimnerError(
            f"{str(picture)!r} carries no Limner request", "only pictures that Limner painted can be run again"
        )
    request, execution = split_body(label.request)
    if not isinstance(request, GenerateRequest) or len(request.adapter) != len(label.adapters):
        raise LimnerError(
            f"the label of {str(picture)!r} is not one of a painted picture", "use a picture as Limner wrote it"
        )
    for reference in (request.model, request.vae, request.refiner, *request.control_model):
        if reference is not None:
            _refuse_fetching(reference)
    marks = zip(request.adapter, label.adapters, strict=True)
    uses = [use.model_copy(update={"path": _same_adapter(use.path, mark["sha256"], places)}) for use, mark in marks]
    request = request.model_copy(update={"adapter": tuple(uses)})
    size = "" if request.width is None or request.height is None else f" at {request.width} x {request.height}"
    emit(Notice(text=f"painting {request.count}{size} with {request.model!r}, as the picture's label says"))
    _check_inputs(label.inputs)
    _tell_other_weights(request.model, label.model["sha256"], emit)
    return request, execution, label.together


def _refuse_fetching(model: str) -> None:
    """A picture may come from a stranger: its label alone must not make us download anything."""
    if must_be_fetched(model):
        raise LimnerError(
            f"the picture was painted with {model!r}, which is not on disk",
            f"if you trust that model, paint with it once: limner generate PROMPT --model {model}",
        )


def _tell_other_weights(model: str, sha256: str | None, emit: Emit) -> None:
    """Warn when the model of that name no longer has the weights that painted a picture."""
    here = resolve(model).fingerprints()
    if sha256 is not None and here and sha256 not in here:
        emit(Notice(text=f"{model!r} has other weights now, so the pictures will not be the same", level="warning"))


def _check_inputs(inputs: Mapping[str, str]) -> None:
    """The pictures that a picture was painted from are still there as they were."""
    for path, sha256 in inputs.items():
        if not Path(path).is_file() or sha256_of(Path(path)) != sha256:
            state = "was changed" if Path(path).is_file() else "is gone"
            raise LimnerError(
                f"{path!r}, which the picture was painted from, {state} (SHA-256 {sha256[:12]})",
                "put the old file back",
            )


def _same_adapter(path: str, sha256: str, places: Callable[[str], list[str]]) -> str:
    """Where the adapter with these bytes is: at its old path, or wherever another run left it."""
    for place in (path, *places(sha256)):
        folder = Path(place)
        files = [folder] if folder.is_file() else sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
        for file in files:
            if sha256_of(file) == sha256:
                return place if len(files) == 1 else str(file)
    raise LimnerError(
        f"adapter {path!r} is gone or was changed since the picture was painted (SHA-256 {sha256[:12]})",
        "put the old file back, or generate anew with the prompt that `limner show` tells",
    )
