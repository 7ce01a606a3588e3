"""Checks of a TrainRequest that need no torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from limner.core.execution import Execution
from limner.core.protocols import SubjectWords
from limner.core.requests import TrainRequest
from limner.data.sets.folder import check_images
from limner.engine.generate.checks import check_side
from limner.engine.train.trackers import check_trackers
from limner.models import loading
from limner.plugins import registry
from limner.store.files import already_exists, check_replaceable


def check(request: TrainRequest, execution: Execution, out: Path | None) -> None:
    """Raise LimnerError for a request that cannot be executed, as far as that is known without torch."""
    check_images(request.data)
    checked_model(request)
    check_trackers(execution.track)
    if out is not None:
        check_out_folder(out)


def checked_model(request: TrainRequest) -> loading.Model:
    """The base model that a request names; raises LimnerError if the request does not suit it."""
    return _suited(request, loading.resolve(request.model, request.vae))


def check_values(request: TrainRequest) -> None:
    """Raise LimnerError for names and values that do not suit each other, whatever the files are."""
    if request.model in registry.aliases():
        _suited(request, loading.resolve(request.model))


def _suited(request: TrainRequest, model: loading.Model) -> loading.Model:
    """The model, if a request suits it; raises LimnerError."""
    check_side("resolution", request.resolution, model.family.facts.multiple)
    method = registry.methods.get(request.method)
    options = method.Options.model_validate(request.options)
    method.check(model.family.facts, options, SubjectWords(request.identifier or "", request.class_word))
    return model


def _never(folder: Path) -> bool:
    return False


def check_out_folder(out: Path, may_replace: Callable[[Path], bool] = _never) -> None:
    """Raise LimnerError unless out is absent or empty, or may be replaced. may_replace: given a folder with files."""
    if out.exists() and not out.is_dir():
        raise already_exists(out)
    check_replaceable(out, may_replace)
