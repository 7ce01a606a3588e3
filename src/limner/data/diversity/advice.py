"""What would make a set of pictures better to learn from, in plain words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from limner.data.diversity.balance import NONE, ValueCounts
from limner.data.diversity.diversity import clusters, mean_distance
from limner.data.diversity.scenes import SceneDescription

FEW = 5
"""Pictures of a subject; DreamBooth's own sets have 4 to 6 (arXiv 2208.12242), and with fewer all that they share by
accident is learnt."""
APART = 0.6
"""Distance of backgrounds from which on they are different ones: on painted pictures of one place 90% of pairs are
below 0.4, of different places 95% above 0.7; on DreamBench's photographs one place gives 0.2 to 0.6."""
SHARED = 0.5
"""Share of the pictures above which one background is told: what most show is learnt as the subject's own."""
VARIED = 1 / 3
"""Share of the pictures to which at most the most frequent background comes where variety is called good."""
SAME_LUMA, SAME_WARMTH = 0.05, 5.0
"""Standard deviations of mean luma (0 to 1) and of CIELAB's b below which the light is the same; one exposure stop is
about 0.2 in luma, and from noon to sunset b moves by some 20."""
ALIKE_VIEWS = 0.69
"""Mean cosine of two views from which on the subject is seen from one side: painted ones from one side have 0.77,
from two different ones 0.05 to 0.5."""
SMALL_SUBJECT = 0.1
"""Share of the picture; at 512 pixels a smaller subject is less than 160 wide, some 20 cells of a latent."""
COPIES = 0.25
"""Share of the pictures that are near-copies of another from which on it is told: these count several times over."""
LOOKED = 3
"""Pictures from which on it can be said what they share."""

Level = Literal["good", "info", "warning"]


@dataclass(frozen=True, slots=True)
class Advice:
    """pictures: the places of those that it is about, empty where it is about all."""

    level: Level
    text: str
    pictures: tuple[int, ...] = ()


def advise_on_subject(
    seen: Sequence[SceneDescription],
    copies: Sequence[int] = (),
    captions: Sequence[str | None] = (),
    licences: Sequence[str | None] = (),
    looked_at_faces: bool = False,
) -> list[Advice]:
    """On pictures of one subject, warnings first. copies, captions, licences: one for each, or none where it is not
    looked at; the same number in `copies` for near-copies of each other.
    """
    found = [
        *on_number(len(seen)),
        *on_copies(copies),
        *on_backgrounds(seen),
        *on_light(seen),
        *on_views(seen, looked_at_faces),
        *([] if looked_at_faces else on_framing(seen)),
        *on_captions(Counter(captions)),
        *on_licences([at for at, licence in enumerate(licences) if not licence], len(licences)),
    ]
    if seen and not looked_at_faces:
        found.append(Advice("info", "expressions were not looked at: that needs a detector of faces"))
    return sort_advice(found)


def advise_on_dataset(
    tables: Sequence[ValueCounts], captions: Counter[str | None] | None = None, unlicensed: int = 0, pictures: int = 0
) -> list[Advice]:
    """On a set of many, warnings first. tables: of the fields to balance by. unlicensed: pictures without licence."""
    found = [advice for table in tables for advice in on_balance(table)]
    found += on_captions(captions or Counter())
    found += on_licences([], pictures, unlicensed)
    return sort_advice(found)


def sort_advice(found: Sequence[Advice]) -> list[Advice]:
    """Warnings first, then what is only told, then what is good."""
    return sorted(found, key=lambda advice: ("warning", "info", "good").index(advice.level))


def on_number(count: int) -> list[Advice]:
    if count >= FEW:
        return []
    told = "there is no picture" if not count else f"there {'is' if count == 1 else 'are'} only {_pictures(count)}"
    return [Advice("warning", f"{told}: {FEW} to 20 of one subject teach it better")]


def on_copies(copies: Sequence[int]) -> list[Advice]:
    """copies: for each picture the number of its group of near-copies."""
    sizes = Counter(copies)
    many = tuple(at for at, group in enumerate(copies) if sizes[group] > 1)
    extra = len(copies) - len(sizes)
    if not extra or extra < COPIES * len(copies):
        return []
    return [
        Advice(
            "warning",
            f"{extra} of {_pictures(len(copies))} are nearly the same as another: they teach little and count double",
            many,
        )
    ]


def background_clusters(seen: Sequence[SceneDescription]) -> np.ndarray:
    """The number of each picture's background (n,), the most frequent one 0."""
    if not seen:
        return np.empty(0, dtype=np.int64)
    return clusters(np.stack([each.background for each in seen]), APART)


def on_backgrounds(seen: Sequence[SceneDescription]) -> list[Advice]:
    if len(seen) < LOOKED:
        return []
    labels = background_clusters(seen)
    sharing = tuple(np.flatnonzero(labels == 0).tolist())
    if len(sharing) > SHARED * len(seen):
        who = "all pictures" if len(sharing) == len(seen) else f"{len(sharing)} of {_pictures(len(seen))}"
        return [Advice("warning", f"{who} share one background: add others, or it is learnt with the subject", sharing)]
    if len(sharing) <= max(1, VARIED * len(seen)):
        return [Advice("good", f"{_pictures(len(seen))} show about {int(labels.max()) + 1} backgrounds")]
    return []


def on_light(seen: Sequence[SceneDescription]) -> list[Advice]:
    if len(seen) < LOOKED:
        return []
    lumas, warmths = np.array([(each.light.luma, each.light.warmth) for each in seen]).T
    if lumas.std() < SAME_LUMA and warmths.std() < SAME_WARMTH:
        return [Advice("info", "all pictures seem to be in the same light: add some brighter, darker or warmer ones")]
    return []


def alike_views(seen: Sequence[SceneDescription]) -> float:
    """The mean cosine of how the subject looks in two pictures; NaN where fewer than two tell."""
    views = [each.view for each in seen if each.view.any()]
    return 1 - mean_distance(np.stack(views)) if len(views) > 1 else float("nan")


def on_views(seen: Sequence[SceneDescription], faces: bool = False) -> list[Advice]:
    """faces: whether it is faces that were found, of which expressions are a part of how they look."""
    if len(seen) < LOOKED or not np.isfinite(alike := alike_views(seen)):
        return []
    if alike >= ALIKE_VIEWS:
        what, more = ("face", "expressions and angles") if faces else ("subject", "angles and poses")
        return [Advice("info", f"the {what} looks much the same in all pictures: add other {more}")]
    return (
        [Advice("good", "the face looks different from picture to picture: expressions or angles vary")]
        if faces
        else []
    )


def on_framing(seen: Sequence[SceneDescription]) -> list[Advice]:
    small = tuple(at for at, each in enumerate(seen) if each.framing.share < SMALL_SUBJECT)
    if not small:
        return []
    return [
        Advice(
            "warning",
            f"the subject fills less than {SMALL_SUBJECT:.0%} of {_pictures(len(small))}: crop closer",
            small,
        )
    ]


def on_captions(captions: Counter[str | None]) -> list[Advice]:
    """captions: how many pictures have each, None for none."""
    total, written = captions.total(), sum(count for text, count in captions.items() if text)
    if total < LOOKED:
        return []
    if written < total:
        return [Advice("warning" if written else "info", f"{total - written} of {_pictures(total)} have no caption")]
    if len(captions) == 1:
        return [Advice("info", "all captions are the same: tell what differs, such as the background, or it is learnt")]
    return []


def on_licences(without: Sequence[int], total: int, count: int | None = None) -> list[Advice]:
    """without: the places of those whose licence is not known. count: how many, where their places are not kept."""
    missing = len(without) if count is None else count
    if not missing:
        return []
    who = f"{missing} of {_pictures(total)}" if missing < total else "any picture"
    verb = "is known for" if missing == total else "is not known for"
    told = f"no licence {verb} {who}" if missing == total else f"the licence {verb} {who}"
    return [Advice("warning", f"{told}: tell it by --licence, if they are yours to use", tuple(without))]


def on_balance(table: ValueCounts) -> list[Advice]:
    """On the groups of one field, or of several together."""
    groups, total = len(table.rows), table.total
    found: list[Advice] = []
    for value, count in table.over:
        weight, kept = total / (groups * count), groups * table.rows[-1][1]
        found.append(
            Advice(
                "warning",
                f"{table.field}: {value!r} has {count:,} of {_pictures(total)} ({count / total:.0%}), "
                f"{count * groups / total:.1f} times an equal share; --balance weights would count each "
                f"{weight:.2f} times, --balance sample would keep {kept:,} of all",
            )
        )
    missing = dict(table.rows).get(NONE, 0)
    if missing and groups > 1:
        found.append(Advice("info", f"{table.field}: it is not told for {missing:,} of {_pictures(total)}"))
    if groups > 1 and not table.over and not missing:
        found.append(Advice("good", f"{table.field}: {groups} groups, as even as {table.effective:.1f} equal ones"))
    return found


def _pictures(count: int) -> str:
    return f"{count:,} picture{'s' * (count != 1)}"
