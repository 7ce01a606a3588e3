"""Executor of GenerateRequest: generates images and writes them as PNG files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from limner.core.events import Emit, Notice, Stage
from limner.core.prompt_syntax import notices_of
from limner.core.requests import GenerateRequest
from limner.core.workspace import Workspace
from limner.engine.generate.batching import AllJobsFailed, ImageRow, Job, active, emit_to_all, model_passes, run_pass
from limner.engine.generate.inputs import Inputs
from limner.engine.generate.output import write_image, write_previews
from limner.engine.generate.refining import SecondPass, run_second_pass, second_passes
from limner.engine.generate.session import Session, check_request
from limner.models.known_words import notify_unknown_words
from limner.models.prompts import warn_if_truncated, warn_of_weights


def generate(request: GenerateRequest, workspace: Workspace, emit: Emit) -> None:
    """Generate `request.count` images into the workspace's out folder, as 0001.png, 0002.png and so on."""
    for _, failure in generate_batch([Job(request, workspace, emit)]):
        if failure is not None:
            raise failure


def generate_batch(jobs: Sequence[Job]) -> Iterator[tuple[Job, Exception | None]]:
    """Generate the images of jobs with one batch key; yield each job when it ends, with its error if it failed."""
    left = list(jobs)
    try:
        for job in _finished_jobs(jobs):
            left.remove(job)
            yield job, None
    except Exception as error:  # with AllJobsFailed, every job has an error of its own
        for job in active(left):
            job.failure = error
    for job in left:
        yield job, job.failure


def _finished_jobs(jobs: Sequence[Job]) -> Iterator[Job]:
    """Yield jobs when all their images are written. The first job's request stands for what all share."""
    session = Session.open(check_request(jobs[0].request, jobs[0].workspace.execution), partial(emit_to_all, jobs))
    for job in jobs:
        job.request = session.complete(job.request)
        with job.isolated():
            _warn_of_prompt(session, job)
    with session.applied():
        seconds = second_passes(session.setup.request, session.base, session.setup.strengths)
        for job in jobs:
            with job.isolated():
                job.conditioning = session.conditioning(job.request)
                steps = job.request.count * session.sampling["steps"] * (1 + len(seconds))
                job.emit(Stage(name="generating", total=steps, unit="steps"))
        yield from _write_images(session, jobs, seconds)
    if not active(jobs):
        raise AllJobsFailed


def _warn_of_prompt(session: Session, job: Job) -> None:
    setup = session.setup
    prompt = job.request.prompt
    weighted = setup.facts.long_prompts
    lines = [*notices_of(prompt, weighted), *notices_of(job.request.negative_prompt, weighted)]
    for text in dict.fromkeys(lines):
        job.emit(Notice(text=text, level="warning"))
    if not job.checked:
        notify_unknown_words(setup.model, "prompt", [prompt], job.emit, setup.adapters)
        notify_unknown_words(setup.model, "negative prompt", [job.request.negative_prompt], job.emit, setup.adapters)
    if weighted:
        return
    warn_of_weights(prompt, job.emit)
    tokenizer, limit = setup.model.family.tokenizer(session.components)
    warn_if_truncated(tokenizer, limit, "prompt", prompt, job.emit)


def _write_images(session: Session, jobs: Sequence[Job], seconds: Sequence[SecondPass]) -> Iterator[Job]:
    """Generate and write the images of all jobs; yield each job after its last image."""
    size = jobs[0].workspace.together
    for each in model_passes(jobs, size or session.setup.request.batch, padded=size is not None):
        sample = partial(session.sample, on_preview=partial(write_previews, each))
        for row, pixels, batch in run_pass(each, sample):
            job = row.job
            with job.isolated():
                pixels = refined(row, pixels, seconds, session.inputs, session.sampling)
                label = session.label(job.request, job.workspace).model_copy(
                    update={
                        "index": row.index,
                        "seed": row.seed,
                        "together": batch if size or len(each.jobs) > 1 else None,
                    }
                )
                write_image(job, label, pixels, session.inputs)
            if job.failure is None and row.index == job.request.count - 1:
                yield job


def refined(
    row: ImageRow,
    pixels: np.ndarray,
    seconds: Sequence[SecondPass],
    inputs: Inputs,
    sampling: Mapping[str, Any],
) -> np.ndarray:
    """Return a generated image (h, w, 3) uint8 after all second passes."""
    job = row.job
    pixels = inputs.keep_outside_mask(pixels)
    for second in seconds:
        conditioning = job.conditioning if second.conditioning is None else second.conditioning
        pixels = run_second_pass(second, conditioning, pixels, row.seed, sampling, job.step_counter())
        pixels = inputs.keep_outside_mask(pixels)
    return pixels
