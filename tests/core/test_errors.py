"""Errors are one line: the problem, what to do, the nearest known name, and at most fifty mistakes."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from hostile import within
from limner.core.errors import MAX_PROBLEMS, LimnerError, invalid, unknown


def test_an_error_without_a_remedy_ends_with_the_problem() -> None:
    assert str(LimnerError("it\nis  lost", "look\tfor it")) == "it is lost; look for it"
    assert str(LimnerError("it is lost")) == "it is lost"


@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        ("Eular", "did you mean 'Euler'? choose one of: Euler, ddim, lms"),
        ("ddpm", "did you mean 'ddim'? choose one of: Euler, ddim, lms"),
        ("quite another", "choose one of: Euler, ddim, lms"),
    ],
)
def test_an_unknown_name_is_told_with_the_nearest_known_one(value: str, remedy: str) -> None:
    error = unknown("scheduler", value, ["lms", "Euler", "ddim"])
    assert (error.problem, error.remedy) == (f"unknown scheduler {value!r}", remedy)
    assert unknown("scheduler", value, []).remedy == "there is none yet"


@pytest.mark.parametrize(
    ("count", "last"),
    [(50, "49 'x': use a whole number"), (51, "and 1 more")],
)
def test_at_most_fifty_mistakes_are_listed_and_the_rest_counted(count: int, last: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(dict[str, int]).validate_python({str(number): "x" for number in range(count)})
    problems = invalid(caught.value).problem.split("; ")
    assert MAX_PROBLEMS == 50 and len(problems) == count and problems[-1] == last
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(dict[str, int]).validate_python({str(number): "x" for number in range(1100)})
    problems = invalid(caught.value).problem.split("; ")
    assert len(problems) == 51 and problems[-1] == "and 1,050 more"


@pytest.mark.parametrize("name", ["x" * 3000, "a b" * 1000, "it's" * 800, "é\x1b" * 700, "'" * 3000, "\"'\\" * 1000])
def test_a_long_name_is_shortened_and_the_rest_of_the_line_stays(name: str) -> None:
    for text in (f"{name!r} does not exist", f"the adapter {name!r} is damaged, and so is 'rex'"):
        line = str(LimnerError(text, f"give another name than {name!r}: --model starter"))
        assert len(line) < 400 and line.endswith(": --model starter") and "…" in line
        assert "does not exist; " in line or "is damaged, and so is 'rex'; " in line


@pytest.mark.parametrize("name", ["x" * 150, "/home/" + "folder/" * 18 + "rex.safetensors"])
def test_a_name_of_usual_length_is_whole(name: str) -> None:
    choices = ", ".join(f"choice-{number}" for number in range(200))
    assert str(LimnerError(f"{name!r} is not one of {choices}")) == f"{name!r} is not one of {choices}"


@pytest.mark.parametrize("piece", ["'", '"', "\\'", "' ", "\\' ", "'a", "x", "'\\", "a'b\"c "])
def test_a_line_with_any_text_is_written_fast(piece: str) -> None:
    assert within(LimnerError, piece * (100_000 // len(piece)))
