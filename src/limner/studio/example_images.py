"""Images of the example prompts for the starter: those that come with Limner, and more that this machine makes.

Image N is that of the grammar's prompt N, and its seed is N, so that all machines make nearly the same images.

    python -m limner.studio.example_images --count 1000

makes those that come with Limner, with the starter's present weights.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import BadZipFile, ZipFile, ZipInfo

from PIL import ExifTags, Image

from limner.core.errors import Interrupted, LimnerError
from limner.core.events import ArtifactCreated, ArtifactKind, Event, Progress, Stage
from limner.core.files import read_file
from limner.core.prompt_records import PromptRecord
from limner.core.requests import GenerateRequest
from limner.core.workspace import Workspace
from limner.data.prompts.embedded import settings_in
from limner.data.prompts.grammar import MadePrompt, made_prompts
from limner.data.prompts.records import record_of
from limner.imaging.embedded_texts import embedded_texts
from limner.provenance import credentials
from limner.provenance.labels import a1111_parameters, parse_label
from limner.provenance.xmp import write_packet
from limner.store.files import atomic_file, make_folder
from limner.store.paths import cache_folder

STARTER = "starter"
"""The model, and the kind of prompts that are made for it."""
EXAMPLE_COUNT = 20_000
"""Prompts of the library."""
ARCHIVE = Path(__file__).parents[1] / "data" / "prompts" / "example-images.zip"
"""The images that come with Limner; the package may be without."""
LARGEST = 5_000_000
"""Most bytes of that file."""
PACKED = 1000
"""Most images in it."""
QUALITY = 90
"""Of the WebP: at 128 pixels, no difference is seen beside the PNG."""
TOGETHER = 8
"""Images of a batch. It is always filled, because the last bits of an image depend on the size of its batch."""
AT_ONCE = 64
"""Images for which the model is made ready once."""
SOURCE = "trainedAlgorithmicMedia"
_NAME = re.compile(r"(\d{5})-[0-9a-f]{8}\.webp")


class ExampleImages:
    """The images of a library of examples. folder: with their files. home: whose key signs those that are made."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder, self._home = folder, home

    def names(self) -> dict[int, str]:
        """The names of the files that are there, by the numbers of their prompts."""
        found = sorted(each.name for each in self.folder.iterdir()) if self.folder.is_dir() else []
        return {int(parts[1]): name for name in found if (parts := _NAME.fullmatch(name))}

    def unpack(self, prompts: Sequence[MadePrompt]) -> None:
        """Add those that come with Limner. Raises LimnerError for a damaged file of them."""
        known = self.names()
        for number, name, data in _packed():
            if number < len(prompts) and number not in known:
                self._write(name, data)

    def make(
        self,
        numbers: Iterable[int],
        prompts: Sequence[MadePrompt],
        emit: Callable[[Event], None],
        stop: Callable[[], bool],
    ) -> None:
        """Generate the images of those prompts that have none; ends early where it is stopped."""
        known = self.names()
        wanted = {number: prompts[number].text for number in numbers if number not in known}
        if not wanted:
            return
        emit(Stage(name="generating", total=len(wanted), unit="images"))
        try:
            for done, (number, data) in enumerate(generated(wanted, self._home, stop), 1):
                signed = credentials.sign(data, SOURCE, self._home, "image/webp")
                self._write(name_of(number, data), signed)
                emit(Progress(done=done))
                if stop():
                    return
        except Interrupted:
            return

    def records(self, prompts: Sequence[MadePrompt]) -> tuple[list[PromptRecord], str]:
        """The prompts, each with its image and the settings in it; and a hash of what they are made of."""
        names, found = self.names(), list[PromptRecord]()
        mark = hashlib.sha256(repr((len(prompts), names)).encode())
        for number, prompt in enumerate(prompts):
            model = prompt.world if prompt.world == STARTER else ""
            plain = PromptRecord(prompt.text, prompt.negative, model=model)
            own = self._record(names[number]) if number in names else None
            if own is None or own.prompt != prompt.text:  # an image of another version's prompt
                found.append(plain)
            else:
                found.append(replace(own, negative=prompt.negative, image=names[number], model=model))
        return found, mark.hexdigest()

    def _record(self, name: str) -> PromptRecord | None:
        try:
            return record_of(settings_in(embedded_texts(read_file(self.folder / name))))
        except Exception:  # a file that a full disk cut off makes the decoder raise nearly anything
            return None

    def _write(self, name: str, data: bytes) -> None:
        make_folder(self.folder)
        with atomic_file(self.folder / name) as partial:
            partial.write_bytes(data)


def starter_numbers(prompts: Sequence[MadePrompt]) -> list[int]:
    """The numbers of the prompts for the starter."""
    return [number for number, prompt in enumerate(prompts) if prompt.world == STARTER]


def name_of(number: int, data: bytes) -> str:
    """The name of an image. It changes with the image, so that no browser shows an old one."""
    return f"{number:05}-{hashlib.sha256(data).hexdigest()[:8]}.webp"


def generated(
    prompts: Mapping[int, str], home: Path, stop: Callable[[], bool] = lambda: False
) -> Iterator[tuple[int, bytes]]:
    """Generate images of prompts with the starter; yields number and WebP of each, not signed.

    prompts: by number, which is the seed. Raises Interrupted where it is stopped.
    """
    from limner.engine.generate.batching import Job
    from limner.engine.generate.generate import generate_batch

    numbers = [*prompts]
    for start in range(0, len(numbers), AT_ONCE):
        with TemporaryDirectory() as place:
            jobs: dict[int, Job] = {}
            files: dict[int, Path] = {}
            for number in numbers[start : start + AT_ONCE]:
                folder = Path(place) / str(number)
                workspace = Workspace(
                    "examples", folder, folder, cache_folder(home), stop=stop, together=TOGETHER, home=home
                )
                request = GenerateRequest(prompt=prompts[number], model=STARTER, seed=number)
                jobs[number] = Job(request, workspace, _note_image(files, number), checked=True)
            by_job = {id(job): number for number, job in jobs.items()}
            for job, failure in generate_batch([*jobs.values()]):
                if failure is not None:
                    raise failure
                number = by_job[id(job)]
                yield number, as_webp(files[number])


def _note_image(files: dict[int, Path], number: int) -> Callable[[Event], None]:
    def emit(event: Event) -> None:
        if isinstance(event, ArtifactCreated) and event.what == ArtifactKind.IMAGE:
            files[number] = Path(event.path)

    return emit


def as_webp(path: Path) -> bytes:
    """A generated PNG as WebP with its watermark, settings (EXIF) and digital source type (XMP), not signed."""
    data = read_file(path)
    label = parse_label(data, path)
    assert label is not None
    target, exif = BytesIO(), Image.Exif()
    with Image.open(BytesIO(data)) as image:
        text = a1111_parameters(label, image.size)
        coded = b"ASCII\0\0\0" + text.encode() if text.isascii() else b"UNICODE\0" + text.encode("utf-16-be")
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = coded
        packet = write_packet(SOURCE).encode()
        image.convert("RGB").save(target, "WEBP", quality=QUALITY, method=6, exif=exif, xmp=packet)
    return target.getvalue()


def _packed() -> Iterator[tuple[int, str, bytes]]:
    """Number, name and bytes of the images that come with Limner."""
    if not ARCHIVE.is_file():
        return
    try:
        with ZipFile(ARCHIVE) as archive:
            for name in archive.namelist():
                if parts := _NAME.fullmatch(name):
                    yield int(parts[1]), name, archive.read(name)
    except (BadZipFile, OSError, EOFError) as error:
        raise LimnerError(f"{str(ARCHIVE)!r} is damaged", "install Limner again") from error


def pack(path: Path, count: int, home: Path, emit: Callable[[Event], None]) -> tuple[int, int]:
    """Write the file of images that comes with Limner; returns how many they are, and its bytes.

    They are those of the first prompts for the starter, as many as fit in LARGEST. The file is the same whenever it is
    written on one machine with the same weights.
    """
    prompts = [*made_prompts(EXAMPLE_COUNT)]
    wanted = {number: prompts[number].text for number in starter_numbers(prompts)[:count]}
    images = dict[int, bytes]()
    emit(Stage(name="generating", total=len(wanted), unit="images"))
    for number, data in generated(wanted, home):
        images[number] = data
        emit(Progress(done=len(images)))
    done = len(images)
    while True:
        file = BytesIO()
        with ZipFile(file, "w") as archive:
            for number in sorted(images)[:done]:
                archive.writestr(ZipInfo(name_of(number, images[number])), images[number])
        if len(file.getvalue()) <= LARGEST:
            break
        done -= 1 + (len(file.getvalue()) - LARGEST) * done // len(file.getvalue())
    with atomic_file(path) as partial:
        partial.write_bytes(file.getvalue())
    return done, len(file.getvalue())


def main(arguments: Sequence[str]) -> None:
    from argparse import ArgumentParser, RawDescriptionHelpFormatter

    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=PACKED, help=f"images, if so many fit (default: {PACKED})")
    parser.add_argument("--out", type=Path, default=ARCHIVE, help="file to write (default: that of the package)")
    options = parser.parse_args(arguments)

    def emit(event: Event) -> None:
        if isinstance(event, Progress) and event.done % TOGETHER == 0:
            print(f"{event.done} images", flush=True)

    with TemporaryDirectory() as home:
        count, size = pack(options.out, options.count, Path(home), emit)
    print(f"{options.out}: {count} images, {size:,} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
