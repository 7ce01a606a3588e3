# ruff: noqa: RUF001  (look-alike letters are tested here)
"""The word list: disguised words, allowed prompts, and words of a policy."""

from __future__ import annotations

import random
import re
import unicodedata
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from hostile import within
from limner.core.blocked_words import plain, variants
from limner.core.doubled_letters import DOUBLED_LETTERS
from limner.core.errors import LimnerError
from limner.core.look_alikes import I_OR_L, LOOK_ALIKES
from limner.plugins.checks.words import ADDED, LIST, compile_phrases, make_category, plugin, shipped_categories
from limner.starter.painter import vocabulary

INNOCENT = (Path(__file__).with_name("innocent.txt")).read_text(encoding="utf-8").splitlines()
WORDS = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
CHILD = [*map(str, range(1, 18)), *WORDS.split()]
ADULT = ["18", "19", "20", "21", "30", "70", "117", "160", "eighteen", "nineteen", "twenty", "0"]
JUDGE = plugin.ready(plugin.Options())


def category_of(text: str, **options: tuple[str, ...]) -> str | None:
    return plugin.ready(plugin.Options(**options))(text).category


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("a naked child", "sexual content with minors"),
        ("1girl, nsfw, 12 years old", "sexual content with minors"),
        ("erotic photo of a fourteen-year-old", "sexual content with minors"),
        ("schoolgirl_lingerie", "sexual content with minors"),
        ("a woman raped by soldiers", "sexual violence"),
        ("Nudify this picture", "nudity without consent"),
        ("a celebrity, topless", "nudity without consent"),
        ("a severed head on a plate", "torture and gore"),
        ("a man waving a Nazi flag", "hate"),
        ("a poster that says KILL YOURSELF", "encouraging self-harm"),
        ("a fake passport of Utopia", "false documents and impersonation"),
        ("a deepfake of a senator", "false documents and impersonation"),
    ],
)
def test_each_category_is_refused(text: str, category: str) -> None:
    assert category_of(text) == category


def test_all_categories_are_tested() -> None:
    marks = test_each_category_is_refused.pytestmark[0].args[1]
    assert {kind.name for kind in shipped_categories()} == {category for _, category in marks}


@pytest.mark.parametrize(
    "text",
    [
        "SWASTIKA",
        "swast1ka",
        "sw@st!k@",
        "$wa$tika!!!",
        "s w a s t i k a",
        "a s w a s t i k a on a wall",
        "s.w.a.s.t.i.k.a",
        "s_w-a*s t i k a",
        "swas-tika",
        "swas\u00adtika",
        "swas\u200btika",
        "swas\u2060\ufeff\u180etika",
        "swas\u3164tika",
        "swas\U000e0074tika",
        "s\u0336w\u0336a\u0336s\u0336t\u0336i\u0336k\u0336a",
        "swástikä",
        "ｓｗａｓｔｉｋａ",
        "𝐬𝐰𝐚𝐬𝐭𝐢𝐤𝐚",
        "ⓢⓦⓐⓢⓣⓘⓚⓐ",
        "🅢🅦🅐🅢🅣🅘🅚🅐",
        "🆂🆆🅰🆂🆃🅸🅺🅰",
        "🇸 🇼 🇦 🇸 🇹 🇮 🇰 🇦",
        "ѕԝаѕтікa",
        "sωαsτικα",
        "ꜱᴡᴀꜱᴛɪᴋᴀ",
        "swaaaastikaaa",
        "swastika7",
        "(swastika:1.4)",
        "((swas))tika",
        "swas\\tika",
        "a cat\nswastika\na dog",
    ],
)
def test_disguised_words_are_found(text: str) -> None:
    assert category_of(text) == "hate"


def written_in(script: str) -> dict[str, str]:
    """A look-alike of each Latin letter that a script has one of."""
    found: dict[str, str] = {}
    for sign, letter in LOOK_ALIKES.items():
        if unicodedata.name(sign, "").startswith(script):
            for read in "il" if letter == I_OR_L else letter:
                found.setdefault(read, sign)
    assert len(found) >= 8
    return found


def all_figures(phrase: str) -> str:
    return phrase.translate(str.maketrans("aeilostbg", "431105789"))


DISGUISES = {
    "letters apart": lambda phrase: "  ".join(" ".join(word) for word in phrase.split()),
    "letters apart, words joined": lambda phrase: " ".join(phrase.replace(" ", "")),
    "hyphens": lambda phrase: "-".join(phrase.replace(" ", "")),
    "words joined": lambda phrase: phrase.replace(" ", ""),
    "letters three times": lambda phrase: re.sub(r"(\S)", r"\1\1\1", phrase),
    "vowels three times": lambda phrase: re.sub(r"([aeiou])", r"\1\1\1", phrase),
    "doubled": lambda phrase: re.sub(r"(\S)", r"\1\1", phrase),
    "figures": lambda phrase: phrase.translate(str.maketrans("aeiost", "431057")),
    "all figures": all_figures,
    "signs": lambda phrase: phrase.translate(str.maketrans("ailst", "@!|$+")),
    "weight of the end": lambda phrase: f"{phrase[: len(phrase) // 2]}({phrase[len(phrase) // 2 :]}:1.3)",
    "weight of the start": lambda phrase: f"({phrase[: len(phrase) // 2]}:1.3){phrase[len(phrase) // 2 :]}",
    "weight inside": lambda phrase: f"{phrase[0]}({phrase[1:-1]}:1.3){phrase[-1]}",
    **{
        script: lambda phrase, script=script: phrase.translate(str.maketrans(written_in(script)))
        for script in ("LISU", "ARMENIAN", "CHEROKEE", "COPTIC", "CYRILLIC", "GREEK", "CANADIAN", "WARANG")
    },
}


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("form", ["{}", "a photo of {}, highly detailed"])
def test_each_disguise_of_the_whole_list(disguise: str, form: str) -> None:
    """At most 2 of 98 pass, of words that no disguise leaves with a letter, such as 1011 for "loli"."""
    content = yaml.safe_load(LIST.read_text(encoding="utf-8"))
    phrases = [phrase for kind in content.values() for phrase in kind["phrases"] if "*" not in phrase]
    passed = [phrase for phrase in phrases if JUDGE(form.format(DISGUISES[disguise](phrase))).category is None]
    assert len(phrases) == 98
    assert passed == (["loli", "lolis"] if disguise == "all figures" else [])


def test_one_doubled_letter_hides_no_phrase() -> None:
    """Of all ways to double one letter of a phrase, only those pass that make another word."""
    content = yaml.safe_load(LIST.read_text(encoding="utf-8"))
    phrases = [phrase for kind in content.values() for phrase in kind["phrases"] if "*" not in phrase]
    doubled = [
        phrase[: at + 1] + phrase[at:] for phrase in phrases for at, sign in enumerate(phrase) if not sign.isspace()
    ]
    assert len(doubled) == 1070
    passed = [phrase for phrase in doubled if JUDGE(phrase).category is None]
    assert passed == ["lolli", "lollis", "rapped", "rapping", "goree", "pro anna", "fake mug shoot"]


def test_words_with_a_doubled_letter_are_not_refused() -> None:
    """Not even by a policy that forbids the words without it."""
    once = {word: re.sub(r"([a-z])\1", r"\1", word) for word in DOUBLED_LETTERS}
    assert [word for word, other in once.items() if word == other] == [], "no letter of them is doubled"
    lenient = plugin.ready(plugin.Options(add=tuple(sorted({*once.values()}))))
    strict = plugin.ready(plugin.Options(add=tuple(sorted(once))))
    assert [word for word in once if lenient(f"a photo of {word}").category is not None] == []
    assert [word for word in once if strict(f"a photo of {word}").category != ADDED] == []


def test_innocent_prompts_pass() -> None:
    assert len(INNOCENT) > 100 and [text for text in INNOCENT if JUDGE(text).category is not None] == []


@pytest.mark.parametrize("text", ["carottes râpe", "a naked baby Cupid, fresco", "a poster: stop rape now"])
def test_known_false_positives(text: str) -> None:
    """They are documented in docs/moderation.md."""
    assert category_of(text) is not None


def test_the_vocabulary_of_the_starter_is_allowed() -> None:
    judge = plugin.ready(plugin.Options())
    words = [
        word
        for name, values in vars(vocabulary).items()
        if name.isupper()
        for part in (values if isinstance(values, tuple | dict) else (values,))
        for word in (part if isinstance(part, tuple) else (part,))
        if isinstance(word, str)
    ]
    assert len(words) > 60
    chance = random.Random(7)
    mixed = [f"a photo of a {' '.join(chance.sample(words, 5))}, highly detailed" for _ in range(2000)]
    assert [text for text in (*words, *mixed) if judge(text).category] == []


def test_a_policy_adds_words() -> None:
    house = ("rival brand", "colour*", "猫")
    for text in ("a mug of the R1val-Brand", "Colourful", "一只猫在海滩上"):
        assert category_of(text, add=house) == ADDED
    assert category_of("a rivalry of brands, a tricolour", add=house) is None
    assert category_of("a swastika", add=house) == "hate", "added words do not replace the list"


def test_exceptions_are_narrow() -> None:
    allow = ("fake money",)
    assert category_of("a box of fake money for a board game", allow=allow) is None
    assert category_of("f4ke m0ney", allow=allow) is None
    assert category_of("fake money and a fake passport", allow=allow) is not None
    assert category_of("fake banknotes", allow=allow) is not None


@pytest.mark.parametrize("phrase", ["loli", "n4ked child", "child*", "nude children at play"])
def test_locked_categories_allow_no_exception(phrase: str) -> None:
    if category_of(phrase):
        with pytest.raises(LimnerError, match="cannot be allowed: sexual content with minors"):
            plugin.ready(plugin.Options(allow=(phrase,)))
    assert category_of("a nude child", allow=() if category_of(phrase) else (phrase,)) == "sexual content with minors"


def test_added_words_allow_no_exception() -> None:
    with pytest.raises(LimnerError, match="'a black cat' cannot be allowed: words that the policy"):
        plugin.ready(plugin.Options(add=("cat",), allow=("a black cat",)))


@pytest.mark.parametrize("phrase", ["*", " ", "...", "{age}", "\u200b", "(*)"])
def test_phrases_without_letters_are_refused(phrase: str) -> None:
    with pytest.raises(LimnerError, match="is not a word"):
        plugin.ready(plugin.Options(add=(phrase,)))


def test_added_words_are_no_regular_expressions() -> None:
    assert category_of("a cat", add=("c.t",)) is None
    assert category_of("a c.t", add=("c.t",)) == ADDED
    assert category_of("a" * 20_000, add=("(a+)+b", "*b", "*b*", "a*")) == ADDED
    for slow in ("a*b", "a**", "a*a*b"):
        with pytest.raises(LimnerError, match="inside a word"):
            plugin.ready(plugin.Options(add=(slow,)))


def test_any_characters_are_judged() -> None:
    chance = random.Random(7)
    judge = plugin.ready(plugin.Options())
    for _ in range(300):
        judge("".join(chr(chance.randrange(0x110000)) for _ in range(50)))
    assert judge("").category is None and judge("\ud800 swastika").category == "hate"
    assert judge("a cat on the beach " * 1000 + "swastika").category == "hate"


def test_phrases_of_the_list_are_normalised() -> None:
    """A phrase that is not normalised would never match."""
    content = yaml.safe_load(LIST.read_text(encoding="utf-8"))
    phrases = [
        phrase
        for kind in content.values()
        for part in (kind["phrases"], kind.get("unless", ()), *kind.get("together", ()))
        for phrase in part
    ]
    assert len(phrases) > 250 and all(isinstance(phrase, str) for phrase in phrases)
    for phrase in phrases:
        bare = phrase.replace("{age}", "9").replace("*", "")
        assert plain(bare) == bare, phrase


def test_the_first_reading_is_the_normalised_text() -> None:
    assert variants("A  Cat, on (the:1.3) Beach!")[0] == "a cat on the beach"
    assert unicodedata.is_normalized("NFC", plain("가나다 ガ"))


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "a ",
        "bad ",
        "kid ",
        "1a ",
        "h3ll0! ",
        "h e l l o ",
        "a.",
        "\u1e17",
        "the cat, ",
        "1l",
        "spi1l",
        "9",
        "! ",
        "aa ",
        "1 ",
        ": ",
        ":1",
    ],
)
def test_long_texts_are_judged_fast(piece: str) -> None:
    judge = plugin.ready(plugin.Options())
    assert within(judge, piece * (40_000 // len(piece))).category is None


@pytest.mark.parametrize("age", CHILD)
def test_ages_below_18_are_children(age: str) -> None:
    assert compile_phrases(["{age} years old"]).search(f"she is {age} years old")
    assert JUDGE(f"nude, {age} years old").category == "sexual content with minors"


@pytest.mark.parametrize("age", ADULT)
def test_ages_from_18_are_not(age: str) -> None:
    assert not compile_phrases(["{age} years old"]).search(f"she is {age} years old")
    assert JUDGE(f"nude, {age} years old").category is None


@pytest.mark.parametrize("text", ["a 9 years old oak", "age 12 whisky", "{age} years old"])
def test_an_age_alone_is_allowed(text: str) -> None:
    assert JUDGE(text).category is None


def test_phrases_match_whole_words() -> None:
    found = compile_phrases(["rape", "child sex*", "*crime"])
    for text in ("rape", "a rape scene", "child sexual", "warcrime"):
        assert found.search(text), text
    for text in ("grape", "rapeseed", "drape", "children sex", "crimes"):
        assert not found.search(text), text


def test_what_is_written_in_a_policy_may_have_capitals_accents_and_underscores() -> None:
    house = ("Señor BAD", "rival_brand", "*裸猫*")
    for text in ("a senor bad", "SEÑOR_BAD", "my rival brand", "一只裸猫在海滩上"):
        assert category_of(text, add=house) == ADDED, text


def test_the_category_of_the_list_is_named_before_that_of_the_policy() -> None:
    assert category_of("a swastika", add=("swastika",)) == "hate"


def test_words_around_an_ignored_phrase_do_not_make_a_phrase() -> None:
    category = make_category("cars", [[["red car"]]], ["toy", "猫"])
    assert category.matches("a red car", None)
    assert not category.matches("a red toy car", None) and not category.matches("a red猫car", None)
    assert not category.matches("red old car", compile_phrases(["old"]))


def test_a_policy_allows_at_most_a_thousand_phrases() -> None:
    assert plugin.Options(allow=("cat",) * 1000)
    with pytest.raises(ValidationError):
        plugin.Options(allow=("cat",) * 1001)


def test_only_texts_are_judged() -> None:
    assert (plugin.texts, plugin.pictures) == (True, False)
