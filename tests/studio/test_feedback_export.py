"""Tests of the columns of exported feedback."""

from __future__ import annotations

from pathlib import Path

from limner.core.feedback import Comparison
from limner.core.requests import GenerateRequest
from limner.store.feedback import FeedbackStore
from limner.store.images import ImageIndex, Viewer
from limner.store.preferences import PreferenceData
from limner.store.runs import Store
from limner.studio.feedback_export import FeedbackExport


def test_pairs_have_the_same_prompts(tmp_path: Path) -> None:
    store, ids = Store(tmp_path), list[int]()
    for prompt, negative in (("a cat", ""), ("a cat", ""), ("a dog", ""), ("a cat", "blurry")):
        run = store.create(GenerateRequest(prompt=prompt, negative_prompt=negative))
        store.add_artifact(run.id, "picture", f"/{run.id}.png", f"{len(ids):064x}", {"seed": 40 + len(ids)})
        ids += ImageIndex(store).of_run(Viewer(), run.id)
    for worse in ids[1:]:
        FeedbackStore(store).compare(Viewer(), Comparison(better=ids[0], worse=worse, tie=worse == ids[1]))
    data = PreferenceData(store, Viewer())
    export = FeedbackExport(data, "pairs", False, lambda image: f"/{image.id}", lambda image: None)
    (row,) = export.rows()
    assert (row["image_0_url"], row["image_1_url"]) == (f"/{ids[0]}", f"/{ids[1]}")
    assert (row["seed_0"], row["seed_1"]) == (40, 41), "as they were painted"
    assert (row["label_0"], row["label_1"], row["best_image_uid"]) == (0.5, 0.5, "tie")
    store.close()
