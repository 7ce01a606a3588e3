"""What the service answers with: runs and artifacts without the paths of this machine."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from limner.core.events import Progress
from limner.core.execution import AnyBody, body_of
from limner.core.runs import Artifact, Run, Status
from limner.studio.files import REFERENCE

INNER = ("reference", "base", "vae")


class ArtifactReply(BaseModel):
    """Something that a run made. reference: by which later requests name it. url: where it is fetched."""

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
        if REFERENCE.fullmatch(reference) is None:  # as a version that checked no backup may have restored it
            reference = f"sha256:{artifact.sha256}"
        name = artifact.path.replace("\\", "/").rsplit("/", 1)[-1]
        return ArtifactReply(
            kind=artifact.kind,
            name=name,
            sha256=artifact.sha256,
            reference=reference,
            url=url_of(reference),
            details={key: value for key, value in artifact.details.items() if key not in INNER},
            created=artifact.created,
        )


class RunReply(BaseModel):
    """A run as it stands."""

    id: str
    status: Status
    request: AnyBody
    parent: str | None
    priority: int
    attempt: int
    progress: Progress | None
    tags: dict[str, str]
    error: str | None
    created: datetime
    started: datetime | None
    finished: datetime | None
    url: str
    artifacts: list[ArtifactReply] = Field(default_factory=list[ArtifactReply])

    @staticmethod
    def of(run: Run, artifacts: list[Artifact]) -> RunReply:
        told = run.model_dump(include=set(RunReply.model_fields) - {"request"})
        made = [ArtifactReply.of(artifact) for artifact in reversed(artifacts)]
        return RunReply(**told, request=body_of(run.request, run.execution), url=f"/v1/runs/{run.id}", artifacts=made)


def url_of(reference: str) -> str:
    """Where something that is kept is fetched."""
    found = REFERENCE.fullmatch(reference)
    assert found is not None, reference
    kind, sha256 = found.groups()
    return f"/v1/{'files' if kind == 'sha256' else 'folders'}/{sha256}"
