"""Lists of prompts to evaluate by, under names; {} stands for the subject."""

from __future__ import annotations

import re
from pathlib import Path

from limner.core.errors import LimnerError, unknown
from limner.starter.exam.prompts import exam_prompts

PETS = (
    "a photo of {} in the park",
    "a photo of {} on the beach at sunset",
    "a photo of {} in the snow",
    "a photo of {} lying in the living room",
    "a photo of {} in the forest at night",
    "a photo of {} wearing a red scarf in the city",
    "a photo of {} with a blue bow tie",
    "a photo of {} wearing sunglasses on the beach",
    "a photo of {} wearing a crown",
    "a watercolour painting of {} in the mountains",
    "a pencil sketch of {}",
    "pixel art of {} in the desert",
)
MARKETING = (
    "a photo of {} on a plain white background",
    "a photo of {} on a wooden table",
    "a photo of {} on the beach at noon",
    "a photo of {} in a bright kitchen",
    "a photo of {} in the city at night",
    "a photo of {} in the snow with mountains in the background",
    "a photo of {} held up against the sky",
    "a watercolour painting of {}",
    "an oil painting of {} in the park",
    "a poster of {} in bold flat colours",
)
EXAM = 64
"""Prompts of the starter's exam that the suite takes."""
NAMES = ("dreambench", "exam", "marketing", "pets")
PAGE = "prompts_and_classes.txt"


def suite(name: str, dataset: str | None) -> tuple[tuple[str, ...], str | None]:
    """Prompts, and the class word where the suite knows it.

    dreambench: of DreamBooth's data set, whose page of prompts lies beside the folder of the subject.
    """
    if name == "dreambench":
        return _dreambench(dataset)
    if name == "exam":
        from limner.core.choice import evenly

        return tuple(dict.fromkeys(prompt.text for prompt in evenly(exam_prompts(), EXAM))), None
    if name not in NAMES:
        raise unknown("suite", name, NAMES)
    return {"pets": PETS, "marketing": MARKETING}[name], None


def _dreambench(dataset: str | None) -> tuple[tuple[str, ...], str]:
    remedy = "give --dataset DREAMBENCH/SUBJECT, a folder of DreamBooth's data set"
    if dataset is None:
        raise LimnerError("the suite dreambench is of a subject of its data set", remedy)
    folder = Path(dataset).expanduser().resolve()
    page = folder.parent / PAGE
    try:
        text = page.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise LimnerError(f"{str(page)!r} cannot be read, where the prompts should be", remedy) from error
    classes = dict(line.split(",", 1) for line in text.splitlines() if re.fullmatch(r"\w+,[\w ]+", line))
    if folder.name not in classes:
        raise LimnerError(f"{folder.name!r} is no subject of {str(page)!r}", remedy)
    class_word = classes[folder.name].strip()
    lists = [re.findall(r"'([^']*\{0\} \{1\}[^']*)'", part) for part in text.split("prompt_list")[1:]]
    if len(lists) != 2 or not all(lists):
        raise LimnerError(f"{str(page)!r} does not hold two lists of prompts", remedy)
    chosen = lists[class_word in ("dog", "cat")]
    return tuple(prompt.replace("{0} {1}", "{}") for prompt in chosen), class_word
