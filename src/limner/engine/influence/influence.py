"""InfluenceRequest -> influence.json and a page: which training pictures made a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from limner.core.errors import LimnerError
from limner.core.events import ArtifactKind, Emit, Made, Notice, Progress, Stage
from limner.core.files import quoted, read_file
from limner.core.influence import ExplainedImage, Influence, TrainingImage
from limner.core.requests import GenerateRequest, InfluenceRequest, TrainRequest
from limner.core.workspace import Workspace
from limner.data.sets.folder import Photograph, Scan, scan
from limner.data.sets.pixels import load_pictures
from limner.engine.influence import attribution
from limner.engine.influence.gradients import Gradients
from limner.engine.influence.restored import LESS_MEMORY, Taught, taught, training_of
from limner.engine.train.examples import Examples, encode
from limner.engine.train.loop import generator_for
from limner.engine.train.plan import Plan, make_plan
from limner.imaging.decode import open_photograph
from limner.models.adapters import Adapter, open_adapter
from limner.models.devices import autocast_dtype, memory_told
from limner.provenance.labels import Label, label_in
from limner.reports.render import embedded, write_page
from limner.store.files import atomic_folder, sha256_of

MOST, LEAST, SIDE = 6, 3, 160
"""How many training pictures are shown of each end, and how large in pixels."""


@dataclass(frozen=True)
class Wanted:
    """A picture and what tells it. painted_by: what painted it, where the adapter had no part in it."""

    photograph: Photograph
    prompt: str
    painted_by: str | None = None


def influence(request: InfluenceRequest, workspace: Workspace, emit: Emit) -> None:
    """Leave influence.json and influence.html in the workspace's out."""
    found = trace(request, workspace, emit)
    with atomic_folder(workspace.out) as partial:
        (partial / "influence.json").write_text(found.model_dump_json(indent=1) + "\n", encoding="utf-8")
        write_page(partial / "influence.html", "influence.html", **page_of(found, workspace))
    for what, name in (("influence", "influence.json"), ("page", "influence.html")):
        path = workspace.out / name
        details = {"verdict": found.verdict} if what == "page" else {}
        emit(Made(what=ArtifactKind(what), path=str(path), sha256=sha256_of(path), details=details))


def trace(request: InfluenceRequest, workspace: Workspace, emit: Emit) -> Influence:
    """The scores of an adapter's training pictures for the request's pictures, and what each of them is worth.

    Writes nothing. A request without pictures asks for the worth alone.
    """
    adapter = open_adapter(request.adapter)
    training, _ = training_of(adapter)
    learnt = training_pictures(adapter, training, request.data)
    asked = [each for place in request.picture for each in wanted(place, request.prompt, adapter)]
    for each in asked:
        if each.painted_by:
            text = f"{quoted(each.photograph.path)} was painted by {each.painted_by}, without {adapter.name!r}"
            emit(Notice(text=f"{text}: its scores tell likeness, and nobody's part in it", level="warning"))
    emit(Stage(name="loading"))
    with taught(adapter, request.model, request.vae, workspace.execution.device, request.precision, emit) as opened:
        plan = make_plan(training, learnt, opened.facts, opened.components.side)
        captions = [Wanted(photo, photo.caption or training.instance_prompt) for photo in learnt.photographs]
        kept = [each for index, each in enumerate(captions) if index not in plan.held_out]
        watched = [captions[index] for index in plan.held_out]
        features = features_of(request, opened, plan, (kept, watched, asked), workspace, emit)
    return told(request, adapter, opened, learnt, (kept, asked), features)


def training_pictures(adapter: Adapter, training: TrainRequest, data: str | None) -> Scan:
    """The pictures that an adapter learnt from, in the folder that it or the user names, to the bit."""
    remedy = "name the folder of its training pictures by --data"
    place = training.data if data is None else data
    try:
        found = scan(place)
    except LimnerError as error:
        problem = f"the training pictures of {adapter.name!r} are not to be had: {error.problem}"
        raise LimnerError(problem, remedy) from error
    dataset: Any = adapter.facts.get("dataset")
    if not isinstance(dataset, dict) or dataset.get("sha256") != found.digest:
        raise LimnerError(f"the pictures in {quoted(place)} are not those that {adapter.name!r} learnt from", remedy)
    return found


def wanted(place: str, prompt: str | None, adapter: Adapter | None = None) -> list[Wanted]:
    """A picture, or those in a folder, each with its prompt: by its label, by the request, by a text file beside."""
    found = []
    for photograph in scan(place).photographs:
        label = label_of(photograph.path)
        said = cast(GenerateRequest, label.request).prompt if label else prompt or photograph.caption
        if said is None:
            raise LimnerError(f"{quoted(photograph.path)} does not tell what it was painted from", "give its --prompt")
        found.append(Wanted(photograph, said, other_painter(label, adapter) if adapter else None))
    return found


def label_of(path: Path) -> Label | None:
    """The label of a picture that a prompt was painted to; None for any other."""
    try:
        label = label_in(read_file(path), path)
    except LimnerError:
        return None
    return label if label is not None and isinstance(label.request, GenerateRequest) else None


def other_painter(label: Label | None, adapter: Adapter) -> str | None:
    """What painted a picture, by its label, where the adapter had no part in it."""
    if label is None or any(mark["sha256"] == adapter.sha256 for mark in label.adapters):
        return None
    return " and ".join(mark["name"] for mark in label.adapters) or label.model["reference"]


def features_of(
    request: InfluenceRequest,
    opened: Taught,
    plan: Plan,
    groups: tuple[Sequence[Wanted], Sequence[Wanted], Sequence[Wanted]],
    workspace: Workspace,
    emit: Emit,
) -> list[np.ndarray]:
    """Features (n, k) of the pictures learnt from, of those held out, and of those asked for.

    Of what was learnt mirrored too, both views count.
    """
    autocast = autocast_dtype(request.precision, opened.components.device)
    gradients = Gradients(
        opened.model.family,
        opened.components,
        opened.trainable,
        plan.objective,
        request.output,
        request.timesteps,
        request.dimension,
        request.seed,
        autocast,
        opened.teaches_text,
    )
    emit(Stage(name="gradients", total=sum(map(len, groups))))
    found, done = [], 0
    views = (opened.request.flip, False, False)
    masks = (opened.request.masked, opened.request.masked, False)
    for group, flip, masked in zip(groups, views, masks, strict=True):
        rows = []
        for each in group:
            workspace.check()
            with memory_told(LESS_MEMORY):
                rows.append(gradients.of(encoded(each, opened, plan, request.seed, flip, masked)).double().numpy())
            emit(Progress(done=(done := done + 1)))
        found.append(np.stack(rows) if rows else np.zeros((0, len(found[0][0]))))
    return found


def encoded(each: Wanted, opened: Taught, plan: Plan, seed: int, flip: bool, masked: bool) -> Examples:
    """One picture as the loss takes it; all draw the same from the autoencoder, so that equal pixels stay equal."""
    pictures = load_pictures(Scan((each.photograph,)), plan.resolution, masked)
    rng = generator_for(seed, "posterior", 0)
    return encode(opened.model.family, opened.components, pictures, [each.prompt], flip, rng)


def told(
    request: InfluenceRequest,
    adapter: Adapter,
    opened: Taught,
    learnt: Scan,
    groups: tuple[Sequence[Wanted], Sequence[Wanted]],
    features: Sequence[np.ndarray],
) -> Influence:
    """All that is found out, from the features of the pictures learnt from, held out and asked for."""
    (kept, asked), (training, watched, pictures) = groups, features
    worths = attribution.worth(watched, training, request.ridge)
    said = [(None, None)] * len(kept)
    if worths is not None:
        said = list(zip(worths.tolist(), attribution.verdicts(worths), strict=True))
    rows = attribution.scores(pictures, training, request.ridge).tolist()
    return Influence(
        adapter=request.adapter,
        sha256=adapter.sha256,
        model=opened.model.reference,
        data=str(learnt.photographs[0].path.parent),
        output=request.output,
        timesteps=request.timesteps,
        ridge=request.ridge,
        seed=request.seed,
        judged_on=0 if worths is None else len(watched) + (len(kept) if len(kept) > 1 else 0),
        training=tuple(
            TrainingImage(
                picture=str(each.photograph.path),
                sha256=each.photograph.sha256,
                caption=each.prompt,
                worth=worth,
                verdict=verdict,
            )
            for each, (worth, verdict) in zip(kept, said, strict=True)
        ),
        pictures=tuple(
            ExplainedImage(
                picture=str(each.photograph.path),
                sha256=each.photograph.sha256,
                prompt=each.prompt,
                scores=tuple(row),
                painted_by=each.painted_by,
            )
            for each, row in zip(asked, rows, strict=True)
        ),
    )


def page_of(found: Influence, workspace: Workspace) -> dict[str, Any]:
    """What the page tells: pictures as `data:` URLs, with names and numbers."""
    seen: dict[str, str] = {}

    def show(path: str) -> str:
        if path not in seen:
            seen[path] = embedded(open_photograph(path), SIDE)
        return seen[path]

    def row(explained: ExplainedImage) -> dict[str, Any]:
        order = sorted(range(len(found.training)), key=lambda index: -explained.scores[index])
        most = [index for index in order[:MOST] if explained.scores[index] > 0]
        tail = [index for index in order if index not in most][-LEAST:]
        cells = [
            [
                {
                    "src": show(found.training[index].picture),
                    "name": Path(found.training[index].picture).name,
                    "score": f"{explained.scores[index]:+.2f}",
                }
                for index in part
            ]
            for part in (most, tail)
        ]
        return {
            "src": show(explained.picture),
            "name": "/".join(Path(explained.picture).parts[-2:]),
            "prompt": explained.prompt,
            "painted_by": explained.painted_by,
            "most": cells[0],
            "least": cells[1],
        }

    judged = sorted((each for each in found.training if each.worth is not None), key=lambda each: each.worth or 0.0)
    return {
        "title": "Which training pictures made this",
        "found": found,
        "rows": [row(each) for each in found.pictures],
        "judged": [
            {
                "src": show(each.picture),
                "name": Path(each.picture).name,
                "caption": each.caption,
                "worth": f"{each.worth:+.3f}",
                "verdict": each.verdict,
            }
            for each in judged
        ],
        "adapter": Path(workspace.called(found.adapter)).name,
    }
