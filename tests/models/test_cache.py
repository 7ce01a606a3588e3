"""The least recently used cache."""

import torch

from limner.core.protocols import Components
from limner.models.cache import LruCache, ModelCache


def test_values_used_longest_ago_are_dropped_first() -> None:
    cache: LruCache[str] = LruCache(10, len)
    for key in ("a", "b", "a", "c"):
        cache.get(key, lambda key=key: key * 4)
    assert [cache.peek(key) for key in cache.keys] == ["aaaa", "cccc"] and cache.misses == 3
    cache.get("b", lambda: "bbbb")
    assert [cache.peek(key) for key in cache.keys] == ["cccc", "bbbb"] and cache.misses == 4


def test_the_value_used_last_stays_whatever_its_size() -> None:
    cache: LruCache[str] = LruCache(10, len)
    cache.get("small", lambda: "x")
    cache.get("large", lambda: "y" * 99)
    assert "large" in cache and "small" not in cache
    cache.shrink(0)
    assert [cache.peek(key) for key in cache.keys] == []


def test_values_that_just_fit_stay() -> None:
    cache: LruCache[str] = LruCache(10, len)
    for key in ("a", "b"):
        cache.get(key, lambda key=key: key * 5)
    assert [cache.peek(key) for key in cache.keys] == ["aaaaa", "bbbbb"]
    cache.get("c", lambda: "c")
    assert [cache.peek(key) for key in cache.keys] == ["bbbbb", "c"]


def network(size: int) -> torch.nn.Module:
    return torch.nn.Linear(size, 1, bias=False)


def components(size: int) -> Components:
    parts = {"unet": network(size), "scheduler": None}
    return Components(parts, "unet", "sd1", "sd1", 64, torch.float32, torch.device("cpu"))


def no_limit() -> float:
    return float("inf")


def test_models_and_encoders_share_one_budget() -> None:
    cache = ModelCache()
    first = cache.components("a", lambda: components(10), no_limit)
    encoder = cache.encoder("b", lambda: ("encoder", [network(10)]), no_limit)
    assert encoder == "encoder" and cache.components("a", lambda: components(99), no_limit) is first
    cache.components("c", lambda: components(10), lambda: 40.0)
    assert [model.value is first for model in cache.models()] == [True, False], "the encoder was used longest ago"


def test_models_are_dropped_and_encoders_stay() -> None:
    cache, made = ModelCache(), []
    model = cache.components("a", lambda: components(10), no_limit)
    prompts = cache.prompts(model)
    assert cache.prompts(model) is prompts
    cache.drop_models()
    assert cache.models() == [] and cache.prompts(model) is not prompts
    for _ in range(2):
        cache.encoder("b", lambda: (made.append(1), [network(10)]), no_limit)
    cache.drop_models()
    cache.encoder("b", lambda: (made.append(1), [network(10)]), no_limit)
    assert len(made) == 1


def test_a_full_gpu_is_emptied_and_tried_once_more() -> None:
    cache = ModelCache()
    cache.components("a", lambda: components(10), no_limit)
    tries: list[int] = []

    def load() -> Components:
        tries.append(1)
        if len(tries) == 1:
            raise torch.OutOfMemoryError
        return components(10)

    assert cache.components("b", load, no_limit).side == 64
    assert len(tries) == 2 and len(cache.models()) == 1
