"""`limner starter exam --personalise`: what training really teaches, read by the judge."""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.requests import TrainRequest
from ..data.folder import scan
from ..store.files import make_folder, writing
from ..studio import Studio
from .asks import ASKS, DRIFT_PICTURES, prompts_for
from .examinee import Examinee, Listener, Stop, weights_that_paint
from .marking import Share
from .sheet import contact_sheet
from .sitting import Sitting
from .table import markdown, show

IDENTIFIER = "sks"
PICTURES = 6
CHARACTERS = ("ziggy", "luna", "pixie", "zaza", "coco", "comet", "biscuit", "sprout", "rosie", "gizmo")
PLACES = ("park", "living room", "mountains", "beach", "city", "snow")
FACING = re.compile(r" facing (left|right)")  # which is not true of the mirror images that are trained on too
POSES = ("sitting", "standing", "sitting", "sitting", "lying", "sitting")


@dataclass(frozen=True)
class Score:
    """What the judge found for one character, in the painter's own pictures of it, and for the base model.

    All at the same prompts.
    """

    marks: Share
    painter_marks: Share
    coat: Share
    prompt: Share
    base_prompt: Share
    drift: Share
    base_drift: Share

    @property
    def obeyed(self) -> float:
        """What the prompts ask for, in shares of the base model's."""
        return self.prompt.value / self.base_prompt.value if self.base_prompt.right else float("nan")


def write_photographs(name: str, folder: Path) -> str:
    """Six pictures of a character with captions, as a user might have them; returns its class word."""
    from ..engine.album import write_album
    from ..starter.painter import CHARACTERS as LOOKS
    from ..starter.painter import caption, paint, portraits

    scenes = portraits(name, random.Random(f"photographs/{name}"), PLACES, POSES)
    told = [FACING.sub("", caption(scene, identifier=IDENTIFIER)) for scene in scenes]
    write_album(folder, zip(map(paint, scenes), told, strict=True))
    return LOOKS[name].species


def examine_personalisation(
    out: Path,
    sitting: Sitting,
    listener: Listener,
    stop: Stop,
    *,
    names: Sequence[str] = CHARACTERS,
    training: Mapping[str, object] | None = None,
) -> dict[str, Score]:
    """Train an adapter for each character, paint 20 new prompts with it and without, and let the judge read them.

    training: fields of TrainRequest that differ from the defaults. Writes personalise.json, personalise.md, and a sheet
    for each character. An adapter that the same request made in `out` is not trained again.
    """
    from ..engine.adapters import adapters_on, open_adapter
    from ..engine.labels import write_png
    from ..starter.judge import Judge

    make_folder(out)
    judge, studio = Judge.load(), Studio()
    adapters: dict[str, tuple[str, Path]] = {}
    for name in names:
        place = out / name
        species = write_photographs(name, place / "photographs")
        request = TrainRequest.model_validate(
            {
                "data": str(place / "photographs"),
                "class_word": species,
                "identifier": IDENTIFIER,
                "model": sitting.model,
                **(training or {}),
            }
        )
        adapter = place / f"adapter-{_key(request, scan(request.data).digest)}"
        if not adapter.exists():
            studio.run(request, adapter, listener=listener, stop=stop)
        adapters[name] = (species, adapter)
    examinee = Examinee.open(sitting, listener, stop)
    guidance = sitting.guidance[0] if sitting.guidance else examinee.sampling["guidance"]
    kept = out / "answers"
    plain = {
        species: examinee.kept_answer(kept, f"base {species}", prompts_for(f"a {species}", species), guidance)
        for species in dict.fromkeys(species for species, _ in adapters.values())
    }
    scores: dict[str, Score] = {}
    for name, (species, adapter) in adapters.items():
        taught, prompts = open_adapter(str(adapter)), prompts_for(f"{IDENTIFIER} {species}", species)
        with adapters_on(examinee.pipeline, [taught], [1.0]):
            pixels = examinee.kept_answer(kept, name, prompts, guidance, taught.sha256)
        scores[name] = _score(judge, name, species, pixels, plain[species])
        sheet = contact_sheet(
            list(pixels[: len(ASKS)]), [ask.prompt(f"{IDENTIFIER} {species}") for ask in ASKS], columns=10
        )
        with writing(out / f"{name}.png") as partial:
            write_png(sheet, partial, source="compositeSynthetic")
    told = {"model": examinee.facts | {"guidance": guidance}, "training": dict(training or {})}
    told["scores"] = {name: _told(score) for name, score in scores.items()} | {"all": _told(total(scores.values()))}
    with writing(out / "personalise.json") as partial:
        partial.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    with writing(out / "personalise.md") as partial:
        partial.write_text(_page(told, scores), encoding="utf-8")
    return scores


def _key(request: TrainRequest, pictures: str) -> str:
    """What tells a training run from others, wherever it is: the request with the model's defaults, pictures, weights.

    pictures: their digest.
    """
    from ..engine import models
    from ..starter.card import hashes

    model = models.resolve(request.model)
    wished = request.model_copy(update={"data": ""}).digest
    told = [wished, pictures, dict(model.defaults), weights_that_paint(hashes(Path(model.location)))]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]


def _score(judge, name: str, species: str, pixels: np.ndarray, plain: np.ndarray) -> Score:
    from ..starter.judge import MARKINGS, truth
    from ..starter.painter import Scene, paint

    scenes = [Scene.model_validate({"subject": species, "character": name, **ask.values}) for ask in ASKS]
    painted = judge.read(np.stack([np.asarray(paint(scene)) for scene in scenes]))
    taught, base = judge.read(pixels), judge.read(plain)
    marks, painter_marks, coat, prompt, base_prompt = [], [], [], [], []
    for index, (ask, scene) in enumerate(zip(ASKS, scenes, strict=True)):
        told = truth(scene)
        borne = {place: value for place in MARKINGS if (value := told[place]) and value != MARKINGS[place][0]}
        marks += [taught.shows(index, place, value) for place, value in borne.items()]
        painter_marks += [painted.shows(index, place, value) for place, value in borne.items()]
        if told["coat"]:
            coat.append(taught.shows(index, "coat", told["coat"]))
        prompt += [taught.shows(index, key, value) for key, value in ask.values.items()]
        base_prompt += [base.shows(index, key, value) for key, value in ask.values.items()]
    own = truth(Scene(subject=species, character=name))["coat"]
    assert own is not None
    turned = range(len(ASKS), len(ASKS) + DRIFT_PICTURES)
    return Score(
        Share.of(marks),
        Share.of(painter_marks),
        Share.of(coat),
        Share.of(prompt),
        Share.of(base_prompt),
        Share.of(taught.shows(i, "coat", own) for i in turned),
        Share.of(base.shows(i, "coat", own) for i in turned),
    )


def total(scores) -> Score:
    """All characters together."""
    columns = zip(*(vars(score).values() for score in scores), strict=True)
    return Score(*(Share(sum(s.right for s in column), sum(s.count for s in column)) for column in columns))


COLUMNS = (
    "marks",
    "painter's marks",
    "coat",
    "prompt",
    "base model's prompt",
    "of the base model's",
    "class drift",
    "base model's",
)


def rows(scores: Mapping[str, Score]) -> list[tuple[str, list[str]]]:
    """A row a character and one for all, in percent."""
    found = []
    for name, score in [*scores.items(), ("all", total(scores.values()))]:
        shares = [f"{100 * share.value:.0f}" for share in vars(score).values()]
        found.append((name, [*shares[:5], f"{100 * score.obeyed:.0f}", *shares[5:]]))
    return found


def _page(told: dict, scores: Mapping[str, Score]) -> str:
    """The section of the model card."""
    return f"""## Personalisation

Ten invented characters, {PICTURES} pictures each with captions of place and pose, default training settings;
{len(ASKS)} new prompts each at guidance {told["model"]["guidance"]:g}, read by the judge \
(`limner starter exam --personalise`).
Marks and coat: those of the character that are seen; painter's marks: those that the judge sees in the painter's own
pictures.
Prompt: place, extra, colour, style, light and pose that are seen, and the same of the base model without the \
identifier.
Class drift: pictures of the plain class word with the character's coat.

{markdown("%", COLUMNS, rows(scores))}"""


def _told(score: Score) -> dict[str, object]:
    told: dict[str, object] = {
        name: {"right": share.right, "count": share.count, "share": round(share.value, 4)}
        for name, share in vars(score).items()
    }
    return told | {"obeyed": round(score.obeyed, 4)}


def print_personalisation(out: Path, sitting: Sitting, listener: Listener, stop: Stop) -> Callable[[], None]:
    """Examine personalisation; what is returned prints its table."""
    scores = examine_personalisation(out, sitting, listener, stop)

    def table() -> None:
        show("%", COLUMNS, rows(scores))
        print(f"\n{out / 'personalise.json'}")

    return table
