"""Advice that improves a dataset for training, in sentences for the user."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from limner.core.datasets import SUBJECT_IMAGES
from limner.data.diversity.balance import NONE, ValueCounts
from limner.data.diversity.diversity import clusters, mean_distance
from limner.data.diversity.scenes import SceneDescription

APART = 0.6
"""Distance from which on backgrounds differ: of drawn images of one place 90% of pairs are below 0.4, of different
places 95% above 0.7; photographs of one place in DreamBench have 0.2 to 0.6."""
SHARED = 0.5
"""Share of the images above which a common background is a warning: the model learns it as part of the subject."""
VARIED = 1 / 3
"""Backgrounds are varied if the most frequent one has at most this share of the images."""
SAME_LUMA, SAME_WARMTH = 0.05, 5.0
"""Standard deviations of mean luma (0 to 1) and of CIELAB's b below which the light is the same. One exposure stop is
about 0.2 in luma, and from noon to sunset b changes by about 20."""
ALIKE_VIEWS = 0.69
"""Mean cosine of views from which on the subject is always seen from one side: drawn images from one side have 0.77,
from two sides 0.05 to 0.5."""
SMALL_SUBJECT = 0.1
"""Share of the image; at 512 pixels a smaller subject is less than 160 wide, about 20 cells of a latent."""
COPIES = 0.25
"""Share of near duplicates from which on they are a warning, because they count several times."""
ENOUGH = 3
"""The least number of images for statements about what they share."""

Level = Literal["good", "info", "warning"]


@dataclass(frozen=True, slots=True)
class Advice:
    """One sentence. pictures: indices of the images that it is about, empty if it is about all."""

    level: Level
    text: str
    pictures: tuple[int, ...] = ()


def advise_on_subject(
    scenes: Sequence[SceneDescription],
    copies: Sequence[int] = (),
    captions: Sequence[str | None] = (),
    licences: Sequence[str | None] = (),
    looked_at_faces: bool = False,
) -> list[Advice]:
    """Advice on images of one subject, warnings first, and then what hurts the result most.

    copies, captions, licences: one per image, or empty to skip the check; near duplicates have the same number in
    `copies`. looked_at_faces: whether a face detector was used.
    """
    found = [
        *on_number(len(scenes)),
        *([] if looked_at_faces else on_framing(scenes)),
        *on_copies(copies),
        *on_backgrounds(scenes),
        *on_views(scenes, looked_at_faces),
        *on_light(scenes),
        *on_captions(Counter(captions)),
        *on_licences([at for at, licence in enumerate(licences) if not licence], len(licences)),
    ]
    return sort_advice(found)


def advise_on_dataset(
    tables: Sequence[ValueCounts], captions: Counter[str | None] | None = None, unlicensed: int = 0, images: int = 0
) -> list[Advice]:
    """Advice on a large dataset, warnings first. tables: of fields to balance. unlicensed: images without licence."""
    found = [advice for table in tables for advice in on_balance(table)]
    found += on_captions(captions or Counter())
    found += on_licences([], images, unlicensed)
    return sort_advice(found)


def sort_advice(found: Sequence[Advice]) -> list[Advice]:
    """The advice in the order warnings, information, good."""
    return sorted(found, key=lambda advice: ("warning", "info", "good").index(advice.level))


def on_number(count: int) -> list[Advice]:
    """Advice on the number of images."""
    least, most = SUBJECT_IMAGES
    if count >= least:
        return []
    problem = "there is no image" if not count else f"there {'is' if count == 1 else 'are'} only {_images(count)}"
    return [Advice("warning", f"{problem}: use {least} to {most} of one subject")]


def on_copies(copies: Sequence[int]) -> list[Advice]:
    """Advice on near duplicates. copies: for each image the number of its group of near duplicates."""
    sizes = Counter(copies)
    many = tuple(at for at, group in enumerate(copies) if sizes[group] > 1)
    extra = len(copies) - len(sizes)
    if not extra or extra < COPIES * len(copies):
        return []
    return [
        Advice(
            "warning",
            f"{extra} of {_images(len(copies))} are nearly the same as another: they add little and count twice",
            many,
        )
    ]


def background_clusters(scenes: Sequence[SceneDescription]) -> np.ndarray:
    """The number of each image's background (n,); the most frequent one is 0."""
    if not scenes:
        return np.empty(0, dtype=np.int64)
    return clusters(np.stack([each.background for each in scenes]), APART)


def on_backgrounds(scenes: Sequence[SceneDescription]) -> list[Advice]:
    """Advice on backgrounds that many images share."""
    if len(scenes) < ENOUGH:
        return []
    labels = background_clusters(scenes)
    sharing = tuple(np.flatnonzero(labels == 0).tolist())
    total = len(scenes)
    if len(sharing) > SHARED * total:
        who = "all images" if len(sharing) == total else f"{len(sharing)} of {_images(total)}"
        problem = f"{who} share one background: add others, or the model learns it with the subject"
        return [Advice("warning", problem, sharing)]
    if len(sharing) <= max(1, VARIED * total):
        return [Advice("good", f"{_images(total)} show about {int(labels.max()) + 1} backgrounds")]
    return []


def on_light(scenes: Sequence[SceneDescription]) -> list[Advice]:
    """Advice on light that all images share."""
    if len(scenes) < ENOUGH:
        return []
    lumas, warmths = np.array([(each.light.luma, each.light.warmth) for each in scenes]).T
    if lumas.std() < SAME_LUMA and warmths.std() < SAME_WARMTH:
        return [Advice("info", "all images seem to be in the same light: add some brighter, darker or warmer ones")]
    return []


def view_similarity(scenes: Sequence[SceneDescription]) -> float:
    """The mean cosine of the views of two images; NaN if fewer than two images have one."""
    views = [each.view for each in scenes if each.view.any()]
    return 1 - mean_distance(np.stack(views)) if len(views) > 1 else float("nan")


def on_views(scenes: Sequence[SceneDescription], faces: bool = False) -> list[Advice]:
    """Advice on views of the subject. faces: whether the subjects are faces, which have expressions."""
    if len(scenes) < ENOUGH or not np.isfinite(alike := view_similarity(scenes)):
        return []
    if alike >= ALIKE_VIEWS:
        what, more = ("face", "expressions and angles") if faces else ("subject", "angles and poses")
        return [Advice("info", f"the {what} looks much the same in all images: add other {more}")]
    return [Advice("good", "the face differs from image to image: expressions or angles vary")] if faces else []


def on_framing(scenes: Sequence[SceneDescription]) -> list[Advice]:
    """Advice on subjects that are small in the image."""
    small = tuple(at for at, each in enumerate(scenes) if each.framing.share < SMALL_SUBJECT)
    if not small:
        return []
    return [
        Advice(
            "warning",
            f"the subject fills less than {SMALL_SUBJECT:.0%} of {_images(len(small))}: crop closer",
            small,
        )
    ]


def on_captions(captions: Counter[str | None]) -> list[Advice]:
    """Advice on missing and equal captions. captions: number of images by caption, None for no caption."""
    total, written = captions.total(), sum(count for text, count in captions.items() if text)
    if total < ENOUGH:
        return []
    if written < total:
        return [Advice("warning" if written else "info", f"{total - written} of {_images(total)} have no caption")]
    if len(captions) == 1:
        return [Advice("info", "all captions are the same: describe what differs, such as the background")]
    return []


def on_licences(without: Sequence[int], total: int, count: int | None = None) -> list[Advice]:
    """Advice on unknown licences. without: indices of these images; count: their number if indices are not known."""
    missing = len(without) if count is None else count
    if not missing:
        return []
    if missing == total:
        problem, pictures = "no licence is known for any image", ()
    else:
        problem, pictures = f"the licence is not known for {missing} of {_images(total)}", tuple(without)
    return [Advice("info", f"{problem}: set it with --licence if you may use them", pictures)]


def on_balance(table: ValueCounts) -> list[Advice]:
    """Advice on over-represented groups of one field, or of several fields together."""
    groups, total = len(table.rows), table.total
    found: list[Advice] = []
    for value, count in table.over:
        weight, kept = total / (groups * count), groups * table.rows[-1][1]
        found.append(
            Advice(
                "warning",
                f"{table.field}: {value!r} has {count:,} of {_images(total)} ({count / total:.0%}), "
                f"{count * groups / total:.1f} times an equal share; --balance weights would count each "
                f"{weight:.2f} times, --balance sample would keep {kept:,} of all",
            )
        )
    missing = dict(table.rows).get(NONE, 0)
    if missing and groups > 1:
        found.append(Advice("info", f"{table.field}: not known for {missing:,} of {_images(total)}"))
    if groups > 1 and not table.over and not missing:
        found.append(Advice("good", f"{table.field}: {groups} groups, as diverse as {table.effective:.1f} equal ones"))
    return found


def _images(count: int) -> str:
    return f"{count:,} image{'s' * (count != 1)}"
