"""What the evaluation of an improvement generates and scores, with drawn images in place of generated ones."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from limner.core.requests import AdapterUse, ImproveRequest
from limner.core.workspace import Workspace
from limner.engine.compare.contestants import ModelWithAdapters
from limner.engine.compare.subject import PromptSubject
from limner.engine.improve import evaluation
from limner.engine.improve.evaluation import GENERAL, Evaluation, Evaluator, Material, chosen_prompts
from limner.engine.scoring.trust import recorded_agreement

DOG = PromptSubject("sks", "dog")
OLD = ModelWithAdapters("rex", "rex", "starter", None, (AdapterUse(path="old"),))
NEW = ModelWithAdapters("better", "better", "starter", None, (AdapterUse(path="new"),))
PROMPTS = ("a photo of sks dog in snow", "a cat on a beach")


def noise(seed: str) -> Image.Image:
    """An image of noise, the same for the same seed."""
    return Image.frombytes("RGB", (64, 64), random.Random(seed).randbytes(3 * 64 * 64))


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], int]:
    """Generates noise; a test may withhold the last ones of a version and prompt. Returns how many of which."""
    withheld: dict[tuple[str, str], int] = {}

    def generate(title: str, parts: Any, workspace: Workspace, emit: Any) -> list[dict[int, Path]]:
        found = []
        for part in parts:
            version = part.details["version"]
            part.folder.mkdir(parents=True, exist_ok=True)
            count = part.request.count - withheld.get((version, part.request.prompt), 0)
            images = {part.request.seed + number: part.folder / f"{number}.png" for number in range(count)}
            for path in images.values():
                noise(version).save(path)
            found.append(images)
        return found

    monkeypatch.setattr(evaluation, "generate_parts", generate)
    monkeypatch.setattr(evaluation, "identifiers", lambda versions: ["sks"])
    return withheld


@pytest.fixture
def evaluate(tmp_path: Path, made: Any) -> Any:
    def run(material: Material, old: ModelWithAdapters = OLD, **fields: Any) -> Evaluation:
        request = ImproveRequest.model_validate({"target": "rex", "count": 3, **fields})
        space = Workspace("run", tmp_path, tmp_path / "out", tmp_path / "cache")
        return Evaluator(request, material, space, lambda event: None).evaluate(old, NEW, {})

    return run


@pytest.fixture
def photos(tmp_path: Path) -> tuple[Path, ...]:
    noise("old").save(tmp_path / "photo.png")
    return (tmp_path / "photo.png",)


def by_name(found: Evaluation) -> dict[str, Any]:
    return {each.name: each for each in found.measured}


def test_each_measure_compares_what_it_is_about(evaluate: Any, photos: tuple[Path, ...]) -> None:
    found = by_name(evaluate(Material(PROMPTS, DOG, photos)))
    assert {name: each.count for name, each in found.items()} == {
        "prompt_fidelity": 6, "subject_fidelity": 3, "diversity": 2, "memorisation": 6, "class_drift": 12,
    }  # fmt: skip
    assert found["subject_fidelity"].old == pytest.approx(1) and found["subject_fidelity"].verdict == "worse"
    assert found["memorisation"].new < found["memorisation"].old == pytest.approx(1)
    assert found["class_drift"].old > 0


def test_no_margin_is_below_the_smallest_difference_that_matters_on_the_model(evaluate: Any) -> None:
    record = recorded_agreement("starter")
    assert record is not None
    margins = {name: each.margin for name, each in by_name(evaluate(Material(PROMPTS, DOG))).items()}
    for name in ("prompt_fidelity", "class_drift"):
        assert margins[name] == record.smallest(name, "starter")


def test_preferred_images_count_as_memorised_but_not_as_the_subject(evaluate: Any, photos: tuple[Path, ...]) -> None:
    found = evaluate(Material(PROMPTS, DOG, preferred=photos))
    assert by_name(found)["memorisation"].old == pytest.approx(1)
    assert found.unmeasured == ("subject fidelity, because no photos of the subject are known; give --references",)


def test_prompts_without_the_subject_say_nothing_of_it(evaluate: Any, photos: tuple[Path, ...]) -> None:
    found = evaluate(Material(PROMPTS[1:], DOG, photos))
    assert found.unmeasured == ("subject fidelity, because no prompt of the evaluation asks for the subject",)


def test_a_model_is_its_own_base(evaluate: Any, tmp_path: Path) -> None:
    model = ModelWithAdapters("starter", "starter", "starter", None, ())
    found = by_name(evaluate(Material(PROMPTS, PromptSubject(None, None)), model))
    assert found["class_drift"].old == pytest.approx(0, abs=1e-6)
    assert not (tmp_path / "plain" / "base").exists() and (tmp_path / "plain" / "old").exists()


def test_withheld_images_are_left_out_on_both_sides(evaluate: Any, made: dict[tuple[str, str], int]) -> None:
    made["new", PROMPTS[0]], made["base", "a dog in a park"] = 1, 2
    found = evaluate(Material(PROMPTS, DOG))
    assert by_name(found)["prompt_fidelity"].count == 5 and by_name(found)["class_drift"].count == 10
    assert "3 image pairs, because moderation withheld one or both images" in found.unmeasured
    assert [len(found.images.old), len(found.images.new), found.images.missing] == [5, 5, 1]


def test_a_prompt_with_one_image_left_has_no_diversity(evaluate: Any, made: dict[tuple[str, str], int]) -> None:
    made["new", PROMPTS[0]] = 2
    found = evaluate(Material(PROMPTS, DOG))
    assert by_name(found)["diversity"].count == 1 and by_name(found)["prompt_fidelity"].count == 4


def test_one_image_of_each_prompt_has_no_diversity(evaluate: Any) -> None:
    found = evaluate(Material(PROMPTS, DOG), count=1)
    assert "diversity" not in by_name(found) and by_name(found)["prompt_fidelity"].count == 2
    assert "diversity, because there is one image of each prompt; ask for more by --count" in found.unmeasured


def test_where_all_images_are_withheld_nothing_is_measured(evaluate: Any, made: dict[tuple[str, str], int]) -> None:
    for prompt in PROMPTS:
        made["new", prompt] = 3
    found = evaluate(Material(PROMPTS, DOG))
    assert [*by_name(found)] == ["class_drift"]
    assert "prompt fidelity, because its images were withheld" in found.unmeasured


def test_without_prompts_nothing_is_generated(evaluate: Any, tmp_path: Path) -> None:
    found = evaluate(Material((), DOG))
    assert found.measured == () and found.unmeasured == ("images, because no prompt is held out; give --prompt",)
    assert not (tmp_path / "plain").exists()


def test_drift_is_measured_on_the_class_or_on_general_words() -> None:
    assert all("dog" in prompt for prompt in Material((), DOG).plain_prompts)
    general = Material((), PromptSubject(None, None)).plain_prompts
    assert len(general) == 4 and all(word in prompt for word, prompt in zip(GENERAL, general, strict=True))
    assert all("{" not in prompt for prompt in general)


def test_a_metric_that_was_not_compared_with_the_truth_is_doubted(evaluate: Any) -> None:
    model = ModelWithAdapters("rex", "rex", "owner/name", None, (AdapterUse(path="old"),))
    found = by_name(evaluate(Material(PROMPTS, DOG), model))
    assert "was not measured whether prompt fidelity" in found["prompt_fidelity"].doubt


@pytest.mark.parametrize(
    ("given", "held_out", "most", "chosen"),
    [
        ((), "abcdef", 3, ("a", "c", "e")),
        (("x", "b"), "abcdef", 24, ("x", "b", "a", "c", "d", "e", "f")),
        (("x",), "", 24, ("x",)),
        ((), ("", " ", "a"), 1, ("a",)),
    ],
)
def test_prompts_of_the_evaluation(given: Any, held_out: Any, most: int, chosen: tuple[str, ...]) -> None:
    request = ImproveRequest.model_validate({"target": "rex", "prompt": given, "most_prompts": most})
    assert chosen_prompts(request, [*held_out]) == chosen
