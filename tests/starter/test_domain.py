"""What the starter knows: the words of captions, and images like those of the painter."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from limner import AdapterUse, GenerateRequest, Studio, TrainRequest
from limner.core.events import Notice
from limner.core.unknown_words import unknown_words, words_of
from limner.data.sets.folder import scan
from limner.engine.train.dataset_notices import train_command, warn_of_domain
from limner.models import catalog
from limner.models.catalog import Machine, list_models, model_for_photos
from limner.models.loading import resolve
from limner.plugins import registry
from limner.starter.domain import domain
from limner.starter.painter import CHARACTERS, Scene, caption, class_caption, paint, random_scene
from limner.starter.painter.phrases import SYNONYMS, phrases
from limner.starter.pretrain.training_captions import CAPTION_KINDS

ROOT = Path(__file__).parents[2]
PHOTOS = ROOT / "../shared/data/dreambench"
KNOWN = words_of(phrase for each in phrases().values() for phrase in each)


def notices(request: GenerateRequest | TrainRequest, out: Path) -> list[str]:
    found: list[str] = []
    Studio().run(request, out, listener=lambda event: found.append(event.text) if isinstance(event, Notice) else None)
    return [text for text in found if "does not know" in text or "do not look like" in text]


def test_every_word_of_every_caption_is_known_and_every_known_word_is_in_captions() -> None:
    rng = random.Random(5)
    scenes = [random_scene(rng) for _ in range(3000)]
    captions = [text(scene, rng) for scene in scenes for text in (caption, class_caption, *CAPTION_KINDS[1:])]
    assert not {word for text in captions for word in unknown_words(text, KNOWN)}
    assert words_of(captions) == KNOWN | words_of(captions) and not KNOWN - words_of(captions)


def test_synonyms_lead_from_unknown_words_to_known_ones() -> None:
    assert not KNOWN & SYNONYMS.keys()
    assert words_of(SYNONYMS.values()) <= KNOWN


def test_the_page_and_the_command_list_all_phrases(limner) -> None:
    page = (ROOT / "docs/words.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", page, re.MULTILINE)[1:])
    assert {kind: tuple(texts.split("; ")) for kind, texts in rows.items()} == phrases()
    said = " ".join(limner("starter", "words").out.split())
    assert all(f"{kind}: {'; '.join(texts)}" in said for kind, texts in phrases().items())


def test_only_the_starter_and_what_was_trained_from_it_has_a_domain() -> None:
    assert [name for name, (_, alias) in registry.aliases().items() if registry.load_domain(alias)] == ["starter"]
    starter = resolve("starter")
    assert starter.domain is domain
    assert replace(starter, alias=None, trained_from="starter").domain is domain
    assert replace(starter, alias=None, trained_from=None).domain is None
    assert replace(starter, alias=None, trained_from="sd15").domain is None


def test_unknown_words_are_named_when_images_are_generated(starter, home, tmp_path) -> None:
    prompt = "an astronaut riding a (hourse:1.2) and a cat on the beech"
    request = GenerateRequest(prompt=prompt, negative_prompt="blurry", steps=1)
    assert notices(request, tmp_path / "a") == [
        "the prompt has words that 'starter' does not know: 'astronaut', 'riding', 'hourse', 'beech' (nearest: "
        "'beach'); all that it knows: limner starter words, or GET /v1/models/starter/words",
        "the negative prompt has words that 'starter' does not know: 'blurry'; all that it knows: limner starter "
        "words, or GET /v1/models/starter/words",
    ]
    assert notices(GenerateRequest(prompt="a (corgi:1.3) dog, at night", steps=1), tmp_path / "b") == []


def test_words_that_call_an_adapter_are_known(starter, home, painted, tmp_path) -> None:
    train = TrainRequest(data=str(painted), class_word="dog", steps=1, batch=1, prior=False)
    assert notices(train, tmp_path / "rex") == [], "images of the painter"
    used = (AdapterUse(path=str(tmp_path / "rex")),)
    assert notices(GenerateRequest(prompt="sks dog on the beach", adapter=used, steps=1), tmp_path / "a") == []
    (text,) = notices(GenerateRequest(prompt="sks dog with a ball", adapter=used, steps=1), tmp_path / "b")
    assert "does not know, unless rex learned them: 'ball'" in text
    (text,) = notices(GenerateRequest(prompt="sks dog", steps=1), tmp_path / "c")
    assert "does not know: 'sks'" in text, "without the adapter it is a word like others"


def test_one_notice_for_all_prompts_of_a_sweep(starter, home, tmp_path) -> None:
    from limner import SweepRequest

    prompts = ("a cat on a horse", "a cat", "a cow in the park")
    request = SweepRequest(prompt=("a cat",), axis=[f"prompt={','.join(prompts)}"], steps=1, metric=("clipping",))
    (text,) = notices(request, tmp_path / "sweep")  # type: ignore[arg-type]
    assert text.startswith("2 of 3 prompts have words that 'starter' does not know: 'horse', 'cow'")


def warned(data: Path, class_word: str = "dog", queued: bool = False) -> list[str]:
    found: list[str] = []
    request = TrainRequest(data=str(data), class_word=class_word)
    warn_of_domain(request, scan(str(data)), resolve("starter"), lambda event: found.append(event.text), queued=queued)
    return found


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="the photographs in ../shared/data/dreambench are not here")
@pytest.mark.parametrize("folder", [pytest.param("dog", id="dog"), pytest.param("*", marks=pytest.mark.slow)])
def test_photos_are_warned_of(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Machine, "this", lambda: Machine(24, 100))
    for place in sorted(path for path in PHOTOS.glob(folder) if path.is_dir()):
        (text,) = warned(place)
        assert "do not look like the drawings that 'starter' was trained on: it will learn their colours" in text
        command = f"limner train {place} --class dog --identifier sks --model sdxl --out sks-dog-sdxl"
        assert f"use a model of photos: {command} (sdxl needs a GPU of 18 GB and a download of 7.1 GB)" in text, place
    (text,) = warned(place, queued=True)
    assert 'this request with "model": "sdxl" (' in text and "limner train" not in text


def test_images_of_the_painter_are_not_warned_of(tmp_path: Path) -> None:
    rng = random.Random(3)
    for name, look in list(CHARACTERS.items())[::3]:
        (tmp_path / name).mkdir()
        for number in range(3):
            scene = random_scene(rng, subject=look.species, character=name, breed=None)
            paint(scene).resize((300, 300)).save(tmp_path / name / f"{number}.png")
        assert warned(tmp_path / name) == [], name


def test_a_class_word_that_the_model_does_not_know_is_named(painted: Path) -> None:
    (text,) = warned(painted, "puppy")
    assert text.startswith("the class word has words that 'starter' does not know: 'puppy' (nearest: 'dog')")


def test_pictures_without_any_subject_are_not_of_the_painter() -> None:
    noise = Image.effect_noise((128, 128), 90).convert("RGB")
    drawn = paint(Scene(subject="cat", breed="tabby", seed=4))
    low, high = domain.resemblance([noise, drawn])
    assert low < 0.6 and high > 0.9


@pytest.mark.parametrize(
    ("machine", "name", "lacks"),
    [
        (Machine(139, 500), "z-image", ""),
        (Machine(41.9, 500), "flux2-klein-base", ""),
        (Machine(24, 500), "sdxl", ""),
        (Machine(18, 500), "sdxl", ""),
        (Machine(17.9, 500), "sd21", ""),
        (Machine(8.9, 500), "realistic-vision", ""),
        (Machine(24, 7.0), "sd21", ""),
        (Machine(24, 1.5), "sd15", "1.5 GB of disk are free"),
        (Machine(6.9, 500), "sd15", "the GPU of this machine has 6.9 GB"),
        (Machine(0, 500), "sd15", "this machine has no GPU"),
    ],
)
def test_the_suggested_model_fits_the_machine(
    machine: Machine, name: str, lacks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing_on_disk = [replace(model, place=None) for model in list_models()]
    monkeypatch.setattr(catalog, "list_models", lambda: nothing_on_disk)
    found = model_for_photos(machine)
    assert (found.name, machine.lacks(found)) == (name, lacks)


def test_a_model_on_disk_needs_no_download(tmp_path: Path) -> None:
    sdxl = next(model for model in list_models() if model.name == "sdxl")
    assert Machine(24, 0).lacks(replace(sdxl, place=tmp_path)) == ""
    assert catalog.needs(replace(sdxl, place=tmp_path)) == "sdxl needs a GPU of 18 GB"


def test_this_machine_is_asked() -> None:
    assert Machine.this().disk > 0


def test_the_command_is_quoted() -> None:
    request = TrainRequest(data="my photos", class_word="teddy bear", identifier="<rex>", model="sdxl")
    assert train_command(request) == (
        "limner train 'my photos' --class 'teddy bear' --identifier '<rex>' --model sdxl --out rex-teddy-bear-sdxl"
    )
