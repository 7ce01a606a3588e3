"""How often the starter draws what a pets call asks for: every choice of its catalogue, read by the starter's judge.

    python benchmarks/pets.py --json benchmarks/pets.json

All species and breeds, then each background, extra and style with one breed, are generated in batches, and the judge
reads each attribute that was chosen. Takes a few minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from limner import Studio
from limner.core.pets import PetsCall, generate_request
from limner.starter.judge import Judge
from limner.studio.pets import pet_catalogue

SPECIES, BREED = "dog", "corgi"
"""The pet with which backgrounds, extras and styles are tried."""
PLAIN = " background"
STEPS, BATCH, SEEDS = 8, 32, 4


def calls() -> Iterator[PetsCall]:
    """A call for every choice of the starter's catalogue."""
    catalogue = pet_catalogue("starter")
    for species, breeds in catalogue.breeds.items():
        yield from (PetsCall(species=species, breed=breed) for breed in breeds)
    pet = {"species": SPECIES, "breed": BREED}
    yield from (PetsCall.model_validate(pet | {"background": name}) for name in catalogue.backgrounds)
    yield from (PetsCall.model_validate(pet | {"extras": [name]}) for name in catalogue.extras)
    yield from (PetsCall.model_validate(pet | {"extras": [f"red {name}"]}) for name in catalogue.coloured)
    yield from (PetsCall.model_validate(pet | {"style": name}) for name in catalogue.styles)


def chosen(call: PetsCall) -> dict[str, str]:
    """The attributes that a call chooses, with the values that the judge should read."""
    found = {"subject": call.species}
    if call.style not in ("pencil sketch", "neon sign"):  # these styles lack the colours that tell breeds apart
        found["breed"] = str(call.breed)
    if call.style:
        found["style"] = call.style
    if call.background and call.background.endswith(PLAIN):
        found |= {"place": "studio", "backdrop": call.background.removesuffix(PLAIN)}
    elif call.background:
        found["place"] = call.background
    for extra in call.extras:
        colour, _, name = extra.partition(" ") if extra.startswith("red ") else ("", "", extra)
        found |= {"extra": name} | ({"extra_colour": colour} if colour else {})
    return found


def measure(seeds: int) -> dict[str, object]:
    """The shares of images and attributes that are right."""
    catalogue, every = pet_catalogue("starter"), list(calls())
    asked = [(call, seed) for call in every for seed in range(seeds)]
    made = [generate_request(call, catalogue, seed) for call, seed in asked]
    pixels: list[np.ndarray] = []
    with TemporaryDirectory() as folder:
        studio = Studio(Path(folder) / "home")
        for start in range(0, len(made), BATCH):
            part = [request.changed(steps=STEPS, batch=BATCH) for request, _ in made[start : start + BATCH]]
            for run in studio.run_batch(part, Path(folder) / "out"):
                (image,) = studio.runs.artifacts(run.id, "picture")
                pixels.append(np.asarray(Image.open(image.path).convert("RGB")))
        studio.close()
    readings = Judge.load().read(np.stack(pixels))
    right: dict[str, list[bool]] = {}
    by_choice: dict[str, list[bool]] = {}
    wrong: list[str] = []
    for index, ((call, seed), (request, _)) in enumerate(zip(asked, made, strict=True)):
        for name, value in chosen(call).items():
            read = readings.likeliest(index, name)
            right.setdefault(name, []).append(read == value)
            if name not in ("subject", "breed") or not (call.background or call.extras or call.style):
                by_choice.setdefault(f"{name} {value}", []).append(read == value)
            if read != value:
                wrong.append(f"{request.prompt} (seed {seed}): {name} {value} read as {read}")
    marks = [mark for each in right.values() for mark in each]
    tried = [mark for each in by_choice.values() for mark in each]
    return {
        "choices": len(every),
        "images": len(asked),
        "steps": STEPS,
        "share right": round(float(np.mean(marks)), 3),
        "share right of what is varied": round(float(np.mean(tried)), 3),
        "by attribute": {name: {"right": sum(each), "of": len(each)} for name, each in right.items()},
        "choices right in less than half": {
            name: f"{sum(each)} of {len(each)}" for name, each in by_choice.items() if sum(each) < len(each) / 2
        },
        "wrong": wrong,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=SEEDS, help="images of each choice")
    parser.add_argument("--json", type=Path, help="file to write")
    options = parser.parse_args()
    result = measure(options.seeds)
    text = json.dumps(result, indent=2) + "\n"
    if options.json:
        options.json.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
