"""Rules of screening, with a moderator without models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from limner.core.events import ArtifactCreated, Notice
from limner.core.moderation import CheckUnavailable, CheckUse, Finding, Policy, RequestRefused
from limner.core.requests import GenerateRequest, TrainRequest
from limner.moderation.enforcement import Screening
from limner.moderation.moderator import Judgement, Moderator

USE = CheckUse(check="image_classifier", options={})


class Screened:
    """A screening that refuses red images and the word "bad", with its events and records."""

    def __init__(self, folder: Path, **stages: Any) -> None:
        self.events: list[Any] = []
        self.kept: list[Judgement] = []
        moderator = Moderator(Policy(**(stages or {"input": (USE,), "picture": (USE,)})))

        def judge(subject: Any) -> Finding:
            if isinstance(subject, str):
                return Finding("bad words" if "bad" in subject else None)
            if subject.getpixel((0, 0)) == (0, 0, 255):
                raise OSError("blue cannot be judged")
            return Finding("too red" if subject.getpixel((0, 0)) == (255, 0, 0) else None)

        moderator._judge_of = lambda stage, use: judge  # type: ignore[method-assign]
        self.screening = Screening(moderator, self.kept.append, folder)
        self.emit = self.screening.through(self.events.append)


def picture(folder: Path, name: str, colour: str, caption: str | None = None) -> str:
    place = folder / name
    place.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), colour).save(place)
    if caption is not None:
        place.with_suffix(".txt").write_text(caption)
    return str(place)


def made(path: str, what: str = "picture", **details: Any) -> ArtifactCreated:
    return ArtifactCreated(what=what, path=path, sha256="0" * 64, details=details)


def test_input_images_are_judged(tmp_path: Path) -> None:
    for fields in ({"image": "red"}, {"image": "white", "mask": "red"}):
        paths = {name: picture(tmp_path, f"{name}.png", colour) for name, colour in fields.items()}
        with pytest.raises(RequestRefused, match="an image of the request is refused: too red"):
            Screened(tmp_path).screening.admit(GenerateRequest.model_validate({"prompt": "a", **paths}))
    control = picture(tmp_path, "control.png", "red")
    with pytest.raises(RequestRefused):
        Screened(tmp_path).screening.admit(
            GenerateRequest.model_validate({"prompt": "a", "control": [f"canny={control}"]})
        )
    fine = Screened(tmp_path)
    fine.screening.admit(GenerateRequest(prompt="a", image=picture(tmp_path, "fine.png", "white")))
    assert [verdict.allowed for judged in fine.kept for verdict in judged.verdicts] == [True]
    unasked = Screened(tmp_path, picture=(USE,))
    unasked.screening.admit(GenerateRequest(prompt="a", image=picture(tmp_path, "red.png", "red")))
    assert unasked.kept == [], "the policy has no checks of input images"


def test_images_and_captions_of_a_folder_are_judged(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    picture(folder, "a.png", "white", "a cat")
    request = TrainRequest(data=str(folder), class_word="dog")
    Screened(tmp_path).screening.admit(request)
    picture(folder, "b.png", "black", "a bad cat")
    for stages in ({}, {"picture": (USE,)}):
        with pytest.raises(RequestRefused, match="a caption is refused: bad words"):
            Screened(tmp_path, **stages).screening.admit(request)
    picture(folder, "b.png", "red", "a dog")
    with pytest.raises(RequestRefused, match="too red"):
        Screened(tmp_path).screening.admit(request)


def test_a_withheld_image_is_deleted_and_reported(tmp_path: Path) -> None:
    run = Screened(tmp_path)
    first, second = made(picture(tmp_path, "1.png", "red"), index=0), made(picture(tmp_path, "2.png", "white"), index=1)
    run.emit(first), run.emit(second)
    assert run.events == [Notice(text="image 1 was withheld: too red", level="warning"), second]
    assert not Path(first.path).exists() and Path(second.path).exists()
    run.screening.settle()
    assert len(run.kept) == 2


@pytest.mark.parametrize(
    ("count", "message"), [(1, "the image was withheld: too red"), (2, "all 2 images were withheld: too red")]
)
def test_settle_raises_if_all_images_are_withheld(tmp_path: Path, count: int, message: str) -> None:
    run = Screened(tmp_path)
    for number in range(count):
        run.emit(made(picture(tmp_path, f"{number}.png", "red"), index=number))
    with pytest.raises(RequestRefused, match=message):
        run.screening.settle()
    Screened(tmp_path).screening.settle()  # a run without images


def test_previews_do_not_count_as_images(tmp_path: Path) -> None:
    run = Screened(tmp_path)
    run.emit(made(picture(tmp_path, "0.png", "white"), what="preview"))
    run.emit(made(picture(tmp_path, "1.png", "red")))
    with pytest.raises(RequestRefused, match="the image was withheld"):
        run.screening.settle()


def test_a_withheld_preview_does_not_fail_the_run(tmp_path: Path) -> None:
    run = Screened(tmp_path)
    run.emit(made(picture(tmp_path, "1.png", "red"), what="preview"))
    run.screening.settle()
    run.emit(made(picture(tmp_path, "2.png", "white")))
    run.screening.settle()
    assert [type(event) for event in run.events] == [Notice, ArtifactCreated]


def test_comparisons_are_withheld_with_an_image(tmp_path: Path) -> None:
    run = Screened(tmp_path)
    run.emit(made(picture(tmp_path, "0.png", "white"), what="comparison"))
    run.emit(made(picture(tmp_path, "1.png", "red")))
    run.emit(made(picture(tmp_path, "2.png", "white"), what="comparison"))
    assert [type(event) for event in run.events] == [ArtifactCreated, Notice, Notice]
    assert [(tmp_path / name).exists() for name in ("0.png", "1.png", "2.png")] == [True, False, False]


def test_images_that_cannot_be_judged_are_withheld(tmp_path: Path) -> None:
    run, path = Screened(tmp_path), picture(tmp_path, "1.png", "blue")
    with pytest.raises(CheckUnavailable):
        run.emit(made(path))
    assert run.events == [] and not Path(path).exists()


def test_images_in_a_folder_are_judged_and_other_files_stay(tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    picture(folder, "preview.PNG", "red"), picture(folder, "deep/fine.png", "white")
    (folder / "weights.safetensors").write_bytes(b"x")
    run, event = Screened(tmp_path), made(str(folder), what="adapter")
    run.emit(event)
    assert run.events[-1] == event and len(run.events) == 2
    assert {path.name for path in folder.rglob("*") if path.is_file()} == {"fine.png", "weights.safetensors"}
