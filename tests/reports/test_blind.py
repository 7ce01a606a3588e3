"""The blind page in a real browser: votes by key and by click, what is kept, and what is saved."""

from __future__ import annotations

import re

import pytest
from PIL import Image

import browser
from browser import PRESS, SAVE, STATUS
from limner.core.votes import Votes, VotesKey
from limner.engine.compare.blind_page import VoterTexts, write_blind_page
from limner.engine.compare.ranking import rank_by_votes

pytestmark = pytest.mark.skipif(not browser.CHROMIUM.exists(), reason="there is no chromium")
COLOURS = {"red": (200, 40, 30), "blue": (30, 60, 200)}


@pytest.fixture
def page(tmp_path):
    """A blind page of six pairs of a red and a blue contestant, and its key."""
    painted = []
    for name, colour in COLOURS.items():
        (tmp_path / name).mkdir()
        pictures = {}
        for number in range(6):
            path = tmp_path / name / f"{number}.png"
            Image.new("RGB", (32, 32), tuple(value + number for value in colour)).save(path)
            pictures[f"</script><b>{number}", 42] = path
        painted.append(pictures)
    texts = VoterTexts({prompt: prompt for prompt, _ in painted[0]})
    blind, key = write_blind_page(tmp_path, list(COLOURS), painted, 100, 42, texts)
    return blind, VotesKey.model_validate_json(key.read_text())


@pytest.fixture
def drive(page, tmp_path):
    """Open the page, run a script in it, and give what it leaves in `answer`."""

    return lambda script: browser.drive(page[0], script, tmp_path / "profile")


REDDER = """const redder = () => { const seen = ['left', 'right'].map(id => { const image = document.getElementById(id),
  canvas = document.createElement('canvas'), flat = canvas.getContext('2d'); flat.drawImage(image, 0, 0);
  return flat.getImageData(4, 4, 1, 1).data[0]; }); return seen[0] > seen[1] ? '1' : '2'; };
const ready = () => Promise.all(['left', 'right'].map(id => document.getElementById(id).decode()));"""


def test_a_person_who_prefers_red_makes_red_win(drive, page):
    script = f"{PRESS} {REDDER} for (let n = 0; n < 6; n++) {{ await ready(); press(redder()); }} {STATUS} {SAVE}"
    answer = drive(script)
    votes = Votes.model_validate(answer["saved"])
    assert answer["status"].startswith("You voted on all 6 pairs")
    assert len(votes.votes) == 6 and votes.comparison == page[1].comparison
    ranking = rank_by_votes(page[1], [votes])
    assert [each.contestant for each in ranking.ranks] == ["red", "blue"]
    assert ranking.ranks[0].wins == 6


def test_votes_stay_in_the_browser_and_can_be_changed(page, tmp_path):
    change = "press('ArrowLeft'); document.querySelector('.keys [data-choice=left]').click();"
    scripts = f"{PRESS} press('0'); press('2'); {STATUS} {SAVE}", f"{PRESS} {STATUS} {change} {SAVE}"
    first, again = browser.drive_in_turn(page[0], scripts, tmp_path / "profile")
    assert first["status"] == "Pair 3 of 6, 2 done"
    assert list(first["saved"]["votes"].values()) == ["tie", "right"]
    assert again["status"] == "Pair 3 of 6, 2 done"
    assert list(again["saved"]["votes"].values()) == ["tie", "left"]
    assert again["saved"]["ballot"] == first["saved"]["ballot"]


def test_a_prompt_is_text_and_never_markup(drive):
    count = "answer.bold = document.querySelectorAll('b').length;"
    answer = drive(f"answer.prompt = document.getElementById('prompt').textContent; {count}")
    assert re.fullmatch(r"</script><b>\d", answer["prompt"]) and answer["bold"] == 0


def test_it_fits_a_phone(drive):
    answer = drive("answer.wide = document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert answer["wide"] == 0
