"""Runs and artifacts as the API returns them, without paths of this machine."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from limner.core.events import Progress
from limner.core.execution import AnyBody, body_of
from limner.core.runs import Artifact, Run, Status
from limner.studio.files import REFERENCE

INTERNAL_DETAILS = ("reference", "base", "vae")
"""Details of an artifact that are not returned."""


class ArtifactReply(BaseModel):
    """An artifact of a run. reference: names it in later requests. url: where to download it."""

    kind: str
    name: str
    sha256: str
    reference: str
    url: str
    details: dict[str, Any] = Field(default_factory=dict)
    created: datetime

    @staticmethod
    def of(artifact: Artifact) -> ArtifactReply:
        reference = str(artifact.details.get("reference", ""))
        if REFERENCE.fullmatch(reference) is None:  # an old version may have restored it from an unchecked backup
            reference = f"sha256:{artifact.sha256}"
        name = artifact.path.replace("\\", "/").rsplit("/", 1)[-1]
        return ArtifactReply(
            kind=artifact.kind,
            name=name,
            sha256=artifact.sha256,
            reference=reference,
            url=url_of(reference),
            details=public_details(artifact.details),
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
        fields = run.model_dump(include=set(RunReply.model_fields) - {"request", "notices"})
        replies = [ArtifactReply.of(artifact) for artifact in reversed(artifacts)]
        return RunReply(
            **fields,
            request=body_of(run.request, run.execution),
            url=f"/v1/runs/{run.id}",
            notices=notices,
            artifacts=replies,
        )


def public_details(details: dict[str, Any]) -> dict[str, Any]:
    """Return the details of an artifact or image that the API returns."""
    return {key: value for key, value in details.items() if key not in INTERNAL_DETAILS}


def url_of(reference: str) -> str:
    """Return the URL path of a stored file or folder."""
    found = REFERENCE.fullmatch(reference)
    assert found is not None, reference
    kind, sha256 = found.groups()
    return f"/v1/{'files' if kind == 'sha256' else 'folders'}/{sha256}"
