"""The subject of prompts: the words that stand for it, and how a prompt reads without its identifier."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from limner.core.errors import LimnerError
from limner.core.requests import AdapterUse, CompareRequest
from limner.core.requests.request import SUBJECT
from limner.core.text import article, fix_punctuation, whole_words
from limner.engine.compare.contestants import ModelWithAdapters, identifiers
from limner.engine.influence.restored import training_of
from limner.models.adapters import open_adapter

_MARK = "\ue000"
"""A private character in place of the identifier, which no prompt contains."""
_LINKS = "of|with|and|or|in|on|at|by|near|from|to|as|like|for"
_NOUN_PHRASE = re.compile(
    rf"(?P<before>^|\b(?:{_LINKS})\s+)?(?P<article>\b(?:an?|the)\s+)?{_MARK}"
    rf"(?:\s+(?P<noun>(?!(?:{_LINKS}|\w+ing)\b)\w+))?",
    re.IGNORECASE,
)
"""An identifier, the article before it or a word after which one is missing, and the noun after it."""


@dataclass(frozen=True)
class PromptSubject:
    """What {} in a prompt stands for. identifier: the rare token, if there is one. class_word: what the subject is."""

    identifier: str | None
    class_word: str | None

    @property
    def full(self) -> str:
        return " ".join(filter(None, (self.identifier, self.class_word)))

    def fill(self, template: str) -> str:
        """The prompt with the subject in it. Raises LimnerError if it needs one and none is known."""
        if SUBJECT in template and not self.full:
            raise LimnerError(f"the prompt {template!r} needs a subject, and none is known", "give --class")
        return template.replace(SUBJECT, self.full)

    def names(self, prompt: str) -> bool:
        """Whether a prompt, with the subject filled in, asks for the subject and not for any of its class."""
        return self.identifier is None or whole_words(self.identifier).search(prompt) is not None


def trained_subject(adapters: Collection[AdapterUse]) -> PromptSubject:
    """The subject that the first adapter was trained on; both words are None if there is none or it does not say."""
    for use in adapters:
        try:
            training, _ = training_of(open_adapter(use.path))
        except LimnerError:  # made by another program
            break
        return PromptSubject(training.identifier, training.class_word)
    return PromptSubject(None, None)


def plain_prompt(template: str, subject: PromptSubject, others: Collection[str] = (), shown: bool = False) -> str:
    """A prompt as encoders and people understand it: the class word with an article in place of the subject.

    others: identifiers besides the subject's that mean nothing to them. shown: whether photos of the subject are beside
    it, so that "a photo of sks cat" is "a photo of this cat" instead of "a photo of a cat". A prompt in which nothing
    else is left stays as it is.
    """
    text = template.replace(SUBJECT, f"{_MARK} {subject.class_word}" if subject.class_word else subject.full)
    for word in {*others, *filter(None, [subject.identifier])}:
        text = whole_words(word).sub(_MARK, text)

    def phrase(found: re.Match[str]) -> str:
        before, given, noun = (found[name] or "" for name in ("before", "article", "noun"))
        if not (noun := noun or subject.class_word or ""):
            return before + given + (subject.identifier or "")
        missing = found["before"] is not None and not given
        if shown and (missing or given):
            return f"{before}this {noun}"
        if missing or given.strip().lower() in ("a", "an"):
            return f"{before}{article(noun)} {noun}"
        return f"{before}{given}{noun}"

    return fix_punctuation(_NOUN_PHRASE.sub(phrase, text)) or template


@dataclass(frozen=True)
class ComparedSubjects:
    """The subjects of a comparison.

    trained: by contestant with adapters. common: the subject as encoders and people understand it. identifiers: tokens
    of all adapters, which mean nothing to them.
    """

    trained: Mapping[str, PromptSubject]
    common: PromptSubject
    identifiers: Collection[str]

    @classmethod
    def of(cls, request: CompareRequest, contestants: Sequence[ModelWithAdapters]) -> ComparedSubjects:
        """Those that the request names, or else those that the adapters were trained on."""
        trained: dict[str, PromptSubject] = {}
        for each in contestants:
            if each.adapters:
                own = trained_subject(each.adapters)
                words = request.identifier or own.identifier, request.class_word or own.class_word
                trained[each.name] = PromptSubject(*words)
        class_words = [request.class_word, *(subject.class_word for subject in trained.values())]
        identifier = next((subject.identifier for subject in trained.values() if subject.identifier), None)
        common = PromptSubject(identifier, next(filter(None, class_words), None))
        return cls(trained, common, identifiers(contestants))

    def fill(self, template: str, contestant: str) -> str:
        """What a contestant is asked for: the class alone if it has no adapter. Without {} the prompt is as typed."""
        if SUBJECT not in template:
            return template
        if contestant in self.trained:
            return self.trained[contestant].fill(template)
        if self.common.class_word is None:
            raise LimnerError(f"the prompt {template!r} needs a subject, and none is known", "give --class")
        return self.plain(template)

    def plain(self, template: str, shown: bool = False) -> str:
        """A prompt as encoders and people understand it; shown: with photos of the subject beside it."""
        return plain_prompt(template, self.common, self.identifiers, shown)

    def unnamed(self, prompts: Sequence[str]) -> str | None:
        """Why the images are not of the subject; None if every prompt asks each adapter for what it was trained on."""
        for contestant, subject in self.trained.items():
            missing = [prompt for prompt in prompts if not subject.names(subject.fill(prompt))]
            if missing:
                return (
                    f"{len(missing)} of {len(prompts)} prompts do not ask for the subject of {contestant} "
                    f"({subject.identifier!r}), the first is {missing[0][:80]!r}; write {{}} where the subject belongs"
                )
        return None
