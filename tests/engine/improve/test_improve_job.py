"""Improvement jobs: what their digest depends on, and what is checked before the model is loaded."""

from __future__ import annotations

from dataclasses import replace

import pytest

from limner.core.errors import LimnerError
from limner.core.execution import Execution
from limner.data.sets.folder import Scan, scan
from limner.engine.improve.job import LessonSettings, adapter_job, model_job, steady
from limner.models.adapters import open_adapter
from limner.plugins import registry

SETTINGS = LessonSettings("preference")


def test_the_digest_depends_on_all_that_the_result_depends_on(original, workspace, painted, tiny_sd):
    job = adapter_job(open_adapter(str(original)), SETTINGS, workspace())
    photographs = replace(job, photographs=scan(painted))
    others = [
        job.digest("b"),
        replace(job, settings=replace(SETTINGS, seed=1)).digest("a"),
        replace(job, settings=replace(SETTINGS, lesson="kto")).digest("a"),
        photographs.digest("a"),
        replace(photographs, photographs=Scan(photographs.photographs.images[1:])).digest("a"),
        model_job(str(tiny_sd), SETTINGS, workspace()).digest("a"),
        model_job("starter", SETTINGS, workspace()).digest("a"),
    ]
    assert len({job.digest("a"), *others}) == len(others) + 1
    assert adapter_job(open_adapter(str(original)), SETTINGS, workspace("other")).digest("a") == job.digest("a")


def test_a_method_with_dropout_trains_without_it_and_keeps_its_other_options(original, workspace):
    job = adapter_job(open_adapter(str(original)), SETTINGS, workspace())
    assert job.options.dropout == 0 and job.options.rank == 2 and job.training.options["dropout"] == 0.5
    words = registry.methods.get("textual_inversion").Options(vectors=2)
    assert steady(words) == words


def test_a_new_adapter_has_no_subject(workspace):
    job = model_job("starter", SETTINGS, workspace())
    assert job.original is None and job.training.trigger_words == () and job.training.model == "starter"
    assert job.subject.identifier == ""


@pytest.mark.parametrize("settings", [LessonSettings("kto", precision="fp16"), SETTINGS])
def test_what_the_device_cannot_do_is_said_before_loading(original, workspace, settings):
    device = "cpu" if settings.precision == "fp16" else "cuda:7"
    space = workspace(execution=Execution(device=device))
    with pytest.raises(LimnerError, match=r"fp16|cuda"):
        adapter_job(open_adapter(str(original)), settings, space)


def test_an_adapter_of_another_program_or_of_another_model_is_refused(original, workspace, tiny_sdxl):
    adapter = open_adapter(str(original))
    with pytest.raises(LimnerError, match="does not state how it was trained"):
        adapter_job(replace(adapter, facts={}), SETTINGS, workspace())
    with pytest.raises(LimnerError, match="'no-such-model'"):
        adapter_job(adapter, SETTINGS, workspace(), model="no-such-model")
