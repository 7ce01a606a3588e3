"""limner compare and rank as they are typed, and what they say of mistakes."""

from __future__ import annotations

import json
import re

import pytest

from limner import CompareRequest, Studio
from limner.core.runs import Status
from working import enqueue_and_execute


@pytest.fixture
def compare(limner, tiny_sd, tmp_path):
    (tmp_path / "prompts.txt").write_text("\ufeffa cat on the beach\n\n a dog in the snow \na cat on the beach\n")

    def run(*arguments):
        return limner("compare", *arguments, "--steps", 1, "--count", 1, "--batch", 2)

    return run


def test_prompts_come_from_a_file_of_lines(compare, limner, tiny_sd, tmp_path):
    output = compare("starter", tiny_sd, "--prompts", tmp_path / "prompts.txt", "--metric", "saturation")
    assert output.code == 0, output.err
    verdict, page = output.out.splitlines()
    assert (
        page == str(tmp_path / "comparison/compare.html")
        and "Cannot tell which is better: none of the scores has a better direction" in verdict
    )
    report = json.loads((tmp_path / "comparison/compare.json").read_text())
    assert report["request"]["prompt"] == ["a cat on the beach", "a dog in the snow"]
    assert "compare" in limner("runs").out
    key = json.loads((tmp_path / "comparison/votes-key.json").read_text())
    votes = {name: "left" if pair["left"] == 1 else "right" for name, pair in key["pairs"].items()}
    (tmp_path / "votes.json").write_text(json.dumps({"comparison": key["comparison"], "ballot": "a", "votes": votes}))
    ranked = limner("rank", "votes.json")
    assert ranked.code == 0 and "No clear difference" in ranked.out  # of two votes
    assert json.loads((tmp_path / "comparison/ranking.json").read_text())["ranks"][0]["contestant"] == tiny_sd.name
    again = limner("run", next((tmp_path / "comparison/pictures/1-starter").glob("*.png")), "--out", "again")
    assert again.code == 0, again.err


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["starter", "--prompt", "x"], "contestants"),
        (["starter", "satrter", "--prompt", "x"], "and not the name of a model; did you mean 'starter'?"),
        (["starter", "rex:9", "--prompt", "x"], "use 4.0 or less"),
        (["starter", "a+", "--prompt", "x"], "'a+' is not of the form MODEL, ADAPTER:WEIGHT or MODEL+ADAPTER:WEIGHT"),
        (
            ["starter", "sd15", "--prompts", "none.txt"],
            "'none.txt' does not exist; give a text file",
        ),
        (["starter", "sd15", "--prompts", "."], "'.' is a folder, a device or a file"),
        (
            ["starter", "sd15", "--prompts", "prompts.txt", "--prompt", "x"],
            "prompts come from --prompts and from",
        ),
        (["starter", "starter:0", "--prompt", "x"], "unknown adapter 'starter'"),
        (["starter", "starter", "--prompt", "x"], "'starter' and 'starter' are the same contestant; name each once"),
        (["starter", "sd15", "--prompt", "x", "--metric", "beauty"], "unknown metric 'beauty'"),
        (["starter", "sd15", "--prompt", "x", "--references", "nowhere"], "nowhere"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(compare, tmp_path, arguments, line):
    output = compare(*arguments)
    assert output.code == 2 and line in output.error, output.err
    assert output.out == "" and not (tmp_path / "comparison").exists()


def test_a_file_of_no_prompts(compare, tmp_path):
    (tmp_path / "empty.txt").write_text(" \n\n")
    assert "'empty.txt' holds no prompt" in compare("starter", "sd15", "--prompts", "empty.txt").error
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\xfa")
    assert "'bytes.txt' cannot be read" in compare("starter", "sd15", "--prompts", "bytes.txt").error


def test_a_queued_comparison_contains_no_local_path(home, tiny_sd):
    studio = Studio()
    model = studio.files.save(tiny_sd)
    request = CompareRequest(contestants=("starter", model), prompt=("a cat",), model="starter", steps=1, count=1)
    run = enqueue_and_execute(studio, request)
    assert run.status is Status.DONE, run.error
    made = {artifact.kind: artifact for artifact in studio.store.artifacts(run.id)}
    assert made.keys() == {"picture", "comparison", "scores", "table", "blind page", "key", "report"}
    for artifact in made.values():
        assert str(home).encode() not in studio.files.local_path(artifact.details["reference"]).read_bytes()
    report = json.loads(studio.files.local_path(made["scores"].details["reference"]).read_text())
    assert [each["name"] for each in report["contestants"]] == ["starter", model.partition(":")[2][:8]]
    assert report["contestants"][1]["model"] == model
    page = studio.files.local_path(made["report"].details["reference"]).read_text()
    assert not re.search(r'(src|href)="(?!data:|#)', page), "it opens by itself"
