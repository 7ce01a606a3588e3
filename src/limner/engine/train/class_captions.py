"""Captions of class images, made of the captions of the subject."""

from __future__ import annotations

from collections.abc import Iterable

from limner.core.choice import evenly
from limner.core.requests import TrainRequest
from limner.core.text import whole_words


def class_captions(request: TrainRequest, captions: Iterable[str], count: int) -> tuple[str, ...]:
    """Captions of `count` class images, to be taken in turn, over and over.

    At least one in four is the class alone. The others are the subject's captions without the identifier, so that the
    class is preserved in the places in which the subject is shown. Of too many captions some are chosen evenly. A
    caption without the class word is left out.
    """
    assert request.identifier is not None, "class images are of a subject's class"
    identifier, class_word = whole_words(request.identifier), whole_words(request.class_word)
    bare = (" ".join(identifier.sub("", text).split()) for text in captions if identifier.search(text))
    known = list(dict.fromkeys(text for text in bare if class_word.search(text) and text != request.class_prompt))
    chosen = evenly(known, min(len(known), 3 * count // 4))
    turns = [(request.class_prompt, *three) for three in (chosen[i : i + 3] for i in range(0, len(chosen), 3))]
    return tuple(text for turn in turns for text in turn) or (request.class_prompt,)
