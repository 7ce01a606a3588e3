"""What prompts ask contestants for, and how encoders and voters read them."""

from __future__ import annotations

import pytest

from limner.core.errors import LimnerError
from limner.engine.compare.subject import ComparedSubjects, PromptSubject, plain_prompt

CAT = PromptSubject("sks", "cat")


@pytest.mark.parametrize(
    ("prompt", "plain", "beside_photos"),
    [
        ("a photo of sks cat", "a photo of a cat", "a photo of this cat"),
        ("a photo of {} on the beach", "a photo of a cat on the beach", "a photo of this cat on the beach"),
        ("a photo of a {} at night", "a photo of a cat at night", "a photo of this cat at night"),
        ("{} in the snow", "a cat in the snow", "this cat in the snow"),
        ("a SKS owl", "an owl", "this owl"),
        ("an old sks cat", "an old cat", "an old cat"),
        ("a dog and sks cat", "a dog and a cat", "a dog and this cat"),
        ("a photo of sks on a beach", "a photo of a cat on a beach", "a photo of this cat on a beach"),
        ("a photo of sks running", "a photo of a cat running", "a photo of this cat running"),
        ("a photo of sks", "a photo of a cat", "a photo of this cat"),
        ("a desk", "a desk", "a desk"),
    ],
)
def test_people_and_encoders_read_an_article_and_no_identifier(prompt: str, plain: str, beside_photos: str) -> None:
    assert plain_prompt(prompt, CAT, ["zwx"]) == plain
    assert plain_prompt(prompt, CAT, ["zwx"], shown=True) == beside_photos


def test_a_word_without_a_class_stays() -> None:
    assert plain_prompt("a photo of {}", PromptSubject("rex", None)) == "a photo of rex"
    assert plain_prompt("sks", PromptSubject("sks", None)) == "sks"
    assert plain_prompt("a photo of zwx dog", PromptSubject(None, None), ["zwx"]) == "a photo of a dog"


def test_each_contestant_is_asked_for_its_own_subject_and_the_base_model_for_the_class() -> None:
    subjects = ComparedSubjects({"rex": CAT, "max": PromptSubject("zwx", "cat")}, CAT, ("sks", "zwx"))
    filled = [subjects.fill("a photo of {}", name) for name in ("rex", "max", "starter")]
    assert filled == ["a photo of sks cat", "a photo of zwx cat", "a photo of a cat"]
    assert subjects.fill("a cat", "rex") == "a cat", "what is typed in full is not changed"
    unknown = ComparedSubjects({}, PromptSubject(None, None), ())
    with pytest.raises(LimnerError, match=r"needs a subject, and none is known; give --class"):
        unknown.fill("a photo of {}", "starter")


def test_prompts_that_do_not_ask_for_the_subject_are_reported() -> None:
    subjects = ComparedSubjects({"rex": CAT}, CAT, ("sks",))
    assert subjects.unnamed(["a photo of {}", "a SKS cat"]) is None
    found = subjects.unnamed(["a photo of {}", "a cat", "desks"])
    assert found is not None and found.startswith("2 of 3 prompts do not ask for the subject of rex ('sks'), the first")
    assert ComparedSubjects({"rex": PromptSubject(None, "cat")}, CAT, ()).unnamed(["a cat"]) is None
