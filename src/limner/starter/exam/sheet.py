"""Contact sheets of generated images, and `limner starter sheet`: one of what the starter can generate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from limner.imaging.contact_sheet import Tile, draw_contact_sheet
from limner.starter.exam.model import Listener, ModelUnderTest, Stop
from limner.starter.exam.options import ExamOptions
from limner.store.files import atomic_file, make_folder

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
    """Write a contact sheet of images (h, w, 3) uint8 as a PNG that is labelled as made by AI; notes are in red."""
    from limner.provenance.labels import write_png

    tiles = [
        Tile(Image.fromarray(image), None, caption, note=note)
        for image, caption, note in zip(images, captions, notes or [""] * len(images), strict=True)
    ]
    with atomic_file(path) as partial:
        write_png(draw_contact_sheet(tiles, columns, 160, None, 6), partial, source="compositeSynthetic")
