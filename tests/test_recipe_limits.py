"""Recipes and lists of prompts at the edges of what is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from limner.cli import recipes
from limner.cli.recipes import read_recipe
from limner.core import prompts
from limner.core.errors import LimnerError
from limner.core.prompts import read_prompts

MOST = 64


@pytest.mark.parametrize(("size", "read"), [(MOST, True), (MOST + 1, False)])
def test_a_recipe_has_a_mebibyte_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, read: bool
) -> None:
    assert recipes.LONGEST == prompts.LONGEST == 1024 * 1024
    monkeypatch.setattr(recipes, "LONGEST", MOST)
    monkeypatch.setattr(prompts, "LONGEST", MOST)
    place = tmp_path / "own.yaml"
    place.write_text("steps: 9\n#".ljust(size, "x"))
    assert place.stat().st_size == size
    if read:
        assert read_recipe(place, "train") == [{"steps": 9, "kind": "train"}]
        assert len(read_prompts(place)) == 2
        return
    for reading in (lambda: read_recipe(place, "train"), lambda: read_prompts(place)):
        with pytest.raises(LimnerError, match="a file of over 64 bytes"):
            reading()


def test_a_recipe_is_of_the_kind_that_is_asked_for(tmp_path: Path) -> None:
    place = tmp_path / "own.yaml"
    place.write_text("kind: train\nsteps: 9\n---\nkind: train\nsteps: 8\n")
    assert [fields["steps"] for fields in read_recipe(place, "train")] == [9, 8]
    with pytest.raises(LimnerError, match=r"is for train, not for generate; use it with `limner train`"):
        read_recipe(place, "generate")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stesp: 9", "has an unknown field 'stesp'; did you mean 'steps'?"),
        ("rank: 8", "has an unknown field 'rank'; it is an option of the method: write 'options: {rank: 8}'"),
        ("zzz: 1", "has an unknown field 'zzz'; choose one of: "),
        ("- a\n- b", "holds no fields of a request"),
        ("", "holds no fields of a request"),
        ("a: [", "is not valid YAML in line"),
    ],
)
def test_mistakes_in_a_recipe_are_told_with_their_remedy(tmp_path: Path, text: str, said: str) -> None:
    place = tmp_path / "own.yaml"
    place.write_text(text)
    with pytest.raises(LimnerError) as caught:
        read_recipe(place, "train")
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_prompts_are_lines_that_say_something_each_once(tmp_path: Path) -> None:
    place = tmp_path / "prompts.txt"
    place.write_text("\ufeffa cat\n\n  a dog  \na cat\n \t\n", encoding="utf-8")
    assert read_prompts(place) == ["a cat", "a dog"]
    place.write_text("\n \n")
    with pytest.raises(LimnerError, match="holds no prompt"):
        read_prompts(place)
