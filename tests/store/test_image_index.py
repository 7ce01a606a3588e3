"""Tests of the columns by which images are found."""

from __future__ import annotations

import hashlib
from pathlib import Path

from limner.core.feedback import Rating
from limner.core.requests import GenerateRequest
from limner.store.feedback import FeedbackStore
from limner.store.images import ImageIndex, Viewer, adapter_key, fold_case, prompt_hash
from limner.store.preferences import PreferenceData
from limner.store.runs import Store


def test_prompt_hash_is_of_both_prompts() -> None:
    request = {"prompt": "a dog", "negative_prompt": "blurry"}
    assert prompt_hash(request) == hashlib.sha256(b"a dog\0blurry").hexdigest()
    assert prompt_hash({"prompt": "a dog"}) == hashlib.sha256(b"a dog\0").hexdigest()


def test_adapter_key_is_the_hash_of_the_content_or_the_path() -> None:
    assert adapter_key("sha256:" + "a" * 64) == adapter_key("folder:" + "a" * 64) == "a" * 64
    assert adapter_key("/my/lora.safetensors") == hashlib.sha256(b"/my/lora.safetensors").hexdigest()


def test_search_ignores_case() -> None:
    assert fold_case("A STRASSE\0") == fold_case("a stra\u00dfe") == "a strasse"


def test_only_images_of_the_same_prompts_make_a_pair(tmp_path: Path) -> None:
    store, view = Store(tmp_path), Viewer("ann")
    pictures: list[int] = []
    for negative in ("", "blurry", "blurry"):
        run = store.create(GenerateRequest(prompt="a dog", negative_prompt=negative))
        store.add_artifact(run.id, "picture", f"/{run.id}.png", f"{len(pictures):064x}")
        pictures += ImageIndex(store).of_run(view, run.id)
    for picture, stars in zip(pictures, (5, 4, 1), strict=True):
        FeedbackStore(store).rate(view, picture, Rating(stars=stars))
    pairs = [(pair.better.id, pair.worse.id) for pair in PreferenceData(store, view).pairs_from_stars()]
    assert pairs == [(pictures[1], pictures[2])]
    store.close()
