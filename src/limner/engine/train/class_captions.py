"""Captions of the subject -> captions of the class pictures."""

from __future__ import annotations

import re
from collections.abc import Iterable

from limner.core.choice import evenly
from limner.core.requests import TrainRequest


def word_pattern(text: str) -> re.Pattern[str]:
    """Finds a text where it stands by itself, in any case, as the models' tokenizers have none."""
    return re.compile(rf"(?<!\w){re.escape(text)}(?!\w)", re.IGNORECASE)


def class_captions(request: TrainRequest, captions: Iterable[str], count: int) -> tuple[str, ...]:
    """What `count` class pictures show, to be taken in turn, over and over.

    That is the class alone for one picture in four or more, and what the subject's captions say but for the
    identifier, so that the class is kept as it is in the places in which the subject is shown. Of too many captions
    some are evenly chosen; one in which the class is not named is left out.
    """
    assert request.identifier is not None, "class pictures are of a subject's class"
    identifier, class_word = word_pattern(request.identifier), word_pattern(request.class_word)
    bare = (" ".join(identifier.sub("", text).split()) for text in captions if identifier.search(text))
    told = list(dict.fromkeys(text for text in bare if class_word.search(text) and text != request.class_prompt))
    chosen = evenly(told, min(len(told), 3 * count // 4))
    turns = [(request.class_prompt, *three) for three in (chosen[i : i + 3] for i in range(0, len(chosen), 3))]
    return tuple(text for turn in turns for text in turn) or (request.class_prompt,)
