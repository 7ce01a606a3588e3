"""Images of the original and of the improved version for held-out prompts and the same seeds, and their scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from limner.core.choice import evenly
from limner.core.events import Emit, Progress, Stage
from limner.core.improve import Measured
from limner.core.metrics import ImageSet, MetricResult, ScoredImage
from limner.core.requests import ImproveRequest, MetricUse, TrialRequest
from limner.core.requests.evaluate import DRIFT, PLAIN
from limner.core.requests.request import SUBJECT
from limner.core.workspace import Workspace
from limner.engine.compare.contestants import ModelWithAdapters, identifiers
from limner.engine.compare.subject import PromptSubject, plain_prompt
from limner.engine.generate.parts import GenerationPart, generate_parts
from limner.engine.improve.decision import measured
from limner.engine.scoring.scorers import Scorers, subset
from limner.engine.scoring.trust import distrust_of, smallest_difference

GENERAL = ("cat", "tree", "dog", "chair")
"""What drift is measured on where no class word is known, one for each prompt of `PLAIN`."""
TITLES = {"old": "the original's images", "new": "the improved version's images", "base": "the base model's images"}
OF_SUBJECT, OF_GROUPS, OF_COPIES = "subject_fidelity", "diversity", "memorisation"


@dataclass(frozen=True)
class Material:
    """What the evaluation needs besides the two versions.

    prompts: held-out ones and those of the request, as they are generated. subject: that the original was trained on.
    references: photos of the subject. preferred: the images that were trained on because people prefer them.
    """

    prompts: tuple[str, ...]
    subject: PromptSubject
    references: tuple[Path, ...] = ()
    preferred: tuple[Path, ...] = ()

    @property
    def training(self) -> tuple[Path, ...]:
        """The images that the improved version may have memorised."""
        return (*self.references, *self.preferred)

    @property
    def plain_prompts(self) -> tuple[str, ...]:
        """Prompts without the subject: of its class, or of general words where no class is known."""
        words = [self.subject.class_word] * len(PLAIN) if self.subject.class_word else GENERAL
        return tuple(template.replace(SUBJECT, word) for template, word in zip(PLAIN, words, strict=True))


@dataclass(frozen=True)
class ComparedImages:
    """The images of both versions, pair by pair of the same prompt and seed. base: of the base model, for drift.

    missing: pairs that lack an image, because moderation withheld it.
    """

    old: tuple[ScoredImage, ...]
    new: tuple[ScoredImage, ...]
    base: tuple[ScoredImage, ...] = ()
    missing: int = 0


@dataclass(frozen=True)
class Evaluation:
    """The scores of an evaluation, the images of its prompts, and what was not measured and why."""

    measured: tuple[Measured, ...]
    images: ComparedImages
    unmeasured: tuple[str, ...]


def chosen_prompts(request: ImproveRequest, held_out: Sequence[str]) -> tuple[str, ...]:
    """The prompts of the evaluation: those of the request, and as many held-out ones as it wants."""
    named = [prompt for prompt in held_out if prompt.strip()]
    return tuple(dict.fromkeys((*request.prompt, *evenly(named, request.most_prompts))))


class Evaluator:
    """Generates images of two versions and scores them. Raises LimnerError for a metric that cannot be used."""

    def __init__(self, request: ImproveRequest, material: Material, workspace: Workspace, emit: Emit) -> None:
        self.request, self.material, self.workspace, self.emit = request, material, workspace, emit
        self.uses, self.unmeasured = self._uses()
        device = workspace.execution.device
        self.scorers = {use.name: Scorers([use], request.encoder, workspace.called, device) for use in self.uses}

    def evaluate(self, old: ModelWithAdapters, new: ModelWithAdapters, names: Mapping[str, str]) -> Evaluation:
        """The differences between the versions. names: how labels name files, besides those of the workspace.

        Images are written to the folder of the run; those that are there already are not generated again.
        """
        if not self.material.prompts:
            return Evaluation((), ComparedImages((), ()), tuple(self.unmeasured))
        self.workspace = replace(self.workspace, names={**self.workspace.names, **names})
        out, trial = self.workspace.folder, self.request.trial(self.material.prompts)
        images = self._compared(trial, old, new, None, out / "pictures")
        base = replace(old, name="base", adapters=())
        drift = self._compared(self.request.trial(self.material.plain_prompts), old, new, base, out / "plain")
        self.emit(Stage(name="scoring", total=len(self.uses)))
        found: list[Measured] = []
        for number, use in enumerate(self.uses, 1):
            self.workspace.check()
            scores = self._scores(use.name, drift if use.name == DRIFT else images, identifiers([old]))
            if scores is not None:
                found.append(self._measured(*scores, old.model))
            self.emit(Progress(done=number))
        if missing := images.missing + drift.missing:
            self.unmeasured.append(f"{missing} image pairs, because moderation withheld one or both images")
        return Evaluation(tuple(found), images, tuple(self.unmeasured))

    def _uses(self) -> tuple[list[MetricUse], list[str]]:
        """The metrics for which there is what they need, and a line for each other one."""
        lacks = {
            OF_SUBJECT: None if self.material.references else "no photos of the subject are known; give --references",
            OF_GROUPS: None if self.request.count > 1 else "there is one image of each prompt; ask for more by --count",
            OF_COPIES: None if self.material.training else "no training images are known; give --references",
        }
        if not self.material.prompts:
            return [], ["images, because no prompt is held out; give --prompt"]
        names = ("prompt_fidelity", OF_SUBJECT, OF_GROUPS, OF_COPIES, DRIFT)
        uses = [MetricUse(name=name) for name in names if lacks.get(name) is None]
        return uses, [f"{name.replace('_', ' ')}, because {why}" for name, why in lacks.items() if why is not None]

    def _compared(
        self,
        trial: TrialRequest,
        old: ModelWithAdapters,
        new: ModelWithAdapters,
        base: ModelWithAdapters | None,
        out: Path,
    ) -> ComparedImages:
        """The images of both versions, and of the base model if it is given, without those of incomplete pairs."""
        versions = {"old": old, "new": new, **({} if base is None or base.adapters == old.adapters else {"base": base})}
        found = {name: self._generate(name, each, trial, out / name) for name, each in versions.items()}
        wanted = [(prompt, seed) for prompt in trial.prompt for seed in range(trial.seed, trial.seed + trial.count)]
        complete = [key for key in wanted if all(key in images for images in found.values())]
        known = identifiers([old])
        items = {
            name: tuple(
                ScoredImage(images[key], plain_prompt(key[0], self.material.subject, known), key[0]) for key in complete
            )
            for name, images in found.items()
        }
        based = () if base is None else items.get("base", items["old"])
        return ComparedImages(items["old"], items["new"], based, len(wanted) - len(complete))

    def _generate(
        self, name: str, version: ModelWithAdapters, trial: TrialRequest, folder: Path
    ) -> dict[tuple[str, int], Path]:
        """The images of a version by prompt and seed. name: of the version, for events."""
        self.workspace.check()
        requests = [version.request(trial, prompt) for prompt in trial.prompt]
        parts = [
            GenerationPart(request, folder / f"{number:03d}", {"version": name, "prompt": request.prompt})
            for number, request in enumerate(requests, 1)
        ]
        return {
            (prompt, seed): path
            for prompt, images in zip(
                trial.prompt, generate_parts(TITLES[name], parts, self.workspace, self.emit), strict=True
            )
            for seed, path in images.items()
        }

    def _scores(
        self, name: str, images: ComparedImages, known: Sequence[str]
    ) -> tuple[MetricResult, MetricResult] | None:
        """The results of a metric for both versions; None, and a line in `unmeasured`, where no image suits it."""
        material, rows = self.material, self._rows(name, images.old)
        if not rows:
            asked = name == OF_SUBJECT and images.old
            why = "no prompt of the evaluation asks for the subject" if asked else "its images were withheld"
            self.unmeasured.append(f"{name.replace('_', ' ')}, because {why}")
            return None
        sets = [
            subset(ImageSet(side, material.references, material.training, images.base), rows)
            for side in (images.old, images.new)
        ]
        one, other = (self.scorers[name].score(each) for each in sets)
        (key,) = one
        return one[key], other[key]

    def _rows(self, name: str, items: Sequence[ScoredImage]) -> list[int]:
        """The images that a metric is about: those of the subject, those with others of their prompt, or all."""
        sizes = Counter(item.group for item in items)
        suits: dict[str, Callable[[str], bool]] = {
            OF_SUBJECT: self.material.subject.names,
            OF_GROUPS: lambda prompt: sizes[prompt] > 1,
        }
        wanted = suits.get(name, bool)
        return [index for index, item in enumerate(items) if wanted(item.group)]

    def _measured(self, old: MetricResult, new: MetricResult, model: str) -> Measured:
        doubt = distrust_of(old, [model], self.workspace.called)
        return measured(old, new, self.request.tolerance, doubt, smallest_difference(old, [model]))
