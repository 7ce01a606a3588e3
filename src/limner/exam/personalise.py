"""`limner starter exam --personalise`: what training really teaches, read by the judge."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.errors import Interrupted
from ..core.events import Progress, Stage
from ..core.requests import TrainRequest
from ..store.files import make_folder, writing
from ..studio import Studio
from .answers import paint_answers
from .job import Listener, Stop, open_pipeline
from .marking import Share
from .sheet import contact_sheet
from .table import markdown, show

IDENTIFIER, GUIDANCE = "sks", 7.5
PICTURES = 6
CHARACTERS = ("ziggy", "luna", "pixie", "zaza", "coco", "comet", "biscuit", "sprout", "rosie", "gizmo")
PLACES = ("park", "living room", "mountains", "beach", "city", "snow")
POSES = ("sitting", "standing", "sitting", "sitting", "lying", "sitting")
DRIFT_PROMPTS = ("a photo of a {}", "a {} in the park", "a picture of a {} on the beach", "a {} in a living room")
DRIFT_PICTURES = 8


@dataclass(frozen=True)
class Ask:
    """A new picture of the subject: the prompt without its subject, and what of it is read."""

    template: str
    values: Mapping[str, str]

    def prompt(self, subject: str) -> str:
        return self.template.format(subject)


ASKS = (
    Ask("a photo of {} in the desert", {"place": "desert"}),
    Ask("a photo of {} in the forest", {"place": "forest"}),
    Ask("a photo of {} on the beach", {"place": "beach"}),
    Ask("a photo of {} in the snow", {"place": "snow"}),
    Ask("a photo of {} in the city", {"place": "city"}),
    Ask("a photo of {} with mountains in the background", {"place": "mountains"}),
    Ask("a photo of {} wearing a crown in the park", {"extra": "crown", "place": "park"}),
    Ask("a photo of {} wearing sunglasses on the beach", {"extra": "sunglasses", "place": "beach"}),
    Ask("a photo of {} wearing a red scarf in the snow", {"extra": "scarf", "extra_colour": "red", "place": "snow"}),
    Ask("a photo of {} with a blue bow tie in the city", {"extra": "bow tie", "extra_colour": "blue", "place": "city"}),
    Ask(
        "a photo of {} wearing a black top hat in the park",
        {"extra": "top hat", "extra_colour": "black", "place": "park"},
    ),
    Ask("a photo of {} wearing glasses in the living room", {"extra": "glasses", "place": "living room"}),
    Ask("a watercolour painting of {} in the park", {"style": "watercolour", "place": "park"}),
    Ask("an oil painting of {} in the desert", {"style": "oil painting", "place": "desert"}),
    Ask("pixel art of {} on the beach", {"style": "pixel art", "place": "beach"}),
    Ask("a pencil sketch of {} in the forest", {"style": "pencil sketch", "place": "forest"}),
    Ask("a photo of {} in the forest at night", {"place": "forest", "light": "night"}),
    Ask("a photo of {} on the beach at sunset", {"place": "beach", "light": "sunset"}),
    Ask("a photo of {} lying in the living room", {"pose": "lying", "place": "living room"}),
    Ask("a photo of {} standing in the mountains", {"pose": "standing", "place": "mountains"}),
)


@dataclass(frozen=True)
class Score:
    """What the judge found for one character, and for the base model at the same prompts."""

    marks: Share
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
    """Six pictures of a character as a user might have them; returns its class word."""
    from ..engine.labels import write_png
    from ..starter.painter import CHARACTERS as LOOKS
    from ..starter.painter import paint, random_scene

    make_folder(folder)
    rng = random.Random(f"photographs/{name}")
    species = LOOKS[name].species
    fixed = {"subject": species, "character": name, "extra": None, "light": "day", "weather": "clear"}
    for number, (place, pose) in enumerate(zip(PLACES, POSES, strict=True), 1):
        scene = random_scene(rng, **fixed, place=place, pose=pose, style="illustration")
        path = folder / f"{number:02d}.png"
        with writing(path) as partial:
            write_png(paint(scene), partial, source="algorithmicMedia")
    return species


def examine_personalisation(
    out: Path,
    listener: Listener,
    stop: Stop,
    *,
    names: Sequence[str] = CHARACTERS,
    training: Mapping[str, object] | None = None,
    guidance: float = GUIDANCE,
    steps: int | None = None,
) -> dict[str, Score]:
    """Train an adapter for each character, paint 20 new prompts with it and without, and let the judge read them.

    training: fields of TrainRequest that differ from the defaults. Writes personalise.json, personalise.md, and a sheet
    for each character.
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
            {"data": str(place / "photographs"), "class_word": species, "identifier": IDENTIFIER, **(training or {})}
        )
        if not (place / "adapter").exists():
            studio.run(request, place / "adapter", listener=listener, stop=stop)
        adapters[name] = (species, place / "adapter")
    pipeline, facts = open_pipeline("starter", None, listener)
    steps = steps or facts["steps"]

    def painted(what: str, prompts: Sequence[str]) -> np.ndarray:
        listener(Stage(name=what, total=len(prompts) * steps))

        def on_step(done: int) -> None:
            listener(Progress(done=done))
            if stop():
                raise Interrupted("stopped")

        return paint_answers(pipeline, prompts, guidance=guidance, steps=steps, on_step=on_step)

    plain = {
        species: painted(f"base, {species}", _prompts(f"a {species}", species))
        for species in dict.fromkeys(species for species, _ in adapters.values())
    }
    scores: dict[str, Score] = {}
    for name, (species, adapter) in adapters.items():
        with adapters_on(pipeline, [open_adapter(str(adapter))], [1.0]):
            pixels = painted(name, _prompts(f"{IDENTIFIER} {species}", species))
        scores[name] = _score(judge, name, species, pixels, plain[species])
        sheet = contact_sheet(
            list(pixels[: len(ASKS)]), [ask.prompt(f"{IDENTIFIER} {species}") for ask in ASKS], columns=10
        )
        with writing(out / f"{name}.png") as partial:
            write_png(sheet, partial, source="compositeSynthetic")
    told = {"model": facts | {"steps": steps, "guidance": guidance}, "training": dict(training or {})}
    told["scores"] = {name: _told(score) for name, score in scores.items()} | {"all": _told(total(scores.values()))}
    with writing(out / "personalise.json") as partial:
        partial.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    with writing(out / "personalise.md") as partial:
        partial.write_text(_page(told, scores), encoding="utf-8")
    return scores


def _prompts(subject: str, species: str) -> list[str]:
    """The 20 new prompts, then those that name the class alone."""
    drift = [DRIFT_PROMPTS[i % len(DRIFT_PROMPTS)].format(species) for i in range(DRIFT_PICTURES)]
    return [ask.prompt(subject) for ask in ASKS] + drift


def _score(judge, name: str, species: str, pixels: np.ndarray, plain: np.ndarray) -> Score:
    from ..starter.judge import MARKINGS, truth
    from ..starter.painter import Scene

    taught, base = judge.read(pixels), judge.read(plain)
    marks, coat, prompt, base_prompt = [], [], [], []
    for index, ask in enumerate(ASKS):
        told = truth(Scene.model_validate({"subject": species, "character": name, **ask.values}))
        borne = {place: value for place in MARKINGS if (value := told[place]) and value != MARKINGS[place][0]}
        marks += [taught.shows(index, place, value) for place, value in borne.items()]
        if told["coat"]:
            coat.append(taught.shows(index, "coat", told["coat"]))
        asked = {key.replace("_", " "): value for key, value in ask.values.items()}
        prompt += [taught.shows(index, key, value) for key, value in asked.items()]
        base_prompt += [base.shows(index, key, value) for key, value in asked.items()]
    own = truth(Scene(subject=species, character=name))["coat"]
    assert own is not None
    turned = range(len(ASKS), len(ASKS) + DRIFT_PICTURES)
    return Score(
        Share.of(marks),
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


COLUMNS = ("marks", "coat", "prompt", "base model's prompt", "of the base model's", "class drift", "base model's")


def rows(scores: Mapping[str, Score]) -> list[tuple[str, list[str]]]:
    """A row a character and one for all, in percent."""
    found = []
    for name, score in [*scores.items(), ("all", total(scores.values()))]:
        shares = [f"{100 * share.value:.0f}" for share in vars(score).values()]
        found.append((name, [*shares[:4], f"{100 * score.obeyed:.0f}", *shares[4:]]))
    return found


def _page(told: dict, scores: Mapping[str, Score]) -> str:
    """The section of the model card."""
    return f"""## Personalisation

Ten invented characters, {PICTURES} pictures each, default training settings; {len(ASKS)} new prompts each at guidance
{told["model"]["guidance"]:g}, read by the judge (`limner starter exam --personalise`). Marks and coat: those of the \
character that are seen.
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


def print_personalisation(out: Path, listener: Listener, stop: Stop) -> Callable[[], None]:
    """Examine personalisation; what is returned prints its table."""
    scores = examine_personalisation(out, listener, stop)

    def table() -> None:
        show("%", COLUMNS, rows(scores))
        print(f"\n{out / 'personalise.json'}")

    return table
