"""Moderation policies: errors in one line, and the word list, which cannot be removed."""

import io
from contextlib import redirect_stderr
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import yaml

import classifiers
from limner.core.errors import LimnerError
from limner.core.moderation import CheckStage, CheckUse, Policy
from limner.moderation import preload
from limner.moderation.moderator import Moderator
from limner.moderation.policy import read_policy
from limner.moderation.preload import try_image_checks


def here(command: list[str], *, input: str, **options: object) -> CompletedProcess[str]:
    """Runs `limner.moderation.preload` in this process."""
    stderr, code = io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stderr(stderr):
        patch.setattr(preload.sys, "stdin", io.StringIO(input))
        try:
            preload.main()
        except SystemExit as stopped:
            code = int(stopped.code or 0)
    return CompletedProcess(command, code, "", stderr.getvalue())


def written(folder: Path, **fields: object) -> Path:
    file = folder / "policy.yaml"
    file.write_text(yaml.safe_dump(fields))
    return file


def test_the_shipped_policy_is_the_word_list() -> None:
    policy = read_policy()
    assert [use.check for use in policy.prompt] == ["words"] and not policy.input and not policy.picture
    assert Policy.model_validate_json(policy.text) == policy


def test_every_policy_has_the_word_list(tmp_path: Path) -> None:
    service = {"check": "service", "options": {"url": "http://127.0.0.1:9/"}}
    policy = read_policy(written(tmp_path, prompt=[service]))
    assert [use.check for use in policy.prompt] == ["words", "service"]
    assert Moderator(policy).judge(CheckStage.PROMPT, "swastika", "0" * 64, "refused").refusal is not None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"prompt": [{"check": "words", "required": False}]}, "'words' is always required"),
        ({"prompt": [{"check": "words"}, {"check": "words"}]}, "'words' twice"),
        ({"prompt": [{"check": "word"}]}, "prompt: unknown check 'word'; did you mean 'words'"),
        ({"prompt": [{"check": "safety_checker"}]}, "'safety_checker' does not judge texts; choose one of: classifier"),
        ({"picture": [{"check": "words"}]}, "picture: the check 'words' does not judge images"),
        (
            {"picture": [{"check": "image_classifier"}]},
            "picture: image_classifier: model is missing; refuse is missing",
        ),
        ({"prompt": [{"check": "words", "options": {"ad": ["x"]}}]}, "prompt: words: unknown field 'ad'"),
        ({"pictures": []}, "unknown field 'pictures'"),
        (
            {"prompt": [{"check": "wrods"}], "picture": [{"check": "nothing"}]},
            "prompt: unknown check 'wrods'; did you mean 'words'? choose one of: ",
        ),
    ],
)
def test_errors_of_a_policy(tmp_path: Path, fields: dict[str, object], message: str) -> None:
    with pytest.raises(LimnerError) as caught:
        read_policy(written(tmp_path, **fields))
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_all_errors_are_reported_together(tmp_path: Path) -> None:
    with pytest.raises(LimnerError, match=r"'wrods'.*'nothing'"):
        read_policy(written(tmp_path, prompt=[{"check": "wrods"}], picture=[{"check": "nothing"}]))


@pytest.mark.parametrize("text", ["prompt: [", "- words", "\x00", "prompt: 7", ""])
def test_files_that_are_no_policy(tmp_path: Path, text: str) -> None:
    (tmp_path / "policy.yaml").write_text(text)
    with pytest.raises(LimnerError, match="policy"):
        read_policy(tmp_path / "policy.yaml")
    with pytest.raises(LimnerError, match="cannot be read"):
        read_policy(tmp_path / "nosuch.yaml")


def test_the_digest_ignores_spelling(tmp_path: Path) -> None:
    assert read_policy(written(tmp_path)).digest == read_policy().digest
    assert read_policy(written(tmp_path, keep_text=True)).digest != read_policy().digest
    options = [{"model": "m", "url": "https://a.example/"}, {"url": "https://a.example/", "model": "m"}]
    uses = [CheckUse(check="service", options=each) for each in options]
    assert Policy(prompt=(uses[0],)).digest == Policy(prompt=(uses[1],)).digest, "the order of keys is ignored"


def test_image_checks_are_tried_in_a_separate_process() -> None:
    outside = {"url": "http://127.0.0.1:9/"}
    try_image_checks(Policy(picture=(CheckUse(check="service", options=outside),)))
    hidden = CheckUse(check="service", options=outside | {"token": "LIMNER_NO_SUCH_TOKEN"})
    message = r"^checks of the policy cannot be loaded: picture: service: .*'LIMNER_NO_SUCH_TOKEN'"
    with pytest.raises(LimnerError, match=message):
        try_image_checks(Policy(picture=(hidden,)))


def test_image_checks_are_tried_at_start(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preload.subprocess, "run", here)

    def policy(model: Path, label: str = "unsafe") -> Policy:
        use = CheckUse(check="image_classifier", options={"model": str(model), "refuse": {label: 0.5}})
        return Policy(picture=(use,))

    model = classifiers.picture_classifier(tmp_path / "model")
    try_image_checks(policy(model))
    with pytest.raises(LimnerError, match=r"input: image_classifier: .*nosuch"):
        try_image_checks(Policy(input=policy(tmp_path / "nosuch").picture))
    with pytest.raises(
        LimnerError, match=r"picture: image_classifier: .* knows no label 'nsfw'; choose from: fine, un"
    ):
        try_image_checks(policy(model, "nsfw"))
    with pytest.raises(LimnerError, match=r"picture: image_classifier: .*nosuch"):
        try_image_checks(policy(tmp_path / "nosuch"))
