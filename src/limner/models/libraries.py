"""Imports diffusers, transformers and peft without the parts of other libraries that few requests use."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

from limner.core.execution import Execution
from limner.core.requests import Request
from limner.core.requests.request import references_of
from limner.models import hub
from limner.plugins.registry import aliases

QUANTISERS = ("bitsandbytes", "torchao")
"""Packages that the libraries import if they are installed, and use for quantised weights."""
LIBRARIES = ("diffusers.models.modeling_utils", "transformers.modeling_utils", "peft")
"""Modules that note which packages are installed."""


def import_libraries(request: Request, execution: Execution) -> None:
    """Import the libraries for a process that executes one request and then ends.

    They import much that few requests use: packages for quantised weights, the compiler of torch.compile, tensors of
    several processes, and statistics for one kind of noise schedule. Without these, importing takes a third less time.
    Nothing is left out for a request that may load quantised weights: the libraries note what is installed only once.
    """
    if "diffusers" in sys.modules or may_quantise(request, execution):
        return
    distributed: Any = import_module("torch.distributed")
    if "torch._dynamo" not in sys.modules:
        DeferredModule("torch._dynamo", _COMPILER)
    if "scipy.stats" not in sys.modules and find_spec("scipy") is not None:
        DeferredModule("scipy.stats", {})
    with absent(QUANTISERS), patch.object(distributed, "is_available", lambda: False):
        for library in LIBRARIES:
            import_module(library)


def may_quantise(request: Request, execution: Execution) -> bool:
    """Whether a request may load quantised weights, because it asks for that or one of its models has them."""
    models = [reference for kind, reference in references_of(request) if kind == "model"]
    return request.may_quantise or execution.memory == "low" or not all(map(_has_plain_weights, models))


def _has_plain_weights(model: str) -> bool:
    """Whether a model is known to have no quantised weights; False for one that is not on disk."""
    if model in aliases():
        return True
    place = hub.on_disk(model)
    if place is None or place.is_file():
        return place is not None
    configs = [*place.glob("config.json"), *place.glob("*/config.json")]
    return all(b'"quantization_config"' not in _start(config) for config in configs)


def _start(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(2**20)


class DeferredModule(ModuleType):
    """A module in `sys.modules` whose code is executed when a name is used that is not known before.

    `importlib.util.LazyLoader` executes the code for every name, and for submodules. known: names that can be used
    before.
    """

    def __init__(self, name: str, known: dict[str, Any]) -> None:
        super().__init__(name)
        spec = find_spec(name)
        assert spec is not None, name
        self.__dict__.update(known, _known=known, __spec__=spec, __path__=spec.submodule_search_locations)
        sys.modules[name] = self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        if find_spec(f"{self.__name__}.{name}") is not None:
            return import_module(f"{self.__name__}.{name}")
        spec: Any = self.__spec__
        for each in self.__dict__.pop("_known"):
            del self.__dict__[each]
        self.__class__ = ModuleType  # pyright: ignore[reportAttributeAccessIssue]
        self.__dict__.update(vars(module_from_spec(spec)))
        spec.loader.exec_module(self)
        return getattr(self, name)


class _CompiledModule:
    """What torch.compile returns; a process that compiles nothing has none."""


def _as_it_is(function: Callable[..., Any] | None = None, *rest: Any, **options: Any) -> Callable[..., Any]:
    """A decorator for torch.compile, where nothing is compiled."""
    return _as_it_is if function is None else function


_COMPILER = {
    "allow_in_graph": _as_it_is,
    "assume_constant_result": _as_it_is,
    "disable": _as_it_is,
    "eval_frame": SimpleNamespace(OptimizedModule=_CompiledModule),
}
"""What the libraries use of torch._dynamo when they are imported and a pipeline is built."""


@contextmanager
def absent(packages: tuple[str, ...]) -> Iterator[None]:
    """A context in which packages that are not imported yet look as if they were not installed."""
    absent = [name for name in packages if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]
