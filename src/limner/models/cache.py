"""Models, encoders and encoded prompts that stay in memory between requests, within a budget of bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import torch

from limner.core.protocols import Components

Value = TypeVar("Value")

PROMPT_BUDGET = 256 * 2**20
"""Bytes of encoded prompts per model: about sixty prompts of FLUX.1, many thousands of the starter."""


class LruCache(Generic[Value]):
    """Least recently used cache with a budget in bytes.

    size: returns the bytes of a value. The value used last stays, whatever its size. misses: how many values were made.
    """

    def __init__(self, budget: float, size: Callable[[Value], int]) -> None:
        self.budget, self.size, self.misses = budget, size, 0
        self._values: OrderedDict[Hashable, Value] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the value of a key, made if it is missing; values that were used longest ago are dropped for it."""
        if key not in self._values:
            self.misses += 1
            self._values[key] = make()
            self.shrink(self.budget, 1)
        self._values.move_to_end(key)
        return self._values[key]

    def shrink(self, budget: float, least: int = 0) -> None:
        """Drop values, those used longest ago first, down to a budget or to a number of values."""
        total = sum(map(self.size, self._values.values()))
        while total > budget and len(self._values) > least:
            total -= self.size(self._values.popitem(last=False)[1])

    @property
    def keys(self) -> list[Any]:
        """The keys, those used longest ago first."""
        return list(self._values)

    def peek(self, key: Hashable) -> Value:
        """Return a value without marking it as used."""
        return self._values[key]

    def drop(self, key: Hashable) -> None:
        del self._values[key]

    def __contains__(self, key: Hashable) -> bool:
        return key in self._values


PromptCache = LruCache[Any]
"""Encoded prompts of one model: the arguments of its pipeline."""


def prompt_cache() -> PromptCache:
    return LruCache(PROMPT_BUDGET, _tensor_bytes)


def _tensor_bytes(encoded: Any) -> int:
    tensors = [value for row in encoded.values() for value in (row if isinstance(row, list) else [row])]
    return sum(value.nbytes for value in tensors if isinstance(value, torch.Tensor))


@dataclass(frozen=True)
class CachedModel:
    """A loaded model with its encoded prompts, or an encoder. networks: what takes the memory."""

    value: Any
    networks: list[torch.nn.Module]
    prompts: PromptCache = field(default_factory=prompt_cache)

    @property
    def bytes(self) -> int:
        return sum(tensor.nbytes for part in self.networks for tensor in (*part.parameters(), *part.buffers()))


class ModelCache:
    """Owner of all models and encoders that one process keeps in memory. `MODELS` is the process's own."""

    def __init__(self) -> None:
        self._entries: LruCache[CachedModel] = LruCache(float("inf"), lambda entry: entry.bytes)

    def components(self, key: Hashable, load: Callable[[], Components], budget: Callable[[], float]) -> Components:
        """Return the components of a key, loaded if they are missing.

        budget: bytes of other models that may stay in memory meanwhile. If the GPU runs out of memory, all are dropped
        and loading is tried once more.
        """

        def make() -> CachedModel:
            components = load()
            return CachedModel(components, [p for p in components.parts.values() if isinstance(p, torch.nn.Module)])

        return self._get(("model", key), make, budget)

    def encoder(
        self, key: Hashable, load: Callable[[], tuple[Any, list[torch.nn.Module]]], budget: Callable[[], float]
    ) -> Any:
        """Return the encoder of a key. load: returns the encoder and its networks."""
        return self._get(("encoder", key), lambda: CachedModel(*load()), budget)

    def prompts(self, components: Components) -> PromptCache:
        """Return the encoded prompts of a loaded model; an empty cache for a model that is not kept."""
        found = (model.prompts for model in self.models() if model.value is components)
        return next(found, None) or prompt_cache()

    def models(self) -> list[CachedModel]:
        """Return the models in memory, those used longest ago first."""
        return [self._entries.peek(key) for key in self._entries.keys if key[0] == "model"]

    def drop_models(self) -> None:
        """Drop all models, for example after training changed one; encoders stay."""
        for key in self._entries.keys:
            if key[0] == "model":
                self._entries.drop(key)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _get(self, key: tuple[str, Hashable], make: Callable[[], CachedModel], budget: Callable[[], float]) -> Any:
        if key not in self._entries:
            self._entries.shrink(budget())
        try:
            return self._entries.get(key, make).value
        except torch.OutOfMemoryError:
            if not self._entries.keys:
                raise
        self._entries.shrink(0)
        self.drop_models()
        return self._entries.get(key, make).value


MODELS = ModelCache()
