"""Images of the example prompts: those that come with Limner, and those that are made, stopped, resumed and shown."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from limner.core.accounts import Caller
from limner.core.discover import Filters
from limner.core.errors import LimnerError
from limner.core.events import Progress
from limner.core.requests import GenerateRequest
from limner.data.prompts.embedded import settings_in
from limner.data.prompts.grammar import made_prompts
from limner.imaging.embedded_texts import embedded_texts
from limner.models.devices import pick_device, pick_dtype
from limner.models.loading import resolve
from limner.provenance.labels import Label, write_png
from limner.provenance.verify import verify
from limner.provenance.xmp import is_fully_generated
from limner.studio import example_images
from limner.studio.example_images import ARCHIVE, ExampleImages, as_webp, generated, main, starter_numbers
from limner.studio.studio import Studio
from pages import site_of

COUNT = 40
PROMPTS = [*made_prompts(COUNT)]
NUMBERS = starter_numbers(PROMPTS)
COLOUR = "#2e8b57"


def drawn(folder: Path, made: list[int]) -> Callable[..., Iterator[tuple[int, bytes]]]:
    """Makes images without a model; notes their numbers in `made`."""

    def draw(prompts: Mapping[int, str], home: Path, stop: Any = None) -> Iterator[tuple[int, bytes]]:
        for number, prompt in prompts.items():
            request = GenerateRequest(prompt=prompt, model="starter", steps=10, guidance=3)
            model: Any = {"reference": "starter", "sha256": None, "licence": "apache-2.0"}
            label = Label(request=request, index=0, seed=number, version="1", model=model)
            path = folder / f"{number}.png"
            write_png(Image.new("RGB", (128, 128), COLOUR), path, label, home=home)
            made.append(number)
            yield number, as_webp(path)

    return draw


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """Numbers of the images that were drawn in place of generated ones. There is no file of images."""
    monkeypatch.setattr("limner.studio.discover.EXAMPLE_COUNT", COUNT)
    monkeypatch.setattr(example_images, "EXAMPLE_COUNT", COUNT)
    monkeypatch.setattr(example_images, "ARCHIVE", tmp_path / "none.zip")
    found: list[int] = []
    monkeypatch.setattr(example_images, "generated", drawn(tmp_path, found))
    return found


@pytest.fixture
def archive(made: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any) -> Path:
    """A file with the first three images."""
    path = tmp_path / "images.zip"
    main(["--count", "3", "--out", str(path)])
    made.clear()
    capsys.readouterr()
    monkeypatch.setattr(example_images, "ARCHIVE", path)
    return path


def files(home: Path) -> dict[str, bytes]:
    folder = home / "libraries" / "examples" / "images"
    return {each.name: each.read_bytes() for each in folder.iterdir()} if folder.is_dir() else {}


def test_without_a_file_of_images_there_are_the_prompts_alone(limner, home, made):
    assert limner("discover", "examples").out == f"library 'examples': {COUNT} prompts\n"
    assert not files(home) and not made


def test_the_file_of_images_is_always_the_same_and_never_too_large(archive, tmp_path, monkeypatch, capsys):
    again = tmp_path / "again.zip"
    main(["--count", "3", "--out", str(again)])
    assert again.read_bytes() == archive.read_bytes()
    names = ZipFile(archive).namelist()
    assert [int(name[:5]) for name in names] == NUMBERS[:3]
    monkeypatch.setattr(example_images, "LARGEST", archive.stat().st_size - 1)
    main(["--count", "3", "--out", str(again)])
    assert ZipFile(again).namelist() == names[:2]
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"{again}: 2 images, ")


def test_images_that_come_with_limner_are_added_and_found(limner, home, archive, made, starter):
    for _ in range(2):
        assert limner("discover", "examples").out == f"library 'examples': {COUNT} prompts, 3 images\n"
    with ZipFile(archive) as packed:
        assert files(home) == {name: packed.read(name) for name in packed.namelist()} and not made
    studio = Studio(home)
    hits = studio.discover.search(Caller(), "", Filters(size="128x128", steps="10"), 24)
    assert sorted(hit.text for hit in hits) == sorted(PROMPTS[number].text for number in NUMBERS[:3])
    assert all(hit.source == "made by Limner" and hit.licence == "apache-2.0" for hit in hits)
    assert {hit.records[0].seed for hit in hits} == {*NUMBERS[:3]}
    assert all(Path(hit.records[0].image).is_file() for hit in hits)
    like = studio.discover.appearance(Caller(), "", COLOUR)
    assert len(studio.discover.search(Caller(), "", Filters(), 24, like)) == 3
    like = studio.discover.appearance(Caller(), f"examples/{hits[0].prompt}")
    assert len(studio.discover.search(Caller(), "", Filters(), 24, like)) >= 2
    studio.close()


def test_pages_show_them_with_the_mark_of_a_generated_image(home, archive):
    site = site_of(home)
    site.studio.discover.add_examples(Caller())
    page = site.client.get("/discover?size=square").text
    paths = re.findall(r'src="(/discover/images/examples/\d+/0\.webp)', page)
    assert len(paths) == 3
    for path in paths:
        for side in ("", "?side=160"):
            reply = site.client.get(path + side)
            assert reply.status_code == 200 and reply.content in files(home).values()
            assert is_fully_generated(reply.content)
    assert site.client.get(paths[0].replace("/0.webp", "/1.webp")).status_code == 404
    site.studio.close()


def test_more_images_are_made_once_and_signed(limner, home, archive, made):
    assert limner("discover", "examples", "--images", "5").out.endswith(f"{COUNT} prompts, 5 images\n")
    assert made == NUMBERS[3:5]
    before = files(home)
    for wanted in ("5", "2", "0"):
        assert limner("discover", "examples", "--images", wanted).out.endswith(", 5 images\n")
    assert files(home) == before and made == NUMBERS[3:5]
    assert limner("discover", "examples", "--images", len(NUMBERS)).code == 0
    assert sorted(int(name[:5]) for name in files(home)) == NUMBERS
    for name, data in files(home).items():
        settings = settings_in(embedded_texts(data))
        assert (settings["prompt"], settings["seed"]) == (PROMPTS[int(name[:5])].text, str(int(name[:5])))
        report = verify(home / "libraries" / "examples" / "images" / name, home)
        assert report.good == (int(name[:5]) not in NUMBERS[:3]), (name, report.message)


def test_what_is_there_is_never_made_again(home, made):
    own = ExampleImages(home / "images", home)
    for _ in range(2):
        own.make(NUMBERS[:2], PROMPTS, lambda event: None, lambda: False)
    assert made == NUMBERS[:2] and sorted(own.names()) == NUMBERS[:2]


@pytest.mark.parametrize("wanted", [-1, len(NUMBERS) + 1])
def test_more_images_than_prompts_are_refused(limner, made, wanted):
    said = limner("discover", "examples", "--images", wanted)
    assert said.code == 2 and f"--images is {wanted}; use 0 to {len(NUMBERS)}" in said.error


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_command_keeps_what_it_made_and_makes_the_rest_when_repeated(limner, home, made, monkeypatch, number):
    from limner.cli.terminal import Screen

    show = Screen.show

    def stopping(screen: Screen, event: Any) -> None:
        show(screen, event)
        if isinstance(event, Progress) and event.done == 2:
            signal.raise_signal(number)

    with monkeypatch.context() as patch:
        patch.setattr(Screen, "show", stopping)
        said = limner("discover", "examples", "--images", "4")
    assert said.code == 130 and said.out.endswith(f"{COUNT} prompts, 2 images\n")
    assert said.error == "stopped; the same command makes the images that are left"
    before = files(home)
    assert limner("discover", "examples", "--images", "4").out.endswith(", 4 images\n")
    assert made == NUMBERS[:4] and before.items() <= files(home).items()


def test_a_killed_command_loses_no_image(home, made, monkeypatch):
    studio = Studio(home)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("limner.studio.discover.fill", killed)
        with pytest.raises(KeyboardInterrupt):
            studio.discover.add_examples(Caller(), 2)
    assert len(files(home)) == 2
    assert studio.discover.add_examples(Caller()).images == 2 and made == NUMBERS[:2]
    studio.close()


def test_an_image_of_another_prompt_or_without_one_is_not_used(home, made):
    studio = Studio(home)
    assert studio.discover.add_examples(Caller(), 3).images == 3
    folder = home / "libraries" / "examples" / "images"
    first, second, _ = sorted(folder.iterdir())
    second.write_bytes(first.read_bytes())
    first.write_bytes(b"RIFF")
    first.rename(folder / f"{NUMBERS[0]:05}-00000000.webp")
    assert studio.discover.add_examples(Caller()).images == 1
    studio.close()


def test_a_damaged_file_of_images_is_reported(limner, archive):
    archive.write_bytes(archive.read_bytes()[:1000])
    said = limner("discover", "examples")
    assert said.code == 2 and said.error.endswith("is damaged; install Limner again")


def test_a_library_of_an_earlier_version_gets_the_images(home, made, monkeypatch, tmp_path):
    studio = Studio(home)
    assert studio.discover.add_examples(Caller()).images == 0
    numbers = {hit.text: hit.prompt for hit in studio.discover.search(Caller(), "", Filters(), 100)}
    assert studio.discover.add_examples(Caller(), 2).images == 2
    hits = studio.discover.search(Caller(), "", Filters(), 100)
    assert {hit.text: hit.prompt for hit in hits} == numbers, "the numbers of prompts stay"
    assert sum(bool(hit.records[0].image) for hit in hits) == 2 and all(hit.images <= 1 for hit in hits)
    studio.close()


@pytest.mark.slow
def test_the_starter_makes_an_image_whatever_others_are_made_with_it(home, starter):
    prompts = {number: PROMPTS[number].text for number in NUMBERS[:2]}
    both = dict(generated(prompts, home))
    (number, alone), *_ = generated({NUMBERS[1]: prompts[NUMBERS[1]]}, home)
    assert both[number] == alone and both[NUMBERS[0]] != alone
    path = home / "image.webp"
    path.write_bytes(alone)
    with Image.open(path) as image:
        assert image.size == (128, 128) and np.asarray(image.convert("L")).std() > 5
    report = verify(path, home)
    assert report.mark is not None and is_fully_generated(alone)


def test_the_images_that_come_with_limner_are_of_the_present_starter(starter):
    if not ARCHIVE.is_file():
        pytest.skip("the package has no images; python -m limner.studio.example_images makes them")
    prompts = [*made_prompts(example_images.EXAMPLE_COUNT)]
    model = resolve("starter").fingerprint(pick_dtype("auto", pick_device("cpu")))
    remedy = "python -m limner.studio.example_images makes them anew"
    assert ARCHIVE.stat().st_size <= example_images.LARGEST
    with ZipFile(ARCHIVE) as packed:
        names = packed.namelist()
        assert [int(name[:5]) for name in names] == starter_numbers(prompts)[: len(names)], remedy
        for name in names:
            texts = embedded_texts(packed.read(name))
            assert settings_in(texts)["prompt"] == prompts[int(name[:5])].text, remedy
            assert f"Model hash: {model[:10]}" in texts["parameters"], remedy
            assert is_fully_generated(packed.read(name))


def test_no_image_lies_outside_the_folder_of_a_library(home, made):
    studio = Studio(home)
    studio.discover.add_examples(Caller(), 1)
    (hit,) = studio.discover.search(Caller(), "", Filters(size="square"), 24)
    with pytest.raises(LimnerError, match="has no image"):
        studio.discover.thumbnail(Caller(), "examples", hit.prompt, 7, 160)
    folder = home / "libraries" / "examples" / "images"
    (image,) = folder.iterdir()
    outside = home / "secret.webp"
    image.rename(outside)
    image.symlink_to(outside)
    with pytest.raises(LimnerError, match="is not in the folder of the library"):
        studio.discover.thumbnail(Caller(), "examples", hit.prompt, 0, 160)
    studio.close()
