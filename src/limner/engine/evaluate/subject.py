"""What an evaluation is about."""

from __future__ import annotations

from dataclasses import dataclass

from limner.core.errors import LimnerError
from limner.core.requests import EvaluateRequest
from limner.core.requests.request import SUBJECT
from limner.engine.compare.contestants import Entrant
from limner.engine.influence.restored import training_of
from limner.models.adapters import open_adapter


@dataclass(frozen=True)
class Subject:
    """identifier: the made-up word, where there is one. class_word: what the subject is, where that is known."""

    identifier: str | None
    class_word: str | None

    @property
    def full(self) -> str:
        return " ".join(filter(None, (self.identifier, self.class_word)))

    def put(self, template: str, plain: bool = False) -> str:
        """A prompt with the subject in it, or in plain words, for encoders that never heard of the made-up one."""
        word = self.class_word or self.full if plain else self.full
        if SUBJECT in template and not word:
            raise LimnerError(f"the prompt {template!r} asks for a subject, and none is known", "give --class")
        return template.replace(SUBJECT, word)


def subject_of(request: EvaluateRequest, target: Entrant) -> Subject:
    """The subject as the request names it, or as the adapter was taught it."""
    identifier, class_word = request.identifier, request.class_word
    if target.adapter and (identifier is None or class_word is None):
        try:
            training, _ = training_of(open_adapter(target.adapter[0].path))
        except LimnerError:  # made by another program
            return Subject(identifier, class_word)
        identifier, class_word = identifier or training.identifier, class_word or training.class_word
    return Subject(identifier, class_word)
