"""PrepareRequest -> a folder with a dataset and its report."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from limner.core.datasets import Fault
from limner.core.errors import LimnerError
from limner.core.events import ArtifactKind, Emit, Made, Notice, Progress, Stage
from limner.core.execution import body_of
from limner.core.requests import PrepareRequest, replace_references
from limner.core.requests.request import digest_of
from limner.core.workspace import Workspace
from limner.data.captions import caption_file
from limner.data.diversity.diversity import outliers
from limner.data.entries.places import held_bytes
from limner.data.entries.text_tables import read_field_table
from limner.data.entries.unpacked_sizes import HELD_BYTES
from limner.engine.prepare.captions import Spoken, speaker_of, words_of
from limner.engine.prepare.columns import Gathered, gather
from limner.engine.prepare.diversity import variety_of
from limner.engine.prepare.duplicates import copies_of, shared_mark
from limner.engine.prepare.entries import check_sources, entries_of
from limner.engine.prepare.features import features_of
from limner.engine.prepare.image import crashed, prepared
from limner.engine.prepare.moderated import screened
from limner.engine.prepare.plan import Plan, digest_of_reading, plan_of
from limner.engine.prepare.pool import Crew, mapped
from limner.engine.prepare.process_pool import Processes
from limner.engine.prepare.ray_pool import RayCrew
from limner.engine.prepare.rows import tell
from limner.engine.prepare.splits import choose
from limner.engine.prepare.staging import Staging
from limner.engine.prepare.write import fill
from limner.engine.scoring.encoders import open_encoder
from limner.plugins.registry import detectors
from limner.store.files import atomic_folder, check_replaceable, sha256_of

REPORT = "report.html"


def crew_of(executor: Literal["processes", "ray"], workers: int) -> Crew:
    """Processes of this machine, or of a Ray cluster (RAY_ADDRESS) or a local one."""
    if executor == "ray":
        return RayCrew(workers)
    return Processes(workers)


def prepare(request: PrepareRequest, workspace: Workspace, emit: Emit) -> None:
    """Read, judge, cut, compare, tell and write. What was read before an interruption is not read again."""
    workers = workers_of(workspace, emit)
    check(request, workspace)
    table = None if request.fields is None else read_field_table(Path(request.fields))
    edits = {} if request.captions is None else caption_file.read_captions(Path(request.captions))
    out = workspace.out
    staging = Staging(out)
    with staging.opened(), crew_of(workspace.execution.executor, workers) as crew:
        staging.begin(digest_of_reading(request))
        plan = plan_of(request, staging.pictures)
        emit(Stage(name="reading pictures"))
        fresh = screened(staging.unread(entries_of(request, table, workspace)), workspace.screen)
        records = mapped(
            partial(prepared, plan=plan), fresh, crew, workers, crashed, lambda job: held_bytes(job[1]), HELD_BYTES
        )
        done = 0
        for done, _ in enumerate(staging.add(records), 1):
            emit(Progress(done=done))
            workspace.check()
        emit(Progress(done=done, total=max(1, done)))
        if table is not None and table.unused:
            emit(Notice(text=_unmet(table.unused, "--fields"), level="warning"))
        gathered = gather(staging)
        if not len(gathered):
            problem = _nothing(staging)
            staging.forget()
            raise problem
        features = features_for(request, gathered, workspace, emit)
        emit(Stage(name="comparing"))
        wrong, family = compared(plan, gathered, features)
        staying = np.array([at for at in range(len(gathered)) if not plan.drops(wrong.get(at, ()))])
        spoken = spoken_of(request, gathered, staying, workspace, emit)
        told = tell(gathered, staying, spoken, edits, request)
        if workspace.screen is not None:
            workspace.screen.admit_captions(line.caption for line in told.lines() if line.caption)
        if request.caption is not None and not told.origins.get("template"):
            text = (
                f"no picture has all that the template of captions needs; fields are: {', '.join(told.names) or 'none'}"
            )
            emit(Notice(text=text, level="warning"))
        if strangers := caption_file.unknown_images(edits, (telling.key for telling in told.lines())):
            emit(Notice(text=_unmet(strangers, "--captions"), level="warning"))
        columns = gathered.columns
        choice = choose(told.keys, family[staying], told.groups, told.repeats, columns.sharpness[staying], request)
        mark = shared_mark(len(gathered), gathered.glimpse)
        variety = variety_of(gathered, staying, choice.kept, features, family, told, mark, request)
        with atomic_folder(out) as folder:
            asked = replace_references(request, lambda place: _shown(workspace.called(place)))
            asked = body_of(asked, workspace.execution)
            story = fill(folder, out.name, asked, plan, gathered, wrong, staying, told, choice, variety, crew, emit)
    staging.remove()
    details = {"verdict": story.verdict, "pictures": story.kept}
    page = out / REPORT
    emit(Made(what=ArtifactKind.REPORT, path=str(page), sha256=sha256_of(page), details=details))
    emit(Made(what=ArtifactKind.DATASET, path=str(out), sha256=sha256_of(out), details=details))


def check(request: PrepareRequest, workspace: Workspace) -> None:
    """Refuse now what could not be done after all was read."""
    check_sources(request, workspace.out)
    check_replaceable(workspace.out)
    if request.crop == "subject" or request.make_masks:
        detectors.get(request.detector).finder(request.detector_model)
    if request.encoder is not None:
        open_encoder(request.encoder)
    if request.captioner is not None:
        speaker_of(request.captioner, workspace.execution.device)


def workers_of(workspace: Workspace, emit: Emit) -> int:
    """How many processes read pictures; raises LimnerError for an executor that a queued run may not use."""
    wanted, most = workspace.execution.workers or os.cpu_count() or 1, workspace.processes
    if most is None:
        return wanted
    if (executor := workspace.execution.executor) != "processes":
        raise LimnerError(f"a queued run cannot use the executor {executor!r}", "leave the executor out")
    if wanted > most:
        emit(Notice(text=f"{most} processes read pictures, not {wanted}: a queued run starts one for each core"))
    return min(wanted, most)


def features_for(request: PrepareRequest, gathered: Gathered, workspace: Workspace, emit: Emit) -> np.ndarray | None:
    """Pictures as an encoder sees them, (n, d); None where none is asked."""
    if request.encoder is None:
        return None
    name = digest_of([request.encoder, gathered.staging.digest()])[:16]
    place = gathered.staging.folder / f"features-{name}.bin"
    return features_of(len(gathered), gathered.picture, request.encoder, place, workspace, emit)


def compared(
    plan: Plan, gathered: Gathered, features: np.ndarray | None
) -> tuple[Mapping[int, tuple[Fault, ...]], np.ndarray]:
    """What is wrong with pictures beside others, by their places, and which are copies of each other, (n,)."""
    likeness = plan.limits.get("near_duplicate")
    strange = {} if features is None or "outlier" not in plan.limits else outliers(features, plan.limits["outlier"])
    copies = copies_of(gathered.columns, likeness, features, strange, gathered.key, gathered.glimpse)
    both = copies.faults.keys() | strange.keys()
    wrong = {at: (*copies.faults.get(at, ()), *([strange[at]] if at in strange else [])) for at in sorted(both)}
    return wrong, copies.family


def spoken_of(
    request: PrepareRequest, gathered: Gathered, staying: np.ndarray, workspace: Workspace, emit: Emit
) -> Spoken | None:
    """What a captioner says of the pictures that stay, where one is asked."""
    if request.captioner is None:
        return None
    words = (request.captioner, request.identifier, request.class_word)
    name = digest_of([*words, gathered.staging.digest(), staying.tolist()])[:16]
    spoken = Spoken(gathered.staging.folder / f"spoken-{name}.jsonl")

    def job(row: int) -> tuple[Path, str | None]:
        record = gathered.record(int(staying[row]))
        words = " ".join(filter(None, words_of(record.fields, request)))
        return gathered.staging.pictures / str(record.picture), words or None

    spoken.fill(len(staying), job, request, workspace, emit)
    return spoken


def _shown(place: str) -> str:
    """A reference without the folders of this machine, for a dataset may be handed on."""
    return Path(place).name if Path(place).exists() else place


def _unmet(names: Sequence[str], flag: str) -> str:
    """What is said of rows that are of no picture."""
    shown = ", ".join(map(repr, names[:3])) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"rows of {flag} that are of no picture in the dataset: {shown}"


def _nothing(staging: Staging) -> LimnerError:
    """The line for sources without one usable picture: with the first three reasons."""
    reasons = [fault.told for record in staging.records() for fault in record.faults]
    more = f" | and {len(reasons) - 3} more" if len(reasons) > 3 else ""
    said = f": {' | '.join(reasons[:3])}{more}" if reasons else ""
    return LimnerError(f"no picture is left{said}", "give other pictures, or other limits (--limit, --flag)")
