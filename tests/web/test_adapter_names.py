"""An adapter has one name on all pages: the one that the Library shows."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from PIL import Image

from gallery import add_image
from limner.core.accounts import Caller, Role
from limner.core.errors import LimnerError
from limner.core.feedback import ImageQuery
from limner.core.requests import GenerateRequest, TrainRequest
from limner.core.runs import Status
from limner.store.queue import Queue
from limner.studio.images import Viewer
from pages import PART, adapter_file, teach, text_of, tree


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


def taught_with_checkpoints(site, *steps: int) -> tuple[str, str]:
    """A training that kept checkpoints; its run and the reference of the adapter that it saved."""
    reference = teach(site)
    run = site.studio.runs.list(1, "train")[0].id
    place = site.studio.home / f"kept-{run}"
    for step in steps:
        (place / "checkpoints" / str(step)).mkdir(parents=True)
        (place / "checkpoints" / str(step) / "adapter.safetensors").write_bytes(adapter_file(step=f"{step} of {run}"))
    (place / "adapter.safetensors").write_bytes(adapter_file(run=run))
    (saved,) = site.studio.runs.artifacts(run, "adapter")
    reference = site.studio.files.save(place)
    site.studio.store.add_artifact(run, "adapter", saved.path, saved.sha256, {**saved.details, "reference": reference})
    return run, reference


def labels(site, path: str = "/gallery") -> list[str]:
    """The subjects that the gallery filters by, with their numbers."""
    found = site.page(path).xpath("//details[summary[starts-with(normalize-space(), 'Subject')]]//a")
    return [text_of(each) for each in found]


def test_a_chosen_checkpoint_is_the_same_subject_on_every_page(site):
    run, saved = taught_with_checkpoints(site, 75, 150)
    first = add_image(site.studio, "a cat", adapter=({"path": saved},))
    used = site.studio.training.use_checkpoint(site.studio.runs.get(run), 150)
    assert chips(site) == pets(site) == offered_to_continue(site) == queue_titles(site) == ["sks cat"]
    assert "step 150 in use" in text_of(site.page("/create"))
    (chip,) = site.page("/create").xpath("//input[@name='subject']/@value")
    assert chip == used != saved
    second = add_image(site.studio, "a cat", adapter=({"path": used},))
    both = add_image(site.studio, "a cat", adapter=({"path": used}, {"path": saved}))
    assert labels(site) == ["sks cat 3"]
    (link,) = site.page("/gallery").xpath("//details[summary[starts-with(normalize-space(), 'Subject')]]//a/@href")
    assert site.page(link).xpath("//li/@data-id") == [str(each) for each in (both, second, first)]
    rename(site, "Mimi")
    assert chips(site) == pets(site) == offered_to_continue(site) == ["Mimi"] and labels(site) == ["Mimi 3"]
    for image in (first, second):
        page = text_of(site.page(f"/gallery/{image}").xpath("//dl[@class='facts']")[0])
        assert "Mimi" in page and used[7:15] not in page and saved[7:15] not in page
    (book,) = site.page("/library").xpath("//li[@class='book']")
    assert "Mimi" in text_of(book) and not site.page("/library").xpath("//section[@aria-labelledby='uploaded']")
    assert "step 150" in text_of(site.page(f"/library/trained/{run}"))


def test_an_earlier_checkpoint_is_used_again_by_the_settings_of_its_image(site):
    run, saved = taught_with_checkpoints(site, 75, 150)
    used = site.studio.training.use_checkpoint(site.studio.runs.get(run), 75)
    site.studio.training.use_checkpoint(site.studio.runs.get(run), 150)
    for reference, words in ((used, "step 75"), (saved, "")):
        page = site.page(f"/create?adapter={reference}")
        assert page.xpath("//input[@name='subject'][@checked]/@value") == [reference] and chips(site) == ["sks cat"]
        (chip,) = page.xpath("//li[contains(@class, 'chip')]")
        assert words in text_of(chip) and "step 150" not in text_of(chip)
        assert site.client.post("/create", data={"prompt": "a cat", "subject": reference}).status_code == 303


def test_deleting_a_subject_deletes_all_its_checkpoints(site):
    run, saved = taught_with_checkpoints(site, 75, 150)
    used = site.studio.training.use_checkpoint(site.studio.runs.get(run), 150)
    add_image(site.studio, "a cat", adapter=({"path": used},))
    add_image(site.studio, "a cat", adapter=({"path": saved},))
    assert "2 images" in text_of(site.page(f"/library/trained/{run}/delete"))
    site.client.post(f"/library/trained/{run}/delete")
    (waits,) = site.studio.maintenance.erasures.list(None, adapters=True)
    assert site.studio.maintenance.erasures.carry_out(waits.id)
    assert not site.studio.store.artifacts()
    hashes = {each.partition(":")[2] for each in (used, saved)}
    assert not hashes & {blob.sha256 for blob in site.studio.files}


def test_a_checkpoint_belongs_to_the_account_of_its_training(guarded):
    site = guarded
    run, _ = taught_with_checkpoints(site, 75)
    used = site.studio.training.use_checkpoint(site.studio.runs.get(run), 75)
    uploads = [each.reference for each in site.studio.files.grants.list()]
    assert used not in uploads, "it needs none of the space of an account"
    ann = Caller(account="ann", role=Role.MAKER)
    with pytest.raises(LimnerError, match="is not yours"):
        site.studio.enqueue(GenerateRequest(prompt="a cat", adapter=[used]), caller=ann)


@pytest.mark.parametrize("query", ["mimi", "MIMI beach", '"mimi the cat"'])
def test_images_are_found_by_the_name_of_their_subject(site, query):
    run, saved = taught_with_checkpoints(site, 75)
    used = site.studio.training.use_checkpoint(site.studio.runs.get(run), 75)
    made = [add_image(site.studio, "a photo on the beach", adapter=({"path": each},)) for each in (saved, used)]
    add_image(site.studio, "a dog on the beach")
    rename(site, "Mimi the Cat")
    page = site.page("/gallery", params={"search": query})
    assert page.xpath("//li/@data-id") == [str(each) for each in reversed(made)]
    view = Viewer(stored=True)
    assert site.studio.images.facets(view, ImageQuery(search=query)).total == 2
    assert len(site.client.get("/v1/pictures", params={"search": query}).json()) == 2
    rename(site, "Comet")
    assert not site.page("/gallery", params={"search": query}).xpath("//li/@data-id"), "the name that it has now"
    assert len(site.page("/gallery?search=comet").xpath("//li/@data-id")) == 2


def test_a_name_of_another_account_finds_nothing(guarded):
    site = guarded
    reference = teach(site)
    rename_run = site.studio.runs.list(1, "train")[0]
    site.studio.library.rename(rename_run, "Mimi")
    add_image(site.studio, "a cat", owner="ann", adapter=({"path": reference},))
    found = site.studio.images.list(Viewer("ann", "ann"), ImageQuery(search="mimi"))
    assert not found, "its name is not ann's to know"
    assert len(site.studio.images.list(Viewer(), ImageQuery(search="mimi"))) == 1


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
