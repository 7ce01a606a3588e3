"""What was used last is kept, within the budget."""

from limner.models.cache import LruCache


def test_those_used_longest_ago_go_first() -> None:
    kept: LruCache[str] = LruCache(10, len)
    for key in ("a", "b", "a", "c"):
        kept.of(key, lambda key=key: key * 4)
    assert kept.values() == ["aaaa", "cccc"] and kept.made == 3
    kept.of("b", lambda: "bbbb")
    assert kept.values() == ["cccc", "bbbb"] and kept.made == 4


def test_the_last_one_stays_whatever_its_size() -> None:
    kept: LruCache[str] = LruCache(10, len)
    kept.of("small", lambda: "x")
    kept.of("large", lambda: "y" * 99)
    assert "large" in kept and "small" not in kept
    kept.shrink(0)
    assert kept.values() == []


def test_what_just_fits_stays() -> None:
    kept: LruCache[str] = LruCache(10, len)
    for key in ("a", "b"):
        kept.of(key, lambda key=key: key * 5)
    assert kept.values() == ["aaaaa", "bbbbb"]
    kept.of("c", lambda: "c")
    assert kept.values() == ["bbbbb", "c"]
