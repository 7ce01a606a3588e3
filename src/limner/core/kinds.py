"""The registry of request kinds: what `limner` can be asked to do, each kind in one place.

Modules are named, not imported, so that the command line starts fast and core depends on nothing above it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from typing import Any


class CommandGroup(StrEnum):
    """The headings of the commands in the help, in its order."""

    START = "Train and generate"
    COMPARE = "Compare and score"
    LOOK = "Runs and images"
    MODELS = "Models"
    SERVICE = "Service"
    STORE = "Stored data"


@dataclass(frozen=True, slots=True)
class RequestKind:
    """One kind of request.

    name: its `kind` in JSON, and its command. request, executor, command: "module:name" of the request class, of the
    function that executes it, and of the function that the command calls with it; the last two are looked for in
    `limner.engine` and in `limner.cli.commands`. check: "module:name" in `limner.engine` of the function that checks it
    before it becomes a run; it imports no torch. execution: fields of `Execution` that it takes. check_values: likewise
    for a request that is queued; it reads no file and not the cache of the hub, because only workers have them; None
    where there is nothing to check. quick: takes seconds and little memory, so that it need not wait for a training.
    several: whether a recipe may hold more than one. resumed_by: flags that resume an
    interrupted run of the same command, None where there is nothing to resume. makes_adapter: whether its result is an
    adapter or a model of its own, which the Library lists; it is trained in steps, and continues from its last
    checkpoint. group, examples: its heading in the
    help, and command lines that the help shows, without "limner".
    """

    name: str
    request: str
    executor: str
    check: str
    command: str
    execution: tuple[str, ...]
    help: str
    group: CommandGroup
    examples: tuple[str, ...]
    check_values: str | None = None
    quick: bool = False
    several: bool = False
    resumed_by: tuple[str, ...] | None = None
    makes_adapter: bool = False

    @property
    def request_class(self) -> str:
        """The name of the request class."""
        return self.request.partition(":")[2]

    def load_request(self) -> Any:
        """The request class."""
        return _load(f"limner.core.requests.{self.request}")

    def load_executor(self) -> Any:
        """The function (request, workspace, emit) that executes a request."""
        return _load(f"limner.engine.{self.executor}")

    def load_check(self) -> Any:
        """The function (request, execution, out) that raises LimnerError for a request that cannot be executed."""
        return _load(f"limner.engine.{self.check}")

    def load_value_check(self) -> Any:
        """The function (request) that raises LimnerError for names and values that no worker can execute."""
        return _ignore if self.check_values is None else _load(f"limner.engine.{self.check_values}")

    def load_command(self) -> Any:
        """The function that the command calls with a request, its execution and the command's own flags."""
        return _load(f"limner.cli.commands.{self.command}")


def _ignore(request: Any) -> None:
    return None


def _load(place: str) -> Any:
    module, name = place.split(":")
    return getattr(import_module(module), name)


KINDS = {
    kind.name: kind
    for kind in (
        RequestKind(
            "prepare",
            "prepare:PrepareRequest",
            "prepare.prepare:prepare",
            "prepare.checks:check",
            "requests:prepare",
            ("workers", "executor", "device"),
            "Build a clean dataset from images, with a report. Originals are not changed. Repeat the same command to "
            "resume an interrupted run.",
            CommandGroup.START,
            (
                "prepare photos/ --class dog --identifier sks --out dataset",
                "prepare photos/ --crop none --captioner starter --out dataset",
            ),
            check_values="prepare.checks:check_values",
            quick=True,
            resumed_by=(),
        ),
        RequestKind(
            "generate",
            "generate:GenerateRequest",
            "generate.generate:generate",
            "generate.checks:check",
            "requests:generate",
            ("memory", "device"),
            "Generate images from a prompt, or from a prompt and an image.",
            CommandGroup.START,
            (
                'generate "a photo of a cat on the beach" --count 4',
                'generate "a photo of sks dog in snow" --adapter sks-dog:0.8 --seed 7',
            ),
            check_values="generate.checks:check_values",
            several=True,
        ),
        RequestKind(
            "train",
            "train:TrainRequest",
            "train.train:train",
            "train.checks:check",
            "requests:train",
            ("preview_every", "track", "device"),
            "Train a model on a few images of one subject (DreamBooth: identifier, class word, prior preservation).",
            CommandGroup.START,
            (
                "train photos/ --identifier sks --class dog",
                "train photos/ --recipe pets --class dog --out rex",
            ),
            check_values="train.checks:check_values",
            resumed_by=("--resume",),
            makes_adapter=True,
        ),
        RequestKind(
            "improve",
            "improve:ImproveRequest",
            "improve.improve:improve",
            "improve.checks:check",
            "requests:improve",
            ("memory", "device"),
            "Train an adapter or a model further on the ratings and votes of its images, and say whether the result is "
            "better.",
            CommandGroup.START,
            (
                "improve sks-dog --out better-dog",
                "improve sks-dog --from pairs --since 2026-01-01",
            ),
            resumed_by=("--resume",),
            makes_adapter=True,
        ),
        RequestKind(
            "evaluate",
            "evaluate:EvaluateRequest",
            "evaluate.evaluate:evaluate",
            "evaluate.checks:check",
            "requests:evaluate",
            ("memory", "device"),
            "Score the images of a model, an adapter or a folder, also by comparison with photos of the subject. "
            "Exit codes: 0 done, 1 a --require condition is not met, 2 an error that you can fix.",
            CommandGroup.COMPARE,
            (
                "evaluate sks-dog --dataset photos/ --suite pets",
                "evaluate pictures/ --metric sharpness --metric saturation",
            ),
            check_values="evaluate.checks:check_values",
        ),
        RequestKind(
            "compare",
            "compare:CompareRequest",
            "compare.compare:compare",
            "compare.checks:check",
            "requests:compare",
            ("memory", "device"),
            "Compare models or adapters on the same prompts and seeds, by scores and by blind votes of people.",
            CommandGroup.COMPARE,
            (
                'compare starter sks-dog --prompt "a photo of a dog"',
                'compare sks-dog:0.5 sks-dog:1 --prompt "a photo of sks dog"',
            ),
            check_values="compare.checks:check_values",
        ),
        RequestKind(
            "sweep",
            "sweep:SweepRequest",
            "sweep.sweep:sweep",
            "sweep.checks:check",
            "requests:sweep",
            ("memory", "device"),
            "Generate the same prompt and seeds at several values of one to three settings, and score the images.",
            CommandGroup.START,
            (
                'sweep "a photo of a cat" --axis guidance=1.5,3,5',
                "sweep --recipe guidance --out guidance",
            ),
            check_values="sweep.checks:check_values",
        ),
        RequestKind(
            "influence",
            "influence:InfluenceRequest",
            "influence.influence:influence",
            "influence.checks:check",
            "requests:influence",
            ("device",),
            "Estimate which training images influenced generated images, and rank them by usefulness (TRAK, D-TRAK).",
            CommandGroup.COMPARE,
            (
                "influence pictures/0001.png --adapter sks-dog",
                "influence --adapter sks-dog --data photos/",
            ),
        ),
    )
}
QUICK = frozenset(kind.name for kind in KINDS.values() if kind.quick)
"""The kinds of requests that take seconds."""
MAKE_ADAPTERS = frozenset(kind.name for kind in KINDS.values() if kind.makes_adapter)
"""The kinds of requests that make adapters."""
