"""Contact sheets of generated images, and `limner starter sheet`: one of what the starter can generate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from limner.starter.exam.model import Listener, ModelUnderTest, Stop
from limner.starter.exam.options import ExamOptions
from limner.store.files import atomic_file, make_folder

INK, RED, PAPER = (28, 30, 36), (196, 44, 44), (255, 255, 255)
LINE = 15

PROMPTS = (
    "a photo of a siamese cat on the beach",
    "a photo of a corgi dog in the park",
    "a photo of a tabby cat in the living room",
    "a photo of a husky dog in the snow",
    "a photo of a dalmatian standing in the mountains",
    "a photo of a black cat in the forest at night",
    "a photo of a golden retriever lying down on the beach at sunset",
    "a photo of a calico cat in the city in the rain",
    "a photo of a beagle wearing a blue scarf in the snow",
    "a photo of a persian cat wearing a crown in the living room",
    "a photo of a poodle wearing sunglasses on the beach",
    "a photo of a british shorthair with a red bow tie on a yellow background",
    "a photo of a corgi wearing a green party hat in the park",
    "a photo of a tabby cat wearing glasses in the city",
    "a photo of a dalmatian with a flower wreath in the mountains",
    "a photo of a black cat wearing a purple top hat on a pink background",
    "a photo of a red mug on a blue background",
    "a photo of a yellow car in the desert",
    "a photo of a teal teapot in the living room",
    "a photo of a pink sneaker in the city",
    "a photo of a green backpack in the mountains",
    "a photo of a blue chair in the park",
    "a photo of an orange guitar on the beach",
    "a photo of purple headphones on a grey background",
    "a watercolour painting of a corgi dog in the forest",
    "a watercolour painting of a red car in the snow",
    "an oil painting of a siamese cat in the desert",
    "pixel art of a husky dog in the city",
    "a neon sign of a cat in the city",
    "a neon sign of a yellow guitar in the living room",
    "a pencil sketch of a beagle dog in the park",
    "pixel art of a blue mug on the beach",
)


def write_showcase(out: Path, listener: Listener, stop: Stop, model: str = "starter") -> Path:
    """Generate images of 32 prompts and write a contact sheet of them to the file `out`, which is returned."""
    options = ExamOptions(model=model)
    pixels = ModelUnderTest.load(options, listener, stop).generate("generating", PROMPTS)
    make_folder(out.parent)
    write_sheet(out, list(pixels), PROMPTS)
    return out


def write_sheet(
    path: Path, images: Sequence[np.ndarray], captions: Sequence[str], notes: Sequence[str] = (), columns: int = 8
) -> None:
    """Write a contact sheet as a PNG that is labelled as made by AI; see `contact_sheet`."""
    from limner.provenance.labels import write_png

    with atomic_file(path) as partial:
        write_png(contact_sheet(images, captions, notes, columns), partial, source="compositeSynthetic")


def contact_sheet(
    images: Sequence[np.ndarray],
    captions: Sequence[str],
    notes: Sequence[str] = (),
    columns: int = 8,
    side: int = 160,
) -> Image.Image:
    """A sheet of images (h, w, 3) uint8, each `side` pixels wide, with its caption and, in red, its note below."""
    gap, font = 10, ImageFont.load_default(12)
    texts = [wrap(caption, font, side)[:4] for caption in captions]
    remarks = [wrap(note, font, side)[:2] for note in notes or [""] * len(images)]
    height = side + 8 + LINE * max(len(a) + len(b) for a, b in zip(texts, remarks, strict=True)) + gap
    rows = -(-len(images) // columns)
    sheet = Image.new("RGB", (columns * (side + gap) + gap, rows * height + gap), PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, (image, text, remark) in enumerate(zip(images, texts, remarks, strict=True)):
        x, y = gap + number % columns * (side + gap), gap + number // columns * height
        sheet.paste(Image.fromarray(image).resize((side, side), Image.Resampling.LANCZOS), (x, y))
        for row, line in enumerate([*text, *remark]):
            draw.text((x, y + side + 4 + row * LINE), line, INK if row < len(text) else RED, font)
    return sheet


def wrap(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    """The lines of a text, at most `width` pixels wide except where one word is wider."""
    lines: list[str] = []
    for word in text.split():
        if lines and font.getlength(longer := f"{lines[-1]} {word}") <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
