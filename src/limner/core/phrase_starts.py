"""Rules out texts in which no blocked phrase can begin, by their tokens: most texts need no further search."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from limner.core.blocked_words import token_words

NEVER = "(?!)"
"""A pattern that matches nothing."""
LONGEST, MOST = 64, 2**15
"""Characters of a token that is kept, and how many tokens are. A text with a longer one is searched."""
_OPEN, _FIRST, _LAST, _SOLID, _BITS = 1, 2, 4, 8, 4
"""Facts of a token, as bits: the text has to be searched; those of `TokenWords`. Above these is a bit per list."""


class PhraseStarts:
    """Where phrases of lists can begin.

    A phrase of ASCII characters begins with a word and is found in the `variants` of a text only. So a text of which no
    word, in any variant, can begin a phrase has none. What a token may be in all variants is kept, because most tokens
    of many texts are few words. Groups are as in `Category.lists`: a text needs a phrase of every list of one.

    starts: patterns of all that the first word of a phrase of each list can be, by groups. Phrases with other
    characters than those of ASCII need none: a text that has such characters is always searched.
    """

    def __init__(self, starts: Sequence[Sequence[str]]) -> None:
        self._lists = [*dict.fromkeys(each for group in starts for each in group)]
        self._all = re.compile("|".join(self._lists) or NEVER)
        self._groups = [sum({1 << (_BITS + self._lists.index(each)) for each in group}) for group in starts]
        self._facts = lru_cache(MOST)(self._read)

    def may_be_in(self, base: str) -> bool:
        """Whether a phrase may be in a text that is `unweighted`."""
        found, after_single = 0, False
        for token in base.split():
            facts = self._facts(token) if len(token) <= LONGEST else _OPEN
            if facts & _OPEN or (after_single and facts & _FIRST):
                return True
            after_single = bool(facts & _LAST) or (after_single and not facts & _SOLID)
            found |= facts
        return any(found & group == group for group in self._groups)

    def _read(self, token: str) -> int:
        if (read := token_words(token)) is None:
            return _OPEN
        facts = _FIRST * read.first | _LAST * read.last | _SOLID * read.solid
        for word in filter(self._all.fullmatch, read.words):
            for place, starts in enumerate(self._lists, _BITS):
                facts |= bool(re.fullmatch(starts, word)) << place
        return facts
