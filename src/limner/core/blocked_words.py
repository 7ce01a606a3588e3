"""Normalises text so that a blocked word cannot be disguised: case, accents, look-alike letters, spacing, digits."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from itertools import pairwise

from limner.core.doubled_letters import DOUBLED_LETTERS
from limner.core.look_alikes import DIGITS, I_OR_L, LOOK_ALIKES

_LOOK_ALIKE = str.maketrans(LOOK_ALIKES)
_DIGIT_IN_WORD = re.compile(rf"(?<=[^\W\d_])[{''.join(DIGITS)}]|[{''.join(DIGITS)}](?=[^\W\d_])")
_BLANKS = re.compile("[\u115f\u1160\u3164\uffa0\u2800]")
"""Letters and signs without a visible shape."""
_INVISIBLE = ("Mn", "Me", "Cf", "Cc")
_CONTROLS = {code: None for code in (*range(32), 127) if not chr(code).isspace()}
_FIGURES = str.maketrans(dict(zip("023456789@$€+", "ozeasgtbgaset", strict=True)) | dict.fromkeys("1!|", I_OR_L))
_FIGURE = re.compile(r"[0-9@$€+!|]")
_FIGURES_ALONE = re.compile(r"[0-9@$€+!|]+")
_LETTER = re.compile(r"[^\W\d_]")
_FIGURE_WORDS = re.compile(r"(?<!\S)[0-9@$€+!|]+(?: [0-9@$€+!|]+)+(?![^\s.,;:?])")
_GLUE = "\u017f"
"""A letter that no folded text has: stands for a space between words that count only together."""
_ENDS = "!?.,;:"
_DIGITS = str.maketrans("", "", "0123456789")
_WEIGHT = re.compile(r":\s*[+-]?[\d.]+\s*(?=[)\]}])")
_SPELT_WORD = re.compile(r"(?<!\S)(?<!(?<!\S)\S )\w(?: \w)+(?= {2}| \w\w| ?$)")
_SPELT = re.compile(r"(?<!\S)\w(?: \w){2,}(?!\S)")
_RUN = re.compile(r"(.)\1{5,}")
_DOUBLE = re.compile(r"([a-z])\1")


def fold(text: str) -> str:
    """The text in lower case and compatibility form (NFKC), with ASCII digits, without accents, invisible characters
    and look-alikes of Latin letters.
    """
    if text.isascii():
        return text.lower() if text.isprintable() else text.lower().translate(_CONTROLS)
    # Capitals are replaced first: the small letter of a look-alike may look like another letter.
    text = _DIGIT_IN_WORD.sub(lambda found: DIGITS[found[0]], text).translate(_LOOK_ALIKE)
    parts = _BLANKS.sub("", unicodedata.normalize("NFKD", text))
    kept = "".join(map(_visible, parts)).translate(_LOOK_ALIKE).casefold()
    return unicodedata.normalize("NFKC", kept).translate(_LOOK_ALIKE)


def _visible(sign: str) -> str:
    """A character; an ASCII digit for other decimal digits, and nothing for what is invisible."""
    category = unicodedata.category(sign)
    if category == "Nd":
        return str(unicodedata.decimal(sign))
    return "" if category in _INVISIBLE and not sign.isspace() else sign


def plain(text: str) -> str:
    """The folded words of a text, letters and digits only, with single spaces between them."""
    return " ".join(re.sub(r"[\W_]+", " ", fold(text)).split())


def unweighted(text: str) -> str:
    """The folded text without the numbers of prompt weights."""
    folded = fold(text)
    return _WEIGHT.sub("", folded) if ":" in folded else folded


def variants(text: str) -> tuple[str, ...]:
    """The texts that this one may stand for, the most literal first; `pattern_of` finds words in them."""
    return variants_of(unweighted(text))


def variants_of(base: str) -> tuple[str, ...]:
    """The `variants` of a text that is `unweighted`.

    They undo, one or two at a time: digits for letters (h3llo), signs inside words (he-llo), spaced letters
    (h e l l o), digits at the end (hello2) and prompt weights. The doubled letter of an English word that is another
    word without it is a capital in them ("rapping"), so that only other words may be read with fewer letters.
    """
    found: dict[str, None] = {}
    figures = (*_replace_figures(base), _without_digits(base)) if _FIGURE.search(base) else ()
    for form in dict.fromkeys((base, *figures)):
        apart = re.sub(r"[\W_]", " ", form)
        joined = re.sub(r"[^\w\s]+|_+", "", form)
        for read in dict.fromkeys(" ".join(each.split()) for each in (apart, joined, *_join_spelt(apart))):
            found[_mark_doubled(read)] = None
    return tuple(found)


@dataclass(frozen=True, slots=True)
class TokenWords:
    """The words of a token, which has no spaces, in the `variants` of any text that has it.

    first, last: whether its first or last word may be a single character, which is joined with those beside it.
    solid: whether it has a word in every variant.
    """

    words: frozenset[str]
    first: bool
    last: bool
    solid: bool


def token_words(token: str) -> TokenWords | None:
    """The words of a token of an `unweighted` text; None where they depend on the tokens beside it."""
    if not token.isascii() or _FIGURES_ALONE.fullmatch(token):
        return None
    forms = {token}
    if _FIGURE.search(token):
        forms |= {each.translate(_FIGURES) for each in (token, token.rstrip(_ENDS))} | {token.translate(_DIGITS)}
    words, first, last, solid = set[str](), False, False, True
    for form in forms:
        apart = re.sub(r"[\W_]", " ", form).split()
        single = [len(word) == 1 for word in apart]
        if any(one and other for one, other in pairwise(single)):
            return None
        words.update(map(_mark_doubled, (*apart, re.sub(r"[^\w\s]+|_+", "", form))))
        first, last, solid = first or single[:1] == [True], last or single[-1:] == [True], solid and bool(apart)
    return TokenWords(frozenset(words), first, last, solid)


def pattern_of(words: str) -> str:
    """The regular expression that finds folded words in `variants`.

    Each letter may be repeated, an i or l may be a figure or a look-alike of both, and spaces may be missing.
    """
    return "".join(_run_pattern(found[0]) for found in re.finditer(r"([a-z])\1*|[^a-z]", words))


def _run_pattern(run: str) -> str:
    """The pattern of a space, of any other character, or of a letter one or more times."""
    if not run.isascii() or not run.isalpha():
        return f"[ {_GLUE}]?" if run == " " else re.escape(run)
    letter = f"[{run[0]}{I_OR_L}]" if run[0] in "il" else run[0]
    repeated = letter * len(run) + f"{letter}*"  # not +: it begins with a literal, which the search skips to
    return f"(?:{repeated}|{run[0].upper()})" if len(run) == 2 else repeated


def _mark_doubled(text: str) -> str:
    """The text with at most five of a character in a row, and doubled letters as capitals in words that need them."""
    text = _RUN.sub(r"\1\1\1\1\1", text)
    return re.sub(r"\w+", _mark_word, text) if _DOUBLE.search(text) else text


def _mark_word(found: re.Match[str]) -> str:
    word = found[0]
    return _DOUBLE.sub(lambda double: double[1].upper(), word) if word in DOUBLED_LETTERS else word


def _replace_figures(text: str) -> dict[str, None]:
    """The text with digits and signs replaced in words that hold letters too; and also in the words beside those; and
    in words of figures alone, glued, so that none of them is read as a word by itself.

    Signs that end a word are punctuation, or letters.
    """
    found = {_FIGURE_WORDS.sub(lambda words: words[0].replace(" ", _GLUE).translate(_FIGURES), text): None}
    words = re.split(r"(\s+)", text)
    for ends in (_ENDS, ""):
        read = [word.rstrip(ends).translate(_FIGURES) for word in words]
        mixed = [bool(_LETTER.search(word)) and new != word.rstrip(ends) for word, new in zip(words, read, strict=True)]
        beside = [any(mixed[max(0, place - 2) : place + 3 : 2]) for place in range(len(words))]
        for changed in (mixed, beside):
            chosen = (new if change else word for word, new, change in zip(words, read, changed, strict=True))
            found["".join(chosen)] = None
    return found


def _without_digits(text: str) -> str:
    """The text without digits in words that hold letters too."""

    def remove(found: re.Match[str]) -> str:
        return found[0].translate(_DIGITS) if _LETTER.search(found[0]) else found[0]

    return re.sub(r"\S+", remove, text)


def _join_spelt(text: str) -> list[str]:
    """The text with letters apart joined: to words with more than one space between them, or to one word, also without
    a word "a" or "i" before it.
    """
    words = _SPELT_WORD.sub(_joined, text)
    whole = _SPELT.sub(_joined, text)
    after = _SPELT.sub(lambda found: re.sub(r"^[ai] ", "", found[0]).replace(" ", ""), text)
    return [words, whole, after] if whole != text else []


def _joined(found: re.Match[str]) -> str:
    return found[0].replace(" ", "")
