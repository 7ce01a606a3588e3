"""Runs and artifacts in responses: their order, and no paths of this machine."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from limner.core.execution import Execution
from limner.core.requests import GenerateRequest
from limner.core.runs import Artifact, Run
from limner.server.replies import ArtifactReply, RunReply, url_of, without_paths

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def artifact(number: int, **details: object) -> Artifact:
    path = f"/srv/limner/runs/x/{number:04d}.png"
    return Artifact(
        id=number, run="x", kind="picture", path=path, sha256=f"{number:064x}", details=details, created=NOW
    )


def test_artifacts_have_no_path() -> None:
    folder = "folder:" + "f" * 64
    reply = ArtifactReply.of(artifact(7, seed=3, reference=folder, base={"path": "/srv/a"}, vae={"path": "/srv/b"}))
    assert (reply.name, reply.reference, reply.url, reply.details) == (
        "0007.png",
        folder,
        f"/v1/folders/{'f' * 64}",
        {"seed": 3},
    )
    assert "/srv" not in reply.model_dump_json()
    for wrong in ("/srv/a.png", "sha256:x", 7):  # of an unchecked backup
        assert ArtifactReply.of(artifact(7, reference=wrong)).reference == f"sha256:{7:064x}"
    plain = ArtifactReply.of(artifact(7))
    assert (plain.reference, plain.url) == (f"sha256:{7:064x}", f"/v1/files/{7:064x}")


def test_an_artifact_of_the_command_line_has_a_link_only_if_it_is_stored() -> None:
    unstored = ArtifactReply.of(artifact(7), queued=False)
    assert unstored.url is None and unstored.reference is None
    stored = ArtifactReply.of(artifact(7, reference="sha256:" + "a" * 64, data=["/srv/x"]), queued=False)
    assert stored.url == f"/v1/files/{'a' * 64}" and stored.details == {"data": ["x"]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'/home/a b/photos' has no image", "'photos' has no image"),
        ('see "/srv/x/y.png"; or /srv/z.png, please', 'see "y.png"; or z.png, please'),
        ("write ~/photos/rex (or /tmp)", "write rex (or tmp)"),
        ("1/2 of the images, 80/20/10, and/or https://example.com/a/b", None),
        ("loss = a / b, sha256:0/1, 3 // 2, {a}/x", None),
        ("/srv/limner/", "limner"),
    ],
)
def test_texts_lose_their_paths_and_nothing_else(text: str, expected: str | None) -> None:
    assert without_paths(text) == (expected or text)


def test_names_of_windows_paths() -> None:
    windows = artifact(1).model_copy(update={"path": r"C:\runs\0001.png"})
    assert ArtifactReply.of(windows).name == "0001.png"


def test_the_execution_of_a_run_is_shown_with_its_request() -> None:
    run = Run(id="x", request=GenerateRequest(prompt="a"), execution=Execution(memory="low"), created=NOW, parent="y")
    reply = RunReply.of(run, [], [])
    assert reply.model_dump()["request"]["memory"] == "low" and (reply.url, reply.parent) == ("/v1/runs/x", "y")


def test_artifacts_of_a_run_are_listed_oldest_first() -> None:
    run = Run(
        id="x", request=GenerateRequest(prompt="a"), created=NOW, out="/srv/out", owner="ann", key="k", policy="p"
    )
    reply = RunReply.of(run, [artifact(3), artifact(2), artifact(1)], [])  # as the store lists them, newest first
    assert [made.name for made in reply.artifacts] == ["0001.png", "0002.png", "0003.png"]
    assert reply.url == "/v1/runs/x" and "/srv" not in reply.model_dump_json()


@pytest.mark.parametrize("reference", ["", "sha256:x", "file:" + "0" * 64])
def test_only_references_have_urls(reference: str) -> None:
    with pytest.raises(AssertionError):
        url_of(reference)
