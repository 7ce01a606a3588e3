"""Captions of class images, made of the captions of the subject."""

from __future__ import annotations

import re
from collections.abc import Iterable

from limner.core.choice import evenly
from limner.core.requests import TrainRequest


def word_pattern(text: str) -> re.Pattern[str]:
    """A pattern that finds a text as whole words in any case; the models' tokenizers ignore case."""
    return re.compile(rf"(?<!\w){re.escape(text)}(?!\w)", re.IGNORECASE)


def class_captions(request: TrainRequest, captions: Iterable[str], count: int) -> tuple[str, ...]:
    """Captions of `count` class images, to be taken in turn, over and over.

    At least one in four is the class alone. The others are the subject's captions without the identifier, so that the
    class is preserved in the places in which the subject is shown. Of too many captions some are chosen evenly. A
    caption without the class word is left out.
    """
    assert request.identifier is not None, "class images are of a subject's class"
    identifier, class_word = word_pattern(request.identifier), word_pattern(request.class_word)
    bare = (" ".join(identifier.sub("", text).split()) for text in captions if identifier.search(text))
    known = list(dict.fromkeys(text for text in bare if class_word.search(text) and text != request.class_prompt))
    chosen = evenly(known, min(len(known), 3 * count // 4))
    turns = [(request.class_prompt, *three) for three in (chosen[i : i + 3] for i in range(0, len(chosen), 3))]
    return tuple(text for turn in turns for text in turn) or (request.class_prompt,)
