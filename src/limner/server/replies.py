"""Runs and artifacts as the API returns them, without paths of this machine."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel, Field

from limner.core.events import Progress
from limner.core.execution import AnyBody, body_of
from limner.core.requests import KnownRequest, replace_references
from limner.core.runs import Artifact, Run, Status
from limner.studio.files import REFERENCE
from limner.studio.references import is_model

INTERNAL_DETAILS = ("reference", "base", "vae")
"""Details of an artifact that are not returned."""
_QUOTED_PATH = re.compile(r"""(['"])~?/([^'"\n]*)\1""")
_PATH = re.compile(r"""(?<![\w/:~.*})\]-])~?/(?:[^\s/'",;:()]+/)*([^\s/'",;:()]+)/?""")
Asked = TypeVar("Asked", bound=KnownRequest)


class ArtifactReply(BaseModel):
    """An artifact of a run. reference: names it in later requests. url: where to download it. Both are null for one
    that the command line wrote and that is not stored here, such as the folder of an adapter.
    """

    kind: str
    name: str
    sha256: str
    reference: str | None
    url: str | None
    details: dict[str, Any] = Field(default_factory=dict)
    created: datetime

    @staticmethod
    def of(artifact: Artifact, *, queued: bool = True) -> ArtifactReply:
        """Return an artifact. queued: whether a worker made it, so that it is stored."""
        reference = reference_of(artifact) if queued else _stored_reference(artifact)
        name = artifact.path.replace("\\", "/").rsplit("/", 1)[-1]
        details = public_details(artifact.details)
        return ArtifactReply(
            kind=artifact.kind,
            name=name,
            sha256=artifact.sha256,
            reference=reference,
            url=None if reference is None else url_of(reference),
            details=details if queued else map_texts(details, without_paths),
            created=artifact.created,
        )


class RunReply(BaseModel):
    """A run with its status, progress and artifacts. notices: the first ones, each once; its events have all."""

    id: str
    status: Status
    request: AnyBody
    parent: str | None
    priority: int
    attempt: int
    progress: Progress | None
    tags: dict[str, str]
    error: str | None
    notices: list[str]
    created: datetime
    started: datetime | None
    finished: datetime | None
    url: str
    artifacts: list[ArtifactReply] = Field(default_factory=list[ArtifactReply])

    @staticmethod
    def of(run: Run, artifacts: list[Artifact], notices: list[str]) -> RunReply:
        """Return a run with its artifacts, which come newest first and are returned oldest first."""
        queued = run.queue is not None
        fields = run.model_dump(include=set(RunReply.model_fields) - {"request", "notices", "error"})
        replies = [ArtifactReply.of(artifact, queued=queued) for artifact in reversed(artifacts)]
        request = run.request if queued else request_without_paths(run.request)
        return RunReply(
            **fields,
            request=body_of(request, run.execution),
            url=f"/v1/runs/{run.id}",
            error=error_of(run),
            notices=notices if queued else [*map(without_paths, notices)],
            artifacts=replies,
        )


def error_of(run: Run) -> str | None:
    """Return the error of a run, without paths; workers remove them from those of the queue."""
    return run.error if run.error is None or run.queue is not None else without_paths(run.error)


def request_without_paths(request: Asked) -> Asked:
    """Return a request with names in place of the paths that one of the command line has."""

    def name(reference: str) -> str:
        return reference if REFERENCE.fullmatch(reference) else Path(reference).name

    return replace_references(request, name, lambda model: model if is_model(model) else name(model))


def without_paths(text: str) -> str:
    """Return a text of the command line with the last part in place of each path: "photos" for "/home/a/photos"."""

    def quoted_name(found: re.Match[str]) -> str:
        return f"{found[1]}{found[2].rstrip('/').rpartition('/')[2]}{found[1]}"

    return _PATH.sub(r"\1", _QUOTED_PATH.sub(quoted_name, text))


def map_texts(value: Any, change: Callable[[str], str]) -> Any:
    """Return a value of JSON with each text in it changed; the names of fields stay."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {name: map_texts(each, change) for name, each in cast(dict[str, Any], value).items()}
    if isinstance(value, (list, tuple)):
        return [map_texts(each, change) for each in cast(list[Any], value)]
    return value


def reference_of(artifact: Artifact) -> str:
    """Return the reference of a stored artifact."""
    # An old version may have restored a wrong one from an unchecked backup.
    return _stored_reference(artifact) or f"sha256:{artifact.sha256}"


def _stored_reference(artifact: Artifact) -> str | None:
    """Return the reference in an artifact's details; None if there is none."""
    reference = str(artifact.details.get("reference", ""))
    return None if REFERENCE.fullmatch(reference) is None else reference


def public_details(details: dict[str, Any]) -> dict[str, Any]:
    """Return the details of an artifact or image that the API returns."""
    return {key: value for key, value in details.items() if key not in INTERNAL_DETAILS}


def url_of(reference: str) -> str:
    """Return the URL path of a stored file or folder."""
    found = REFERENCE.fullmatch(reference)
    assert found is not None, reference
    kind, sha256 = found.groups()
    return f"/v1/{'files' if kind == 'sha256' else 'folders'}/{sha256}"
