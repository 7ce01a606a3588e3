"""The page for scores in a real browser: keys and clicks, what is stored and saved, and what it does not reveal."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

import browser
from browser import PRESS, SAVE, STATUS
from limner.core.metrics import ImageSet, ScoredImage
from limner.core.opinions import CRITERIA, Opinions, evaluation_of
from limner.core.requests import EvaluateRequest
from limner.engine.evaluate.result import EvaluationResult
from limner.engine.evaluate.scoresheet import write_score_sheet
from limner.store.files import sha256_of

pytestmark = pytest.mark.skipif(not browser.CHROMIUM.exists(), reason="there is no chromium")
PROMPT = "</script><b>a {{ cat }}"
CLICK = "const click = (name, n) => document.querySelector(`[data-question=${name}] [data-points='${n}']`).click();"
NOW = "const now = () => document.querySelector('.now').dataset.question;"


def painted(folder: Path, count: int, start: int = 0) -> list[Path]:
    folder.mkdir()
    for number in range(count):
        Image.new("RGB", (32, 32), (200, 40, start + number)).save(folder / f"secret-{number}.png")
    return sorted(folder.iterdir())


def sheet(tmp_path: Path, items: list[ScoredImage], references: list[Path], prompts: list[str]) -> Path:
    request = EvaluateRequest.model_validate({"target": "secret-model", "prompt": prompts})
    done = EvaluationResult(request, "secret-model", "", ImageSet(tuple(items), tuple(references)), {})
    return write_score_sheet(done, tmp_path)


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    return painted(tmp_path / "pictures", 4)


@pytest.fixture
def page(tmp_path: Path, pictures: list[Path]) -> Path:
    """A page of four pictures with hostile prompts, and photographs."""
    items = [ScoredImage(path, PROMPT, PROMPT) for path in pictures]
    return sheet(tmp_path, items, painted(tmp_path / "photographs", 6, 100), [PROMPT])


@pytest.fixture
def drive(page, tmp_path):
    return lambda script, *flags: browser.drive(page, script, tmp_path / "profile", *flags)


@pytest.fixture
def drive_in_turn(page, tmp_path):
    return lambda *scripts: browser.drive_in_turn(page, scripts, tmp_path / "profile")


def test_all_is_scored_by_keys_and_saved(drive, pictures) -> None:
    keys = "for (let n = 0; n < 4; n++) for (const key of '5432') press(key);"
    rater = "const box = document.getElementById('rater'); box.value = ' Anna '; box.dispatchEvent(new Event('input'));"
    answer = drive(f"{PRESS} {keys} {rater} {STATUS} {SAVE}")
    opinions = Opinions.model_validate(answer["saved"])
    assert answer["status"].startswith("You scored all 4 images")
    assert opinions.scores.keys() == {sha256_of(path) for path in pictures} and opinions.rater == "Anna"
    assert all(scores == dict(zip(CRITERIA, (5, 4, 3, 2), strict=True)) for scores in opinions.scores.values())
    assert opinions.evaluation == evaluation_of(map(sha256_of, pictures))


def test_scores_stay_in_the_browser_and_can_be_changed(drive_in_turn) -> None:
    score = "for (const key of '11112') press(key); answer.now = now();"
    change = f"press('ArrowLeft'); {CLICK} click('detail', 4); answer.stays = now();"
    first, again = drive_in_turn(
        f"{PRESS} {NOW} {score} {STATUS} {SAVE}", f"{PRESS} {NOW} answer.now = now(); {change} {STATUS} {SAVE}"
    )
    assert first["status"] == "Image 2 of 4, 1 scored" and first["now"] == "aesthetics"
    assert again["now"] == "aesthetics" and again["status"] == "Image 1 of 4, 1 scored" and again["stays"] == "detail"
    assert sorted(again["saved"]["scores"].values(), key=len) == [
        {"relevance": 2},
        {"relevance": 1, "aesthetics": 1, "detail": 4, "uniqueness": 1},
    ]
    assert again["saved"]["ballot"] == first["saved"]["ballot"] and again["saved"]["rater"] is None


def test_arrows_choose_the_question(drive) -> None:
    walk = "for (const key of ['ArrowDown', 'ArrowDown', 'ArrowUp']) { press(key); answer[key] = now(); }"
    answer = drive(f"{PRESS} {NOW} {walk} press('ArrowUp'); press('ArrowUp'); answer.top = now();")
    assert answer == {"ArrowDown": "detail", "ArrowUp": "aesthetics", "top": "relevance"}


def test_invalid_stored_scores_are_ignored(drive_in_turn) -> None:
    spoil = """const key = Object.keys(localStorage)[0], saved = JSON.parse(localStorage[key]);
    saved.scores[pictures[0].sha256] = { detail: 9, relevance: '<b>', aesthetics: 2, other: 1 };
    saved.scores.strange = { detail: 1 }; saved.rater = 7; localStorage[key] = JSON.stringify(saved);"""
    _, answer = drive_in_turn(f"{PRESS} press('3'); {spoil}", f"{PRESS} {SAVE}")
    assert list(answer["saved"]["scores"].values()) == [{"aesthetics": 2}] and answer["saved"]["rater"] is None


def test_a_name_is_typed_without_scoring(drive) -> None:
    typed = "document.getElementById('rater').dispatchEvent(new KeyboardEvent('keydown', {key: '5', bubbles: true}));"
    assert drive(f"{typed} {STATUS} answer.off = document.getElementById('save').disabled;") == {
        "status": "Image 1 of 4, 0 scored",
        "off": True,
    }


def test_a_prompt_is_text_and_nothing_reveals_the_model(drive, page) -> None:
    seen = "answer.prompt = document.getElementById('prompt').textContent;"
    answer = drive(f"{seen} answer.bold = document.querySelectorAll('b').length; answer.photographs = "
                   "document.querySelectorAll('.photographs img').length")  # fmt: skip
    assert answer == {"prompt": PROMPT, "bold": 0, "photographs": 4}
    assert "secret" not in page.read_text()


def test_relevance_is_asked_of_pictures_with_words_alone(tmp_path: Path, pictures: list[Path]) -> None:
    items = [ScoredImage(pictures[0], None, "all"), ScoredImage(pictures[1], "a cat", "a cat")]
    page = sheet(tmp_path, items, [], [])
    asked = "answer[pictures[at].prompt ?? 'none'] = [...document.querySelectorAll('.question:not([hidden])')].length;"
    answer = browser.drive(page, f"{asked} go(1); {asked}", tmp_path / "profile")
    assert answer == {"none": 3, "a cat": 4}
    wordless = sheet(tmp_path, items[:1], [], []).read_text()
    assert 'data-question="relevance"' not in wordless and "photograph" not in wordless.split("<body>")[1]


@pytest.mark.parametrize("size", ["--window-size=500,900", "--window-size=1280,800"])
def test_it_fits_a_phone_and_a_desk(drive, size: str) -> None:
    answer = drive("answer.wide = document.documentElement.scrollWidth - document.documentElement.clientWidth", size)
    assert answer["wide"] == 0


def test_it_opens_by_itself(page: Path) -> None:
    text = page.read_text()
    assert "http" not in text.replace("http-equiv", "") and 'src="/' not in text and "made by AI" in text
