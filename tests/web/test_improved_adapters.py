"""Improved adapters in the Library and on the other pages."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path

import pytest

from limner.core.accounts import Caller, Role
from limner.core.improve import ERASED_TAG
from limner.core.requests import ImproveRequest, TrainRequest
from limner.core.runs import Status
from limner.store.queue import Queue
from pages import teach, text_of

FEEDBACK = "e" * 64


def improve(site, target: str, owner: str = "", images: int = 5) -> tuple[str, str]:
    """A finished improvement of the queue; its run and the reference of its adapter."""
    request = ImproveRequest.model_validate({"target": target, "model": "starter", "steps": 40})
    caller = Caller(account=owner, role=Role.MAKER) if owner else None
    site.studio.enqueue(request, caller=caller, granted=[target])
    queue = Queue(site.studio.store)
    ((run, lease),) = queue.claim("w")
    folder = site.studio.home / f"improved-{run.id}"
    folder.mkdir()
    (folder / "pytorch_lora_weights.safetensors").write_bytes(weights(run.id, images))
    details = {"reference": site.studio.files.save(folder), "base": "starter", "trigger_words": ["sks"]}
    sha256 = hashlib.sha256(run.id.encode()).hexdigest()
    site.studio.store.add_artifact(run.id, "adapter", folder, sha256, details, lease)
    queue.finish(lease, Status.DONE)
    return run.id, details["reference"]


def weights(run: str, images: int = 5) -> bytes:
    training = TrainRequest(data="photos", class_word="cat", identifier="sks").model_dump(mode="json")
    improved = {"feedback": FEEDBACK, "lesson": "preference", "pairs": 60, "ratings": 12}
    ours = {"method": "lora", "base": {"reference": "starter"}, "licence": "apache-2.0", "run": run}
    ours |= {"request": training, "improved": improved, "dataset": {"pictures": images}}
    tensor = {"dtype": "F32", "shape": [8, 1], "data_offsets": [0, 32]}
    text = json.dumps({"__metadata__": {"limner": json.dumps(ours)}, "unet.to_q.lora_A.weight": tensor}).encode()
    return struct.pack("<Q", len(text)) + text + bytes(32)


def facts(page) -> dict[str, str]:
    names, values = page.xpath("//dl[@class='facts']/dt"), page.xpath("//dl[@class='facts']/dd")
    return dict(zip(map(text_of, names), map(text_of, values), strict=True))


def test_an_improved_adapter_is_listed_used_renamed_and_deleted(site):
    original = teach(site)
    run, reference = improve(site, original)
    books = {text_of(each.xpath(".//h2")[0]): each for each in site.page("/library").xpath("//li[@class='book']")}
    assert list(books) == ["sks cat, improved", "sks cat"]
    text = text_of(books["sks cat, improved"])
    assert "Improved" in text and "40 steps, 60 pairs, 12 ratings" in text and "Write sks cat" not in text
    found = facts(site.page(f"/library/trained/{run}"))
    wanted = {"Trigger words": "sks", "Class": "cat", "Base model": "starter", "Method": "lora, rank 8"}
    wanted |= {"Licence": "apache-2.0", "Lesson": "preference", "Pairs learnt from": "60", "Ratings learnt from": "12"}
    assert (wanted | {"Feedback": FEEDBACK[:16], "Reference": reference}).items() <= found.items()
    form = site.page(f"/create?adapter={reference}")
    assert form.xpath("//input[@name='subject'][@checked]/@value") == [reference]
    (download,) = books["sks cat, improved"].xpath(".//a[text()='Download']")
    assert download.get("download") == "sks-cat-improved.zip"
    assert site.client.get(download.get("href")).status_code == 200
    trained = next(each.id for each in site.studio.runs.list(9, "train"))
    site.client.post(f"/library/trained/{trained}/name", data={"name": "Comet"})
    assert [each.name for each in site.studio.library.names(None)] == ["Comet, improved", "Comet"]
    second, _ = improve(site, reference)
    assert site.studio.library.get(site.studio.runs.get(second)).name == "Comet, improved", "the name does not grow"
    site.client.post(f"/library/trained/{run}/name", data={"name": "Mimi"})
    assert site.studio.library.get(site.studio.runs.get(second)).name == "Mimi, improved"
    site.client.post(f"/library/trained/{second}/delete")
    assert [each.name for each in site.studio.library.list(9)] == ["Mimi", "Comet"]
    (waits,) = site.studio.maintenance.erasures.list(None, adapters=True)
    site.client.post(f"/library/deleted/{waits.id}/restore")
    assert [each.name for each in site.studio.library.list(9)] == ["Mimi, improved", "Mimi", "Comet"]


def test_a_training_goes_on_from_an_improved_subject_and_not_from_an_improved_model(site):
    improve(site, teach(site))
    run, _ = improve(site, "starter", images=0)
    result = site.studio.library.get(site.studio.runs.get(run))
    assert (result.name, result.class_word, result.file_name) == ("starter, improved", "", "improved")
    at = site.client.post("/teach").headers["location"].removesuffix("/images")
    offered = site.page(f"{at}/subject").xpath("//fieldset[@data-field='adapter']//strong")
    assert [text_of(each) for each in offered][1:] == ["Go on from “sks cat, improved”", "Go on from “sks cat”"]


def test_feedback_that_was_erased_is_said(site):
    run, _ = improve(site, teach(site))
    site.studio.store.tag(run, ERASED_TAG, "yes")
    (book,) = site.page("/library").xpath("//li[@class='book'][contains(., 'improved')]")
    for text in (text_of(book), text_of(site.page(f"/library/trained/{run}"))):
        assert "earned from feedback that was erased: improve again." in text


def test_an_improved_adapter_of_another_account_stays_invisible(guarded):
    site = guarded
    reference = teach(site)
    run, _ = improve(site, reference, "ann")
    ann, bob = (site.studio.library.list(9, owner) for owner in ("ann", "bob"))
    assert [each.run.id for each in ann] == [run] and not bob
    assert ann[0].name == f"Adapter {reference.rpartition(':')[2][:8]}, improved", "the original is not ann's"
    assert not site.studio.library.names("bob")
    _, secret = site.studio.accounts.add_key("bob")
    site.client.post("/sign-in", data={"key": secret})
    assert site.client.get(f"/library/trained/{run}").status_code == 404
    assert not site.page("/library").xpath("//li[@class='book']")


@pytest.mark.parametrize("status", [Status.INTERRUPTED, Status.CANCELLED])
def test_an_improvement_is_resumed(site, status):
    run, _ = improve(site, teach(site))
    site.studio.store.update(run, status=status)
    page = text_of(site.page(f"/runs/{run}"))
    assert "Resume continues from its last checkpoint." in page and "Improve Adapter" in page


def test_an_improvement_of_the_command_line_is_listed_and_stored_when_it_is_used(site, tmp_path: Path):
    folder = tmp_path / "better"
    folder.mkdir()
    (folder / "pytorch_lora_weights.safetensors").write_bytes(weights("here"))
    run = site.studio.store.create(ImproveRequest.model_validate({"target": str(tmp_path / "sks-cat")}))
    site.studio.store.add_artifact(run.id, "adapter", folder, "c" * 64, {"base": "starter", "trigger_words": ["sks"]})
    site.studio.store.update(run.id, status=Status.DONE)
    (found,) = site.studio.library.list(9)
    assert (found.name, found.say, found.model) == ("sks-cat, improved", "a photo of sks cat", "starter")
    assert site.studio.library.keep(site.studio.runs.get(run.id)).reference.startswith("folder:")
