"""`limner starter exam --personalise`: train adapters for invented characters, and score their images."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from limner.core.requests import TrainRequest
from limner.data.sets.folder import scan
from limner.starter.exam.exam import write_report
from limner.starter.exam.model import Listener, ModelUnderTest, Stop, hashes_without_judge
from limner.starter.exam.options import ExamOptions
from limner.starter.exam.scoring import markdown, print_table
from limner.starter.exam.sheet import write_sheet
from limner.starter.exam.subject_scores import (
    COLUMNS,
    SUBJECT_PROMPTS,
    SubjectScores,
    prompts_for,
    rows,
    score_subject,
    total_scores,
)
from limner.store.files import make_folder
from limner.store.locks import with_output_lock
from limner.studio.studio import Studio

IDENTIFIER = "sks"
CHARACTERS = ("ziggy", "luna", "pixie", "zaza", "coco", "comet", "biscuit", "sprout", "rosie", "gizmo")
PLACES = ("park", "living room", "mountains", "beach", "city", "snow")
POSES = ("sitting", "standing", "sitting", "sitting", "lying", "sitting")
IMAGES = len(PLACES)


@dataclass(frozen=True)
class CharacterAdapter:
    """A trained adapter of a character, and the class word."""

    species: str
    path: Path


def write_training_images(name: str, folder: Path) -> str:
    """Write six images of a character with captions, as a user might have them, and return its class word."""
    from limner.data.sets.album import write_album
    from limner.starter.painter import CHARACTERS as LOOKS
    from limner.starter.painter import caption, paint, portraits

    scenes = portraits(name, random.Random(f"photographs/{name}"), PLACES, POSES)
    captions = [caption(scene, identifier=IDENTIFIER) for scene in scenes]
    write_album(folder, zip(map(paint, scenes), captions, strict=True))
    return LOOKS[name].species


@with_output_lock
def run_personalisation_exam(
    out: Path,
    options: ExamOptions,
    listener: Listener,
    stop: Stop,
    *,
    names: Sequence[str] = CHARACTERS,
    training: Mapping[str, object] | None = None,
) -> dict[str, SubjectScores]:
    """Train an adapter for each character, generate images of 20 prompts with and without it, and score them.

    training: fields of TrainRequest that differ from the defaults. Writes personalise.json, personalise.md, and a sheet
    for each character. An adapter that the same request made in `out` is not trained again.
    """
    ModelUnderTest.load(options, listener, stop)  # fails now, and not after the training
    make_folder(out)
    studio = Studio()
    adapters = {
        name: train_character(studio, name, out / name, options.model, training or {}, listener, stop) for name in names
    }
    model = ModelUnderTest.load(options, listener, stop)
    guidance = options.guidance[0] if options.guidance else model.sampling["guidance"]
    scores = score_adapters(model, adapters, out, guidance)
    scored = {**scores, "all": total_scores(scores.values())}
    report = {
        "model": model.facts | {"guidance": guidance},
        "training": dict(training or {}),
        "scores": {name: score.as_json() for name, score in scored.items()},
    }
    write_report(out, "personalise", report, _page(guidance, scores))
    return scores


def train_character(
    studio: Studio,
    name: str,
    folder: Path,
    model: str,
    training: Mapping[str, object],
    listener: Listener,
    stop: Stop,
) -> CharacterAdapter:
    """Train an adapter in `folder`, unless the same training has made one there."""
    species = write_training_images(name, folder / "photographs")
    fields = {"data": str(folder / "photographs"), "class_word": species, "identifier": IDENTIFIER, "model": model}
    request = TrainRequest.model_validate({**fields, **training})
    adapter = folder / f"adapter-{_key(request, scan(request.data).digest)}"
    if not adapter.exists():
        studio.run(request, adapter, listener=listener, stop=stop)
    return CharacterAdapter(species, adapter)


def _key(request: TrainRequest, dataset: str) -> str:
    """A hash of a training: the request without its folder, the dataset's hash, the model's defaults and weights."""
    from limner.models import loading
    from limner.starter.card import weight_hashes

    model = loading.resolve(request.model)
    digest = request.model_copy(update={"data": ""}).digest
    values = [digest, dataset, dict(model.defaults), hashes_without_judge(weight_hashes(Path(model.location)))]
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


def score_adapters(
    model: ModelUnderTest, adapters: Mapping[str, CharacterAdapter], out: Path, guidance: float
) -> dict[str, SubjectScores]:
    """Scores by character; writes a contact sheet of each, and stores generated images, in `out`."""
    from limner.models.adapters import adapters_applied, open_adapter
    from limner.starter.judge import Judge

    judge, answers = Judge.load(), out / "answers"
    base: dict[str, np.ndarray] = {}
    for species in dict.fromkeys(adapter.species for adapter in adapters.values()):
        prompts = prompts_for(f"a {species}", species)
        base[species] = model.generate_cached(answers, f"base {species}", prompts, guidance)
    scores: dict[str, SubjectScores] = {}
    for name, adapter in adapters.items():
        loaded, prompts = (
            open_adapter(str(adapter.path)),
            prompts_for(f"{IDENTIFIER} {adapter.species}", adapter.species),
        )
        with adapters_applied(model.pipeline, model.family.facts, [loaded], [1.0]):
            pixels = model.generate_cached(answers, name, prompts, guidance, loaded.sha256)
        scores[name] = score_subject(judge, name, adapter.species, pixels, base[adapter.species])
        shown = len(SUBJECT_PROMPTS)
        write_sheet(out / f"{name}.png", list(pixels[:shown]), prompts[:shown], columns=10)
    return scores


def _page(guidance: float, scores: Mapping[str, SubjectScores]) -> str:
    """The section of the model card."""
    return f"""## Personalisation

Ten invented characters, {IMAGES} images each with captions of place and pose, default training settings;
{len(SUBJECT_PROMPTS)} new prompts each at guidance {guidance:g}, scored by the judge \
(`limner starter exam --personalise`).
Marks and coat: those of the character that the judge sees. Painter's marks: those that it sees in images that the
painter drew of the character.
Prompt: place, extra, colour, style, light and pose that it sees; and the same for the base model without the \
identifier.
Class drift: images of only the class word that show the character's coat.

{markdown("%", COLUMNS, rows(scores))}"""


def print_personalisation(out: Path, options: ExamOptions, listener: Listener, stop: Stop) -> Callable[[], None]:
    """Run the exam of personalisation and return a function that prints its table."""
    scores = run_personalisation_exam(out, options, listener, stop)

    def print_scores() -> None:
        print_table("%", COLUMNS, rows(scores))
        print(f"\n{out / 'personalise.json'}")

    return print_scores
