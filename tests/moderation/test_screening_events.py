"""What a screening records, withholds and reports of the images that a run makes."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from limner.core.errors import LimnerError
from limner.core.events import ArtifactCreated, ArtifactKind, Event, Notice
from limner.core.moderation import CheckStage, CheckUse, Finding, Policy, RequestRefused, Verdict
from limner.core.requests import GenerateRequest
from limner.moderation import enforcement, preload
from limner.moderation.enforcement import Screening
from limner.moderation.moderator import Judgement, Moderator
from limner.moderation.policy import complete
from limner.plugins.registry import checks
from limner.store.files import sha256_of
from limner.store.queue import Queue
from limner.studio.studio import Studio

IMAGES = Policy(picture=(CheckUse(check="colours"),))


def moderator(policy: Policy, judge: Callable[[Any], Finding]) -> Moderator:
    """A moderator by one function for all of its checks."""
    made = Moderator(policy)
    made._judge_of = lambda stage, use: judge  # type: ignore[method-assign]
    return made


def by_colour(image: Image.Image) -> Finding:
    """Refuses red and green images."""
    category = {(255, 0, 0): "red", (0, 128, 0): "green"}.get(image.getpixel((0, 0)))  # type: ignore[arg-type]
    return Finding(category, 0.75)


def drawn(path: Path, colour: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), colour).save(path)
    return path


def made(path: Path, what: ArtifactKind = ArtifactKind.IMAGE, **details: Any) -> ArtifactCreated:
    return ArtifactCreated(what=what, path=str(path), sha256="0" * 64, details=details)


@pytest.fixture
def judged() -> list[Judgement]:
    return []


@pytest.fixture
def screening(tmp_path: Path, judged: list[Judgement]) -> Screening:
    return Screening(moderator(IMAGES, by_colour), judged.append, tmp_path)


def passed(screening: Screening, *events: Event) -> list[Event]:
    """The events that are passed on."""
    found: list[Event] = []
    emit = screening.through(found.append)
    for event in events:
        emit(event)
    return found


def test_a_verdict_has_stage_subject_category_and_score(
    screening: Screening, judged: list[Judgement], tmp_path: Path
) -> None:
    red, blue = drawn(tmp_path / "1.png", "red"), drawn(tmp_path / "2.png", "blue")
    hashes = sha256_of(red), sha256_of(blue)
    found = passed(screening, made(red, index=0), made(blue, index=1))
    assert found == [Notice(text="image 1 was withheld: red", level="warning"), made(blue, index=1)]
    assert not red.exists() and blue.exists()
    fields: dict[str, Any] = {"stage": CheckStage.IMAGE, "check": "colours", "score": 0.75}
    assert [verdict for each in judged for verdict in each.verdicts] == [
        Verdict(subject=hashes[0], allowed=False, category="red", **fields),
        Verdict(subject=hashes[1], allowed=True, **fields),
    ]
    screening.settle()


def test_a_run_fails_where_all_of_its_images_are_withheld(screening: Screening, tmp_path: Path) -> None:
    colours = ("red", "green", "red")
    events = [made(drawn(tmp_path / f"{number}.png", colour)) for number, colour in enumerate(colours)]
    passed_on = passed(screening, *events[:1])
    assert passed_on == [Notice(text="the picture was withheld: red", level="warning")]
    with pytest.raises(RequestRefused, match=r"^the image was withheld: red;"):
        screening.settle()
    passed(screening, *events[1:])
    with pytest.raises(RequestRefused, match=r"^all 3 images were withheld: red, green;"):
        screening.settle()


def test_an_image_deep_in_a_folder_is_withheld_and_named_and_its_folder_stays(
    screening: Screening, tmp_path: Path
) -> None:
    folder = tmp_path / "set"
    red, blue = drawn(folder / "a/b/1.png", "red"), drawn(folder / "a/2.png", "blue")
    (folder / "a" / "notes.txt").write_text("not an image")
    event = made(folder, ArtifactKind.DATASET)
    assert passed(screening, event) == [
        Notice(text="1.png of the dataset was withheld: red", level="warning"),
        event,
    ]
    assert not red.exists() and blue.exists()
    screening.settle()  # what is not an image of the run does not count


def test_what_shows_withheld_images_together_is_withheld_by_the_last_of_them(
    screening: Screening, tmp_path: Path
) -> None:
    sheet = made(drawn(tmp_path / "sheet.png", "blue"), ArtifactKind.COMPARISON)
    assert passed(screening, sheet) == [sheet], "no image was withheld yet"
    for number, colour in enumerate(("red", "green")):
        passed(screening, made(drawn(tmp_path / f"{number}.png", colour)))
    notice = Notice(text="the comparison was withheld: green", level="warning")
    assert passed(screening, sheet) == [notice] and not (tmp_path / "sheet.png").exists()


def test_what_cannot_be_judged_is_removed(tmp_path: Path, judged: list[Judgement]) -> None:
    def fail(image: Any) -> Finding:
        raise ValueError("broken")

    path = drawn(tmp_path / "1.png", "blue")
    with pytest.raises(LimnerError, match="the check 'colours' is required and cannot judge now"):
        passed(Screening(moderator(IMAGES, fail), judged.append, tmp_path), made(path))
    assert not path.exists() and [each.verdicts[0].skipped for each in judged] == [True]
    optional = Policy(picture=(CheckUse(check="colours", required=False),))
    event = made(drawn(tmp_path / "2.png", "blue"))
    assert passed(Screening(moderator(optional, fail), judged.append, tmp_path), event) == [event]
    verdict = judged[-1].verdicts[0]
    assert verdict.skipped and verdict.allowed


def test_input_and_made_images_are_judged_by_checks_of_their_own(tmp_path: Path, judged: list[Judgement]) -> None:
    path = drawn(tmp_path / "1.png", "red")
    only_input = Screening(moderator(Policy(input=IMAGES.picture), by_colour), judged.append, tmp_path)
    assert passed(only_input, made(path)) == [made(path)] and only_input.checks_images and not judged
    with pytest.raises(RequestRefused, match="an image of the request is refused: red"):
        only_input.admit(GenerateRequest(prompt="a cat", image=str(path)))
    assert judged[0].verdicts[0].stage is CheckStage.INPUT
    only_made = Screening(moderator(IMAGES, by_colour), judged.append, tmp_path)
    assert not only_made.checks_images
    only_made.admit(GenerateRequest(prompt="a cat", image=str(path)))
    assert len(judged) == 1


def test_each_caption_is_judged_once(tmp_path: Path, judged: list[Judgement]) -> None:
    asked = list[str]()
    texts = Policy(prompt=(CheckUse(check="words"),))
    made = moderator(texts, lambda text: (asked.append(text), Finding())[1])
    Screening(made, judged.append, tmp_path).admit_captions(["a", "b", "a"])
    assert asked == ["a", "b"]


def test_texts_of_the_most_characters_are_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enforcement, "MAX_CHARACTERS", 18)
    enforcement._check_length(["a" * 8, "b" * 10])
    enforcement._check_length(["\ufdfa"])  # 18 characters when normalised
    for texts in (["a" * 9, "b" * 10], ["\ufdfa", "a"]):
        with pytest.raises(LimnerError, match="have 19 characters in total; the limit is 18"):
            enforcement._check_length(texts)


def test_a_refusal_of_a_run_names_its_run_and_owner(home: Path) -> None:
    policy = Policy(prompt=(CheckUse(check="words", options={"add": ["cat"]}),))
    studio = Studio(home, policy=policy)
    run = studio.enqueue(GenerateRequest(prompt="a dog"))
    with pytest.raises(RequestRefused):
        studio.gate.admit(GenerateRequest(prompt="a cat"), "ann", run.id)
    (first,) = studio.verdicts.list(1)
    assert (first.run, first.owner, first.policy) == (run.id, "ann", policy.digest)
    ((claimed, hold),) = Queue(studio.store).claim("w", 1)
    screening = studio.gate.screening(claimed.model_copy(update={"owner": "ben"}), hold, home)
    with pytest.raises(RequestRefused):
        screening.admit_captions(["a cat"])
    (last,) = studio.verdicts.list(1)
    assert (last.run, last.owner, last.policy) == (run.id, "ben", policy.digest)
    studio.store.close()


def test_options_that_a_policy_leaves_out_are_those_of_the_check() -> None:
    words = checks.get("words")
    (use,) = complete(Policy()).prompt
    assert use.options == words.Options().model_dump(mode="json") and use.options


@pytest.mark.parametrize(
    ("code", "stderr", "said"),
    [
        (2, "a warning\nit cannot be loaded\n", "it cannot be loaded"),
        (1, "Traceback\nKeyError: 3\n", "the checks of the policy cannot be tried: KeyError: 3"),
        (-9, "", "the checks of the policy cannot be tried: no message"),
        (0, "a warning", None),
    ],
)
def test_image_checks_are_tried_in_another_process(
    monkeypatch: pytest.MonkeyPatch, code: int, stderr: str, said: str | None
) -> None:
    given = list[str]()

    def run(command: list[str], *, input: str, **options: Any) -> subprocess.CompletedProcess[str]:
        given.append(input)
        return subprocess.CompletedProcess(command, code, "", stderr)

    monkeypatch.setattr(subprocess, "run", run)
    preload.try_image_checks(Policy(prompt=(CheckUse(check="words"),)))
    assert not given, "it has no check of images"
    for policy in (IMAGES, Policy(input=IMAGES.picture)):
        if said is None:
            preload.try_image_checks(policy)
        else:
            with pytest.raises(LimnerError) as caught:
                preload.try_image_checks(policy)
            assert str(caught.value) == said
        assert given.pop() == policy.text
