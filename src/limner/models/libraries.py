"""Imports diffusers, transformers and peft without the parts of other libraries that few requests use."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib import import_module, metadata
from importlib.util import find_spec, module_from_spec
from operator import eq
from pathlib import Path
from types import MappingProxyType, ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

from limner.core.collection import collection_paused
from limner.core.execution import Execution
from limner.core.requests import Request
from limner.core.requests.request import references_of
from limner.models import hub
from limner.plugins.registry import aliases

QUANTISERS = ("bitsandbytes", "modelopt", "optimum", "torchao")
"""Packages that the libraries import if they are installed, and use for quantised weights."""
STATISTICS = ("scipy", "sklearn")
"""Packages that transformers imports if they are installed, and uses for losses and for text generation."""
LIBRARIES = ("diffusers.models.modeling_utils", "transformers.modeling_utils")
"""Modules that note which packages are installed."""
COLLECTIONS = (
    "diffusers.hooks",
    "diffusers.models.autoencoders",
    "diffusers.models.transformers",
    "diffusers.models.unets",
)
"""Packages whose `__init__` imports all networks of their kind; a pipeline imports the modules that it uses."""


def import_libraries(request: Request, execution: Execution) -> None:
    """Import the libraries for a process that executes one request and then ends.

    They import much that few requests use: packages for quantised weights, PEFT, the compiler of torch.compile, tensors
    of several processes, statistics, and all networks of diffusers. Without these, importing takes half the time.
    Nothing is left out for a request that may load quantised weights, and PEFT stays for one that may use an adapter:
    the libraries note what is installed only once.
    """
    if "diffusers" in sys.modules:
        return
    with collection_paused():
        if may_quantise(request, execution):
            for library in LIBRARIES:
                import_module(library)
        else:
            _import_lean(request)
    gc.freeze()  # the collector never searches what is imported now


def _import_lean(request: Request) -> None:
    distributed: Any = import_module("torch.distributed")
    left_out = QUANTISERS if request.may_adapt else (*QUANTISERS, "peft")
    defer("torch._dynamo", _COMPILER)
    defer("torch.fx.experimental.symbolic_shapes", _SHAPES)
    with absent(left_out), patch.object(distributed, "is_available", lambda: False):
        defer("requests")
        with patch.object(metadata, "distributions", tuple):  # diffusers reads the lists of files of all of them
            import_module("diffusers")
        for package in COLLECTIONS:
            defer(package)
        defer("diffusers.guiders", {"BaseGuidance": _Unused})
        with absent(STATISTICS):
            import_module("transformers")
            defer("transformers.models")
            for library in LIBRARIES:
                import_module(library)
        if request.may_adapt:
            import_module("peft")
    for module in ("scipy.integrate", "scipy.stats"):
        defer(module)


def defer(name: str, known: Mapping[str, Any] = MappingProxyType({})) -> None:
    """Defer a module, see DeferredModule, unless it is imported already or not installed."""
    parent = name.rpartition(".")[0]
    if name not in sys.modules and (not parent or find_spec(parent)) and find_spec(name):
        DeferredModule(name, known)


def may_quantise(request: Request, execution: Execution) -> bool:
    """Whether a request may load quantised weights, because it asks for that or one of its models has them."""
    models = [reference for kind, reference in references_of(request) if kind == "model"]
    return request.may_quantise or execution.memory == "low" or not all(map(_has_plain_weights, models))


def _has_plain_weights(model: str) -> bool:
    """Whether a model is known to have no quantised weights and no PEFT adapter; False for one that is not on disk."""
    if model in aliases():
        return True
    place = hub.on_disk(model)
    if place is None or place.is_file():
        return place is not None
    if any(place.glob("*/adapter_config.json")):
        return False
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

    def __init__(self, name: str, known: Mapping[str, Any]) -> None:
        super().__init__(name)
        spec = find_spec(name)
        assert spec is not None, name
        self.__dict__.update(known, _known=known, __spec__=spec, __path__=spec.submodule_search_locations)
        sys.modules[name] = self
        parent, _, own = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], own, self)  # as an import does

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
        if (other := sys.modules[self.__name__]) is not self:  # what it put in its place
            self.__dict__["__getattr__"] = partial(getattr, other)
        return getattr(self, name)


class _Unused:
    """A class that nothing is an instance of."""


def _as_it_is(function: Callable[..., Any] | None = None, *rest: Any, **options: Any) -> Callable[..., Any]:
    """A decorator for torch.compile, where nothing is compiled."""
    return _as_it_is if function is None else function


_COMPILER = {
    "allow_in_graph": _as_it_is,
    "assume_constant_result": _as_it_is,
    "disable": _as_it_is,
    "eval_frame": SimpleNamespace(OptimizedModule=_Unused),
}
"""What the libraries use of torch._dynamo when they are imported and a pipeline is built."""
_SHAPES = {
    **dict.fromkeys(("expect_true", "guard_or_false", "guard_or_true", "guard_size_oblivious"), bool),
    "is_nested_int": lambda size: False,
    "sym_eq": eq,
}
"""What torch uses of its symbolic shapes, which import sympy, on the meta device, for shapes of plain numbers."""


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
