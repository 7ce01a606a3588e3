"""Prompts to evaluate by: named suites, and files with a prompt per line; {} stands for the subject."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

from limner.core.errors import LimnerError, unknown
from limner.core.files import expand_home

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
SUITES = ("dreambench", "exam", "marketing", "pets")
DREAMBENCH = "prompts_and_classes.txt"
"""The file beside the folders of DreamBooth's dataset that lists prompts and class words."""
LONGEST = 2**20
"""The largest file of prompts that is read, in bytes."""


def read_prompts(path: str | Path, name: str | None = None) -> list[str]:
    """The lines of a text file that are not blank, each once; raises LimnerError.

    name: of the file in messages, by default its path.
    """
    place, name = expand_home(path), name or str(path)
    remedy = "give a text file with a prompt in each line"
    try:
        if place.exists() and (not place.is_file() or place.stat().st_size > LONGEST):
            raise LimnerError(f"{name!r} is a folder, a device or a file of over {LONGEST} bytes", remedy)
        text = place.read_text(encoding="utf-8-sig")
    except LimnerError:
        raise
    except FileNotFoundError as error:
        raise LimnerError(f"{name!r} does not exist", remedy) from error
    except UnicodeDecodeError as error:
        raise LimnerError(f"{name!r} cannot be read: it is not text in UTF-8", remedy) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "its name is not valid"
        raise LimnerError(f"{name!r} cannot be read: {reason}", remedy) from error
    lines = list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
    if not lines:
        raise LimnerError(f"{name!r} holds no prompt", remedy)
    return lines


def suite(name: str, dataset: str | None = None) -> tuple[tuple[str, ...], str | None]:
    """The prompts of a suite, and the class word if the suite defines it; raises LimnerError.

    pets, marketing: for any subject. exam: 64 prompts of the starter's exam. dreambench: DreamBooth's prompts for the
    subject whose folder is `dataset`.
    """
    if name not in SUITES:
        raise unknown("suite", name, SUITES)
    if name == "dreambench":
        return _dreambench(dataset)
    if name == "exam":
        text = files("limner.core").joinpath("exam_prompts.txt").read_text(encoding="utf-8")
        return tuple(text.splitlines()), None
    return {"pets": PETS, "marketing": MARKETING}[name], None


def _dreambench(dataset: str | None) -> tuple[tuple[str, ...], str]:
    """Prompts and class word of a subject of DreamBooth's dataset (github.com/google/dreambooth)."""
    remedy = "give --dataset DREAMBENCH/SUBJECT, a folder of DreamBooth's dataset"
    if dataset is not None and dataset.startswith(("sha256:", "folder:")):
        problem = "the suite dreambench needs the file of prompts beside the dataset, which an upload does not have"
        raise LimnerError(problem, "give its prompts by --prompt")
    if dataset is None:
        raise LimnerError("the suite dreambench needs the folder of a subject", remedy)
    folder = expand_home(dataset).resolve()
    page = folder.parent / DREAMBENCH
    try:
        text = page.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise LimnerError(f"the prompts in {str(page)!r} cannot be read", remedy) from error
    classes = dict(line.split(",", 1) for line in text.splitlines() if re.fullmatch(r"\w+,[\w ]+", line))
    if folder.name not in classes:
        raise LimnerError(f"{folder.name!r} is not a subject of {str(page)!r}", remedy)
    class_word = classes[folder.name].strip()
    lists = [re.findall(r"'([^']*\{0\} \{1\}[^']*)'", part) for part in text.split("prompt_list")[1:]]
    if len(lists) != 2 or not all(lists):
        raise LimnerError(f"{str(page)!r} does not hold two lists of prompts", remedy)
    chosen = lists[class_word in ("dog", "cat")]
    return tuple(prompt.replace("{0} {1}", "{}") for prompt in chosen), class_word
