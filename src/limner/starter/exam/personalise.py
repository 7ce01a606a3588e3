"""The characters that are taught, and their pictures. `limner starter exam --personalise`: what training really teaches, read by the judge."""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from limner.core.requests import TrainRequest
from limner.data.sets.folder import scan
from limner.starter.exam.model import Examinee, Listener, Stop, weights_that_paint
from limner.starter.exam.options import Sitting
from limner.starter.exam.scoring import markdown, show
from limner.starter.exam.sheet import contact_sheet
from limner.starter.exam.subject_scores import ASKS, COLUMNS, Likeness, likeness, prompts_for, rows, told, total
from limner.store.files import make_folder, writing
from limner.store.locks import alone
from limner.studio.studio import Studio

IDENTIFIER = "sks"
CHARACTERS = ("ziggy", "luna", "pixie", "zaza", "coco", "comet", "biscuit", "sprout", "rosie", "gizmo")
PLACES = ("park", "living room", "mountains", "beach", "city", "snow")
POSES = ("sitting", "standing", "sitting", "sitting", "lying", "sitting")
PICTURES = len(PLACES)
FACING = re.compile(r" facing (left|right)")  # which is not true of the mirror images that are trained on too


def write_photographs(name: str, folder: Path) -> str:
    """Six pictures of a character with captions, as a user might have them; returns its class word."""
    from limner.data.sets.album import write_album
    from limner.starter.painter import CHARACTERS as LOOKS
    from limner.starter.painter import caption, paint, portraits

    scenes = portraits(name, random.Random(f"photographs/{name}"), PLACES, POSES)
    told = [FACING.sub("", caption(scene, identifier=IDENTIFIER)) for scene in scenes]
    write_album(folder, zip(map(paint, scenes), told, strict=True))
    return LOOKS[name].species


@alone
def examine_personalisation(
    out: Path,
    sitting: Sitting,
    listener: Listener,
    stop: Stop,
    *,
    names: Sequence[str] = CHARACTERS,
    training: Mapping[str, object] | None = None,
) -> dict[str, Likeness]:
    """Train an adapter for each character, paint 20 new prompts with it and without, and let the judge read them.

    training: fields of TrainRequest that differ from the defaults. Writes personalise.json, personalise.md, and a sheet
    for each character. An adapter that the same request made in `out` is not trained again.
    """
    from limner.models.adapters import adapters_on, open_adapter
    from limner.provenance.labels import write_png
    from limner.starter.judge import Judge

    Examinee.open(sitting, listener, stop)  # refuses what it cannot examine now, not after all the training
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
    answers = out / "answers"
    plain = {
        species: examinee.kept_answer(answers, f"base {species}", prompts_for(f"a {species}", species), guidance)
        for species in dict.fromkeys(species for species, _ in adapters.values())
    }
    scores: dict[str, Likeness] = {}
    for name, (species, adapter) in adapters.items():
        taught, prompts = open_adapter(str(adapter)), prompts_for(f"{IDENTIFIER} {species}", species)
        with adapters_on(examinee.pipeline, examinee.family.facts, [taught], [1.0]):
            pixels = examinee.kept_answer(answers, name, prompts, guidance, taught.sha256)
        scores[name] = likeness(judge, name, species, pixels, plain[species])
        sheet = contact_sheet(
            list(pixels[: len(ASKS)]), [ask.prompt(f"{IDENTIFIER} {species}") for ask in ASKS], columns=10
        )
        with writing(out / f"{name}.png") as partial:
            write_png(sheet, partial, source="compositeSynthetic")
    kept = {"model": examinee.facts | {"guidance": guidance}, "training": dict(training or {})}
    kept["scores"] = {name: told(score) for name, score in scores.items()} | {"all": told(total(scores.values()))}
    with writing(out / "personalise.json") as partial:
        partial.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    with writing(out / "personalise.md") as partial:
        partial.write_text(_page(guidance, scores), encoding="utf-8")
    return scores


def _key(request: TrainRequest, pictures: str) -> str:
    """What tells a training run from others, wherever it is: the request with the model's defaults, pictures, weights.

    pictures: their digest.
    """
    from limner.models import loading
    from limner.starter.card import hashes

    model = loading.resolve(request.model)
    wished = request.model_copy(update={"data": ""}).digest
    known = [wished, pictures, dict(model.defaults), weights_that_paint(hashes(Path(model.location)))]
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:12]


def _page(guidance: float, scores: Mapping[str, Likeness]) -> str:
    """The section of the model card."""
    return f"""## Personalisation

Ten invented characters, {PICTURES} pictures each with captions of place and pose, default training settings;
{len(ASKS)} new prompts each at guidance {guidance:g}, read by the judge \
(`limner starter exam --personalise`).
Marks and coat: those of the character that are seen; painter's marks: those that the judge sees in the painter's own
pictures.
Prompt: place, extra, colour, style, light and pose that are seen, and the same of the base model without the \
identifier.
Class drift: pictures of the plain class word with the character's coat.

{markdown("%", COLUMNS, rows(scores))}"""


def print_personalisation(out: Path, sitting: Sitting, listener: Listener, stop: Stop) -> Callable[[], None]:
    """Examine personalisation; what is returned prints its table."""
    scores = examine_personalisation(out, sitting, listener, stop)

    def table() -> None:
        show("%", COLUMNS, rows(scores))
        print(f"\n{out / 'personalise.json'}")

    return table
