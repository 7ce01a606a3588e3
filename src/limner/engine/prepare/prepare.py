"""Carries out a PrepareRequest: reads images from all sources, and writes a dataset and its report."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from limner.core.errors import LimnerError
from limner.core.events import ArtifactCreated, ArtifactKind, Emit, Notice, Progress, Stage
from limner.core.execution import body_of
from limner.core.requests import PrepareRequest, replace_references
from limner.core.requests.request import digest_of
from limner.core.workspace import Workspace
from limner.data.captions import caption_file
from limner.data.captions.catalogue import Catalogue, read_catalogue
from limner.data.entries.byte_sources import held_bytes
from limner.data.entries.text_tables import FieldTable, read_field_table
from limner.data.entries.unpacked_sizes import HELD_BYTES
from limner.engine.prepare.captions import (
    CaptionTable,
    caption_images,
    missing_fields,
    open_captioner,
    run_captioner,
    unlisted_values,
)
from limner.engine.prepare.columns import StagedImages, encode_images, read_journal
from limner.engine.prepare.dataset import CAPTIONS, write_dataset
from limner.engine.prepare.diversity import measure_diversity
from limner.engine.prepare.duplicates import compare_images
from limner.engine.prepare.entries import check_sources, entries_of, screened
from limner.engine.prepare.image import crashed_record, prepare_image
from limner.engine.prepare.plan import ImagePlan, plan_of, reading_digest
from limner.engine.prepare.pool import WorkerPool, map_in_order, open_pool
from limner.engine.prepare.report import NUMBERS, PAGE
from limner.engine.prepare.splits import choose_splits
from limner.engine.prepare.staging import Staging
from limner.engine.prepare.summary import DatasetContents
from limner.engine.scoring.encoders import open_encoder
from limner.models.devices import pick_device
from limner.plugins.registry import detectors
from limner.store.files import atomic_folder, check_replaceable, sha256_of


def prepare(request: PrepareRequest, workspace: Workspace, emit: Emit) -> None:
    """Write the dataset. Images that were read before an interruption are not read again."""
    out, staging = workspace.out, Staging(workspace.out)
    if not staging.has_written(request.digest):
        _write(request, staging, workspace, emit)
    staging.remove()
    report = json.loads((out / NUMBERS).read_text(encoding="utf-8"))
    details = {"verdict": report["verdict"], "pictures": report["pictures"]}
    for what, path in ((ArtifactKind.REPORT, out / PAGE), (ArtifactKind.DATASET, out)):
        emit(ArtifactCreated(what=what, path=str(path), sha256=sha256_of(path), details=details))


def _write(request: PrepareRequest, staging: Staging, workspace: Workspace, emit: Emit) -> None:
    workers = worker_count(workspace, emit)
    check(request, workspace)
    table = None if request.fields is None else read_field_table(Path(request.fields))
    edits = {} if request.captions is None else caption_file.read_captions(Path(request.captions))
    catalogue = read_catalogue(request.catalogue)
    with staging.opened(), open_pool(workspace.execution.executor, workers) as pool:
        staging.begin(reading_digest(request))
        plan = plan_of(request, staging.pictures)
        staged = _read_images(request, plan, table, staging, pool, workers, workspace, emit)
        contents = _analyse(request, plan, staged, edits, catalogue, workspace, emit)
        with atomic_folder(workspace.out, lambda _: False) as folder:
            write_dataset(folder, contents, pool, emit)
            staging.note_written(request.digest)


def check(request: PrepareRequest, workspace: Workspace) -> None:
    """Raise LimnerError now for what would fail after all images were read."""
    check_sources(request, workspace.out)
    check_out(workspace.out, request.captions)
    if request.crop == "subject" or request.make_masks:
        detectors.get(request.detector).finder(request.detector_model)
    if request.encoder is not None:
        open_encoder(request.encoder, pick_device(workspace.execution.device))
    if request.captioner is not None:
        open_captioner(request.captioner, workspace.execution.device)


def check_out(out: Path, captions: str | None = None) -> None:
    """Raise LimnerError unless out is absent or empty: an earlier dataset may have been edited.

    captions: the file of edited captions that the request names.
    """
    try:
        check_replaceable(out, lambda _: False)
    except LimnerError as error:
        if captions is not None or not os.path.isfile(edited := out / CAPTIONS):
            raise
        remedy = f"{error.remedy}; to use its edited captions, add --captions {shlex.quote(str(edited))}"
        raise LimnerError(error.problem, remedy) from error


def worker_count(workspace: Workspace, emit: Emit) -> int:
    """The number of processes that read images. Raises LimnerError for an executor that a queued run may not use."""
    wanted, most = workspace.execution.workers or os.cpu_count() or 1, workspace.processes
    if most is None:
        return wanted
    if (executor := workspace.execution.executor) != "processes":
        raise LimnerError(f"a queued run cannot use the executor {executor!r}", "leave the executor out")
    if wanted > most:
        emit(Notice(text=f"{most} processes read images, not {wanted}: a queued run starts one for each core"))
    return min(wanted, most)


def _read_images(
    request: PrepareRequest,
    plan: ImagePlan,
    table: FieldTable | None,
    staging: Staging,
    pool: WorkerPool,
    workers: int,
    workspace: Workspace,
    emit: Emit,
) -> StagedImages:
    """Read, check, crop and write the images of all sources. Raises LimnerError if none is usable."""
    emit(Stage(name="reading images"))
    jobs = screened(staging.unread(entries_of(request, table, workspace)), workspace.screen)
    records = map_in_order(
        partial(prepare_image, plan=plan),
        jobs,
        pool,
        workers,
        crashed_record,
        weight=lambda job: held_bytes(job[1]),
        max_weight=HELD_BYTES,
    )
    done = 0
    for done, _ in enumerate(staging.add(records), 1):
        emit(Progress(done=done))
        workspace.check()
    emit(Progress(done=done, total=max(1, done)))
    if table is not None and table.unused:
        emit(_unused_rows(table.unused, "--fields"))
    staged = read_journal(staging)
    if not len(staged):
        error = _no_images(staging)
        staging.clear()
        raise error
    return staged


def _analyse(
    request: PrepareRequest,
    plan: ImagePlan,
    staged: StagedImages,
    edits: dict[str, str],
    catalogue: Catalogue,
    workspace: Workspace,
    emit: Emit,
) -> DatasetContents:
    """Compare the images with each other, caption them and assign them to splits. edits: captions by key."""
    features = _features(request, staged, workspace, emit)
    emit(Stage(name="comparing"))
    comparison = compare_images(plan, staged, features)
    remaining = np.array([at for at in range(len(staged)) if not plan.drops(comparison.faults.get(at, ()))])
    generated = run_captioner(request, staged, remaining, workspace, emit)
    captions = caption_images(staged, remaining, generated, edits, request)
    _check_captions(captions, staged.staging, edits, catalogue, request, workspace, emit)
    family, sharpness = comparison.family[remaining], staged.columns.sharpness[remaining]
    splits = choose_splits(captions.keys, family, captions.groups, captions.repeats, sharpness, request)
    diversity = measure_diversity(staged, remaining, splits.kept, features, comparison.family, captions, request)
    relocated = replace_references(request, lambda path: _without_folders(workspace.called(path)))
    return DatasetContents(
        name=workspace.out.name,
        request=body_of(relocated, workspace.execution),
        plan=plan,
        staged=staged,
        faults=comparison.faults,
        remaining=remaining,
        captions=captions,
        splits=splits,
        diversity=diversity,
    )


def _features(request: PrepareRequest, staged: StagedImages, workspace: Workspace, emit: Emit) -> np.ndarray | None:
    """The features of all written images by the request's encoder, (n, d); None without one."""
    if request.encoder is None:
        return None
    name = digest_of([request.encoder, staged.staging.digest()])[:16]
    place, device = staged.staging.folder / f"features-{name}.bin", pick_device(workspace.execution.device)
    return encode_images(len(staged), staged.path, request.encoder, device, place, workspace, emit)


def _check_captions(
    captions: CaptionTable,
    staging: Staging,
    edits: dict[str, str],
    catalogue: Catalogue,
    request: PrepareRequest,
    workspace: Workspace,
    emit: Emit,
) -> None:
    """Moderate the captions, and warn of a template or of edits that were not used, and of values that are not in the
    catalogue. Raises LimnerError for a misspelt field of the template.
    """
    if workspace.screen is not None:
        workspace.screen.admit_captions(image.caption for image in captions.rows() if image.caption)
    there_are = f"there are: {', '.join(captions.names) or 'none'}"
    if missing := missing_fields(request, captions, catalogue, staging.records()):
        text = f"no image has the field {missing[0]!r} of the caption template"
        text = text if len(missing) == 1 else f"no image has the fields {', '.join(missing)} of the caption template"
        emit(Notice(text=f"{text}; {there_are}", level="warning"))
    elif request.caption is not None and not captions.origins.get("template"):
        text = f"no image has all fields that the caption template needs; {there_are}"
        emit(Notice(text=text, level="warning"))
    if strangers := caption_file.unknown_images(edits, (image.key for image in captions.rows())):
        emit(_unused_rows(strangers, "--captions"))
    if unlisted := unlisted_values(captions, catalogue):
        emit(_unlisted_values(unlisted, catalogue))


def _without_folders(path: str) -> str:
    """A reference without the folders of this machine, because a dataset may be passed on."""
    return Path(path).name if Path(path).exists() else path


def _unused_rows(names: Sequence[str], flag: str) -> Notice:
    shown = ", ".join(map(repr, names[:3])) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return Notice(text=f"rows of {flag} without an image in the dataset: {shown}", level="warning")


def _unlisted_values(unlisted: Sequence[tuple[str, str]], catalogue: Catalogue) -> Notice:
    shown: list[str] = []
    for name, value in unlisted[:3]:
        nearest = catalogue.nearest(name, value)
        shown.append(f"{name} {value!r}" + (f" (did you mean {nearest!r}?)" if nearest else ""))
    more = f" and {len(unlisted) - 3} more" if len(unlisted) > 3 else ""
    return Notice(text=f"the catalogue of fields does not list: {', '.join(shown)}{more}")


def _no_images(staging: Staging) -> LimnerError:
    """The error for sources without a usable image, with the first three reasons."""
    reasons = [fault.message for record in staging.records() for fault in record.faults]
    more = f" | and {len(reasons) - 3} more" if len(reasons) > 3 else ""
    listed = f": {' | '.join(reasons[:3])}{more}" if reasons else ""
    return LimnerError(f"no image is left{listed}", "give other images, or change the limits (--limit, --flag)")
