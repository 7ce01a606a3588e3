"""The verdict of a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import comb

from limner.core.metrics import MetricResult
from limner.core.requests import Axis
from limner.core.text import shorten
from limner.engine.scoring.evidence import Evidence
from limner.engine.sweep.best_guidance import FIDELITY, best_guidance
from limner.engine.sweep.edge import edge_of
from limner.engine.sweep.result import SweepResult

MORE = "ask for more images by --seeds"
INSTEAD = "look at the images, or name another metric by --metric"
_CANNOT = "Cannot tell which value of {} is best"


def verdict(result: SweepResult) -> str:
    """The recommendation and its reason, or why there is none and what would be enough.

    For each setting that varies: the best guidance, or the best value by the first metric that agrees with the truth.
    That is prompt fidelity alone if the request names no metric. Prompts and seeds are judged only if nothing else
    varies.
    """
    axes = judged_axes(result)
    tests = sum(comb(len(axis.values), 2) for axis in axes)
    best = best_guidance(result, tests)
    if best is not None and len(axes) == 1:
        return best.reason
    directed = {name: score for name, score in result.metrics.items() if score.better is not None}
    if not directed:
        return f"Cannot tell which value is best: none of the metrics has a better direction; {INSTEAD}."
    trusted = [name for name in directed if name not in result.doubts and (result.request.metric or name == FIDELITY)]
    name = (trusted or list(directed))[0]
    sentences = {axis.field: _verdict_by(result, axis, name, directed[name], tests) for axis in axes}
    if best is not None:
        sentences["guidance"] = best.reason
    return _joined(sentences)


def judged_axes(result: SweepResult) -> tuple[Axis, ...]:
    """The axes with several values, without prompts and seeds; the first axis if there is none."""
    axes = result.request.axes
    return tuple(each for each in axes if len(each.values) > 1 and each.field not in ("prompt", "seed")) or axes[:1]


def _joined(sentences: Mapping[str, str]) -> str:
    """The sentences about settings. Several that have no verdict for the same reason share one."""
    found: dict[str, list[str]] = {}
    for field, sentence in sentences.items():
        found.setdefault(sentence.removeprefix(_CANNOT.format(field)), []).append(field)
    return " ".join(
        _CANNOT.format(" or ".join(fields)) + rest if sentences[fields[0]] != rest else rest
        for rest, fields in found.items()
    )


def _verdict_by(result: SweepResult, axis: Axis, name: str, score: MetricResult, tests: int) -> str:
    """The best value of an axis by one metric. tests: the number of differences that are judged."""
    cannot = _CANNOT.format(axis.field)
    along = zip(axis.values, result.along(axis, name), strict=True)
    complete = [(value, values) for value, values in along if len(values)]
    if not complete or len({len(values) for _, values in complete}) > 1:
        return f"{cannot}: images were withheld by moderation; look at the remaining images."
    sign = 1 if score.better == "higher" else -1
    ranked = sorted(complete, key=lambda each: -sign * float(each[1].mean()))
    (best, best_values), *others = ranked
    listed = (
        f"{score.title} {', '.join(f'{shorten(value, 48)} {float(values.mean()):.3f}' for value, values in ranked)}"
    )
    if not others:
        return f"{listed[:1].upper()}{listed[1:]}."
    doubt, smallest = result.doubts.get(name), result.smallest.get(name, 0.0)
    found = [(value, Evidence.of(values, best_values, tests, doubt, smallest)) for value, values in others]
    worse = [value for value, evidence in found if evidence.sufficient]
    alike = [value for value, evidence in found if evidence.negligible]
    open_ = [(value, evidence) for value, evidence in found if not (evidence.sufficient or evidence.negligible)]
    lack = (open_ or found)[0][1].lack("pairs of images", MORE, INSTEAD)
    if not worse:
        figures = "" if name in result.doubts else f" ({listed})"
        return f"{cannot}{figures}: {lack}."
    rest = _listed(worse) if open_ or alike else "all others"
    edge = edge_of(axis, best)
    known = f"Of {axis.field}, {shorten(best, 48)} is better by {score.title} than {rest} ({listed})."
    equal = f"Between it and {_listed(alike)} there is no difference that matters." if alike else None
    doubts = (
        f"Cannot tell whether it is better than {_listed([value for value, _ in open_])}: {lack}." if open_ else None
    )
    return " ".join(filter(None, (known, equal, doubts, edge)))


def _listed(values: Sequence[str]) -> str:
    return ", ".join(shorten(value, 48) for value in values)
