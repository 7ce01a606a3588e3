"""An adapter has one name on all pages: the one that the Library shows."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from PIL import Image

from limner.core.accounts import Caller, Role
from limner.core.requests import GenerateRequest, TrainRequest
from limner.core.runs import Status
from limner.store.queue import Queue
from pages import PART, teach, text_of, tree


def chips(site) -> list[str]:
    return [text_of(each) for each in site.page("/create").xpath("//li[contains(@class, 'chip')]//strong")]


def pets(site) -> list[str]:
    return [text_of(each) for each in site.page("/create/pets").xpath("//select[@name='adapter']/option")][1:]


def offered_to_continue(site) -> list[str]:
    at = site.client.post("/teach").headers["location"].removesuffix("/images")
    found = site.page(f"{at}/subject").xpath("//fieldset[@data-field='adapter']//strong")
    return [text_of(each).removeprefix("Go on from “").removesuffix("”") for each in found][1:]


def queue_titles(site) -> list[str]:
    titles = [text_of(each) for each in site.page("/queue").xpath("//main//a[starts-with(@href, '/runs/')]")]
    return [title.removeprefix("Teach ") for title in titles if title.startswith("Teach ")]


def gallery_filters(site, adapter: str) -> list[str]:
    request = GenerateRequest(prompt="a cat on the beach", adapter=[adapter])
    site.studio.enqueue(request, caller=Caller(account="", role=Role.ADMIN), granted=[adapter])
    queue = Queue(site.studio.store)
    ((run, lease),) = queue.claim("w")
    place = site.studio.home / "1.png"
    Image.new("RGB", (8, 8), "red").save(place)
    details = {"reference": site.studio.files.save(place), "seed": 1, "prompt": request.prompt, "width": 8, "height": 8}
    site.studio.store.add_artifact(run.id, "picture", place, f"{1:064x}", details, lease)
    queue.finish(lease, Status.DONE)
    return [text_of(each) for each in site.page("/gallery").xpath("//main//*[contains(@href, 'adapter=')]")]


def rename(site, name: str) -> str:
    run = site.studio.runs.list(1, "train")[0]
    site.client.post(f"/library/trained/{run.id}/name", data={"name": name})
    return run.id


def test_a_name_given_in_the_library_is_shown_on_every_page(site):
    reference = teach(site)
    assert chips(site) == pets(site) == offered_to_continue(site) == queue_titles(site) == ["sks cat"]
    rename(site, "Comet <b>the cat</b>")
    wanted = ["Comet <b>the cat</b>"]
    assert chips(site) == pets(site) == offered_to_continue(site) == queue_titles(site) == wanted
    assert any(wanted[0] in text for text in gallery_filters(site, reference))


def test_two_adapters_of_one_name_are_told_apart_by_when_they_were_taught(site):
    teach(site)
    rename(site, "Comet")
    teach(site, say="a photo of sks dog")
    assert sorted(chips(site)) == ["Comet", "sks cat"], "different names stay plain"
    rename(site, "comet")
    for names in (chips(site), pets(site), offered_to_continue(site)):
        assert len(names) == 2 and all("UTC)" in name and name.lower().startswith("comet (") for name in names)


def test_an_adapter_off_the_list_is_not_offered_but_its_images_keep_its_name(site):
    reference = teach(site)
    run = rename(site, "Comet")
    site.client.post(f"/library/trained/{run}/remove")
    assert chips(site) == pets(site) == offered_to_continue(site) == []
    assert any("Comet" in text for text in gallery_filters(site, reference))
    chosen = site.page(f"/create/pets?adapter={reference}").xpath("//select[@name='adapter']/option[@selected]")
    assert text_of(chosen[0]) == "Comet", "one that is chosen already keeps its name"


def taught_on_the_command_line(site, folder: Path) -> str:
    """A training of the command line, whose adapter lies in a folder; the run's id."""
    run = site.studio.store.create(TrainRequest(data="photos", class_word="dog", identifier="vela"))
    folder.mkdir()
    header = {"__metadata__": {"limner": json.dumps({"method": "lora", "base": {"reference": "starter"}})}}
    text = json.dumps(header).encode()
    (folder / "pytorch_lora_weights.safetensors").write_bytes(struct.pack("<Q", len(text)) + text)
    site.studio.store.add_artifact(run.id, "adapter", folder, "d" * 64, {"trigger_words": ["vela"]})
    site.studio.store.update(run.id, status=Status.DONE)
    return run.id


@pytest.mark.parametrize("headers", [{}, PART])
def test_an_adapter_of_the_command_line_is_chosen_and_stored_then(site, tmp_path, headers):
    run = taught_on_the_command_line(site, tmp_path / "adapter")
    assert chips(site) == pets(site) == offered_to_continue(site) == ["vela dog"]
    (value,) = site.page("/create").xpath("//input[@name='subject']/@value")
    response = site.client.post(
        "/create", data={"prompt": "vela dog", "subject": value, f"weight.{value}": "0.5"}, headers=headers
    )
    assert response.status_code in (200, 303), tree(response).text_content()
    ((use),) = site.studio.runs.list(1)[0].request.adapter
    assert use.path == site.studio.library.get(site.studio.runs.get(run)).reference != "" and use.weight == 0.5
    assert site.page("/create").xpath("//input[@name='subject']/@value") == [use.path]


def test_the_form_of_pets_stores_an_adapter_of_the_command_line(site, tmp_path):
    taught_on_the_command_line(site, tmp_path / "adapter")
    (value,) = site.page("/create/pets").xpath("//select[@name='adapter']/option[text()='vela dog']/@value")
    assert site.client.post("/create/pets", data={"species": "dog", "adapter": value}).status_code == 303
    assert site.studio.runs.list(1)[0].request.adapter[0].path.startswith("folder:")


def test_nobody_names_the_adapter_of_another(guarded, tmp_path):
    run = taught_on_the_command_line(guarded, tmp_path / "adapter")
    _, secret = guarded.studio.accounts.add_key("ann")
    guarded.client.post("/sign-in", data={"key": secret})
    response = guarded.client.post("/create", data={"prompt": "a dog", "subject": f"trained/{run}"})
    assert response.status_code == 422 and "there is no run" in tree(response).text_content()
    response = guarded.client.post("/create/pets", data={"species": "dog", "adapter": f"trained/{run}"})
    assert response.status_code == 422 and not guarded.studio.runs.list(5, "generate")
