"""The library: trained adapters, base models and their downloads."""

from __future__ import annotations

import io
import json
import re
import struct
import threading
import zipfile
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

import serving
import waiting
from browsing import PHONE, opened, overflow, serious_findings
from gallery import add_image
from limner.core.accounts import Caller, Role
from limner.core.errors import Interrupted, LimnerError
from limner.core.events import Progress, Stage
from limner.core.requests import GenerateRequest, TrainRequest
from limner.core.runs import Status
from limner.store.queue import Queue
from limner.studio.library import HeaderFacts, header_facts
from limner.studio.studio import Studio
from limner.web.downloads import Busy, Downloads
from limner.web.pages.library import size_text
from pages import PART, adapter_file, text_of, tree

HOSTILE = "<script>alert(1)</script>\"' onerror=alert(1) {{ 7*7 }} <img src=x>"
OURS = {
    "method": "lora",
    "base": {"reference": "starter", "licence": "apache-2.0"},
    "licence": "apache-2.0",
    "dataset": {"pictures": 5, "rights": {"licences": {"CC-BY-4.0": 3, "unknown": 2}, "sources": {"own photos": 5}}},
}
RIGHTS = {"Licences of the images": "CC-BY-4.0 (3), unknown (2)", "Sources of the images": "own photos (5)"}


def weights(ours: object, rank: int = 8) -> bytes:
    """A .safetensors file with one tensor."""
    tensor = {"dtype": "F32", "shape": [rank, 1], "data_offsets": [0, 4 * rank]}
    header = {"__metadata__": {"limner": json.dumps(ours)}, "unet.to_q.lora_A.weight": tensor}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(4 * rank)


def train(
    site, tmp_path: Path, owner: str = "", ours: object = OURS, preview: bool = True, word: str = "comet", **fields
):
    """A finished training run with its adapter; its id and the adapter's reference."""
    request = TrainRequest(data=f"folder:{'b' * 64}", class_word="dog", identifier=word, **fields)
    site.studio.enqueue(
        request, caller=Caller(account=owner, role=Role.MAKER) if owner else None, granted=[request.data]
    )
    queue = Queue(site.studio.store)
    ((run, lease),) = queue.claim("w")
    folder = tmp_path / run.id
    folder.mkdir()
    (folder / "pytorch_lora_weights.safetensors").write_bytes(weights(ours))
    (folder / "README.md").write_text(f"card of {run.id}")
    reference = site.studio.files.save(folder)
    details = {"reference": reference, "trigger_words": [word], "say": f"a photo of {word} dog"}
    site.studio.store.add_artifact(run.id, "adapter", folder, "d" * 64, details, lease)
    if preview:
        for step in (10, 20):
            shown = {"reference": f"sha256:{step:064x}", "step": step}
            site.studio.store.add_artifact(run.id, "preview", folder / f"{step}.png", f"{step:064x}", shown, lease)
    queue.finish(lease, Status.DONE)
    return run.id, reference


def use(site, reference: str, owner: str = "", prompt: str = "comet on the beach") -> str:
    """A finished job that made an image with an adapter; the URL of the image."""
    request = GenerateRequest(prompt=prompt, adapter=[reference])
    caller = Caller(account=owner, role=Role.MAKER) if owner else None
    site.studio.enqueue(request, caller=caller, granted=[reference])
    queue = Queue(site.studio.store)
    ((run, lease),) = queue.claim("w")
    image = site.studio.home / f"{run.id}.png"
    image.write_bytes(b"\x89PNG" + run.id.encode())
    stored = site.studio.files.save(image)
    site.studio.store.add_artifact(run.id, "picture", image, stored[7:], {"reference": stored}, lease)
    queue.finish(lease, Status.DONE)
    return f"/v1/files/{stored[7:]}"


def sign_in(guarded, account: str, role: Role = Role.MAKER):
    guarded.client.cookies.clear()
    _, secret = guarded.studio.accounts.add_key(account, role)
    assert guarded.client.post("/sign-in", data={"key": secret}).status_code == 303


def facts(page) -> dict[str, str]:
    names, values = page.xpath("//dl[@class='facts']/dt"), page.xpath("//dl[@class='facts']/dd")
    return dict(zip(map(text_of, names), map(text_of, values), strict=True))


def test_an_empty_library_says_what_to_do_first(site):
    page = site.page("/library")
    assert page.xpath("//div[@class='empty']") and not page.xpath("//li[@class='book']")


def test_an_adapter_with_its_newest_preview_and_ways_to_use_it(site, tmp_path):
    run, reference = train(site, tmp_path)
    (book,) = site.page("/library").xpath("//li[@class='book']")
    assert book.xpath(".//img/@src") == [f"/thumbnails/512/{20:064x}.webp"]
    assert "comet dog" in text_of(book) and "Write comet" in text_of(book) and "starter, lora, rank 8" in text_of(book)
    (there,) = book.xpath(".//a[text()='Use it']/@href")
    form = site.page(there)
    assert form.xpath("//input[@name='subject'][@checked]/@value") == [reference]
    assert form.xpath("//textarea[@name='prompt']")[0].text_content().strip() == "a photo of comet dog"
    (download,) = book.xpath(".//a[text()='Download']")
    assert download.get("download") == "comet-dog.zip"
    with zipfile.ZipFile(io.BytesIO(site.client.get(download.get("href")).content)) as archive:
        assert sorted(archive.namelist()) == ["README.md", "pytorch_lora_weights.safetensors"]
    assert book.xpath(f".//a[@href='/library/trained/{run}']")


def test_the_facts_of_its_header(site, tmp_path):
    run, reference = train(site, tmp_path)
    found = facts(site.page(f"/library/trained/{run}"))
    wanted = {"Trigger words": "comet", "Class": "dog", "Base model": "starter", "Method": "lora, rank 8"}
    wanted |= {"Licence": "apache-2.0", "Training images": "5", "Reference": reference, **RIGHTS}
    assert wanted.items() <= found.items() and found["Size"].endswith("bytes") and "UTC" in found["Trained"]


def test_without_a_preview_an_image_made_with_it_is_shown(site, tmp_path):
    run, reference = train(site, tmp_path, preview=False)
    assert "No picture yet" in text_of(site.page("/library"))
    small = f"/thumbnails/512/{use(site, reference).rpartition('/')[2]}.webp"
    assert site.page("/library").xpath("//li[@class='book']//img/@src") == [small]
    assert site.page(f"/library/trained/{run}").xpath("//section[h2='Images made with it']//img/@src") == [small]


def test_only_finished_trainings_with_a_stored_result_are_listed(site, tmp_path):
    train(site, tmp_path)
    failed = site.studio.enqueue(TrainRequest(data=f"folder:{'b' * 64}", class_word="cat"))
    site.studio.store.create(TrainRequest(data="/photos", class_word="cat"))
    drawn = site.studio.enqueue(GenerateRequest(prompt="a cat"))
    assert len(site.page("/library").xpath("//li[@class='book']")) == 1
    for other in (failed, drawn):
        response = site.client.get(f"/library/trained/{other.id}")
        assert response.status_code == 404 and "made no adapter" in text_of(tree(response))
    assert site.client.get("/library/trained/nosuch").status_code == 404


def test_missing_files_are_said(site, tmp_path):
    run, reference = train(site, tmp_path)
    site.studio.files.remove(reference.partition(":")[2])
    assert "Its files are missing" in text_of(site.page("/library"))
    page = site.page(f"/library/trained/{run}")
    assert "missing" in text_of(page.xpath("//*[@role='alert']")[0]) and not page.xpath("//a[text()='Use it']")


def test_older_ones_are_on_the_next_page(site, tmp_path, monkeypatch):
    from limner.web.pages import library

    monkeypatch.setattr(library, "SHOWN", 2)
    runs = [train(site, tmp_path, word=f"word{number}")[0] for number in range(3)]
    page = site.page("/library")
    (older,) = page.xpath("//a[text()='Older ones']/@href")
    assert len(page.xpath("//li[@class='book']")) == 2
    assert runs[0] in site.page(older).xpath("//li[@class='book']//h2/a/@href")[0]
    assert not site.page(older).xpath("//a[text()='Older ones']")


def test_rename_and_the_usual_name_again(site, tmp_path):
    run, _ = train(site, tmp_path)
    place = f"/library/trained/{run}"
    assert site.client.post(f"{place}/name", data={"name": f"  {HOSTILE}\n"[:79]}).status_code == 303
    for path in ("/library", place, f"{place}/delete"):
        page = site.page(path)
        assert not page.xpath("//script[not(@src)] | //img[@src='x'] | //*[@onerror]"), path
        assert HOSTILE[:60] in page.text_content(), path
    site.client.post(f"{place}/name", data={"name": "../../etc\0\x1b[31m"})
    assert text_of(site.page(place).xpath("//h1")[0]) == "../../etc [31m"
    site.client.post(f"{place}/name", data={"name": ""})
    assert text_of(site.page(place).xpath("//h1")[0]) == "comet dog"


def test_a_name_that_is_too_long_is_refused_at_its_field(site, tmp_path):
    run, _ = train(site, tmp_path)
    response = site.client.post(f"/library/trained/{run}/name", data={"name": "x" * 81})
    page = tree(response)
    assert response.status_code == 422 and "81 characters" in text_of(page.xpath("//*[@id='name-error']")[0])
    (field,) = page.xpath("//input[@name='name']")
    assert field.get("value") == "x" * 81 and "name-error" in field.get("aria-describedby")
    assert text_of(page.xpath("//h1")[0]) == "comet dog"


def bin_of(site, path: str = "/library"):
    """The list of deleted adapters."""
    return site.page(path).xpath("//details[summary[starts-with(text(), 'Deleted')]]")


def delete_for_good(site, run: str) -> None:
    """Delete an adapter, and then for good."""
    site.client.post(f"/library/trained/{run}/delete")
    (button,) = bin_of(site)[0].xpath(".//form[button[text()='Delete for good now']]/@action")
    assert site.client.post(button).status_code == 303 and not bin_of(site)


def test_deleting_says_what_goes_too_and_then_deletes_it(site, tmp_path):
    run, reference = train(site, tmp_path)
    kept, _ = train(site, tmp_path, word="rex")
    image = use(site, reference)
    place = f"/library/trained/{run}/delete"
    page = site.page(place)
    assert "1 job that used it is deleted too, with 1 image" in text_of(page) and "comet on the beach" in text_of(page)
    assert site.studio.runs.get(run) and site.client.get(image).status_code == 200, "asking deletes nothing"
    page = site.page(site.client.post(place).headers["location"])
    assert "comet dog and 1 image were deleted." in text_of(page) and len(page.xpath("//li[@class='book']")) == 1
    assert site.client.get(f"/library/trained/{run}").status_code == 404 and site.studio.runs.get(run).deleted
    assert [each.id for each in site.studio.runs.list()] == [kept], "the jobs are in no list"
    (form,) = page.xpath("//form[contains(@class, 'notice')]")
    there = site.client.post(form.get("action")).headers["location"]
    assert "comet dog is on the list again." in text_of(site.page(there).xpath("//*[@role='status']")[0])
    site.client.app.state.erasures.work()
    assert len(site.page("/library").xpath("//li[@class='book']")) == 2 and len(site.studio.runs.list()) == 3, "undone"
    assert site.client.post(form.get("action")).status_code == 404
    delete_for_good(site, run)
    assert [each.id for each in site.studio.runs.list()] == [kept]
    assert site.client.get(image).status_code == 404 and reference.partition(":")[2] not in site.studio.files


def test_a_deleted_adapter_can_be_put_back_for_days_and_is_offered_nowhere(site, tmp_path, monkeypatch):
    run, reference = train(site, tmp_path)
    use(site, reference)
    waiting_job = site.studio.enqueue(GenerateRequest(prompt="a comet dog", adapter=[reference]), granted=[reference])
    site.client.post(f"/library/trained/{run}/delete")
    (bin,) = bin_of(site)
    assert "comet dog" in text_of(bin) and "1 image" in text_of(bin) and "in 7 days" in text_of(bin)
    assert "bytes of disk" in text_of(bin.xpath("./summary")[0]) or "kB of disk" in text_of(bin.xpath("./summary")[0])
    for path in ("/create", "/create/pets", "/gallery", "/", "/queue"):
        assert "comet" not in text_of(site.page(path).xpath("//main")[0]), path
    response = site.client.post("/create", data={"prompt": "a dog", "subject": reference})
    assert response.status_code == 422 and "is deleted" in text_of(tree(response))
    assert site.studio.runs.get(waiting_job.id).status is Status.CANCELLED, "no worker makes what goes"
    assert "is deleted" in site.client.post(f"/runs/{waiting_job.id}/retry").text
    site.client.app.state.erasures.work()
    site.client.app.state.erasures.finish()
    (back,) = bin_of(site)[0].xpath(".//form[button[text()='Put back']]/@action")
    site.client.post(back)
    assert "comet dog" in text_of(site.page("/create")) and not bin_of(site)
    assert len(site.page("/gallery").xpath("//li[@data-id]")) == 1
    monkeypatch.setattr("limner.web.pages.library.ADAPTERS", timedelta(0))
    site.client.post(f"/library/trained/{run}/delete")
    site.client.app.state.erasures.work()
    assert not site.studio.store.artifacts() and reference.partition(":")[2] not in site.studio.files


def test_accounts_put_back_what_they_deleted_and_admins_everything(guarded, tmp_path):
    run, _ = train(guarded, tmp_path, "ann")
    sign_in(guarded, "ann")
    guarded.client.post(f"/library/trained/{run}/delete")
    (waits,) = guarded.studio.maintenance.erasures.list("ann", adapters=True)
    sign_in(guarded, "bob")
    assert not bin_of(guarded)
    assert guarded.client.post(f"/library/deleted/{waits.id}/restore").status_code == 404
    guarded.client.post(f"/library/deleted/{waits.id}/erase")
    assert guarded.studio.runs.get(run).deleted, "another account erases nothing"
    sign_in(guarded, "root", Role.ADMIN)
    assert "by ann" in text_of(bin_of(guarded)[0])
    assert guarded.client.post(f"/library/deleted/{waits.id}/restore").status_code == 303
    assert not guarded.studio.runs.get(run).deleted


def test_an_adapter_leaves_the_list_with_its_images_kept(site, tmp_path):
    run, reference = train(site, tmp_path)
    image = use(site, reference)
    assert site.client.post(f"/library/trained/{run}/remove").headers["location"] == f"/library?removed={run}"
    page = site.page(f"/library?removed={run}")
    assert "comet dog is not listed any more" in text_of(page) and not page.xpath("//li[@class='book']")
    assert site.client.get(image).status_code == 200 and reference.partition(":")[2] in site.studio.files
    (back,) = page.xpath("//form[contains(@class, 'notice')]/@action")
    there = site.client.post(back).headers["location"]
    assert "comet dog is on the list again." in text_of(site.page(there).xpath("//*[@role='status']")[0])
    page = site.page(f"/library?removed={run}")
    assert len(page.xpath("//li[@class='book']")) == 1 and "not listed any more" not in text_of(page)


def test_what_was_put_back_and_deleted_again_is_not_announced(site, tmp_path):
    run, _ = train(site, tmp_path)
    site.client.post(f"/library/trained/{run}/delete")
    assert "again" not in text_of(site.page(f"/library?back={run}").xpath("//main")[0])
    assert site.client.get("/library?back=nosuch").status_code == 404


def test_adapters_of_one_name_are_told_apart_by_their_training(site, tmp_path):
    for steps in (60, None):
        run, _ = train(site, tmp_path, steps=steps)
    for name, total in (("training", 1400), ("writing", None)):
        site.studio.store.add_event(run, Stage(name=name, total=total))
    taught = [text_of(each) for each in site.page("/library").xpath("//li[@class='book']//*[@class='taught']")]
    assert [re.sub("[0-9]+ [A-Z][a-z]+, [0-9:]+ UTC", "TIME", text) for text in taught] == [
        "Taught TIME · 1,400 steps, 5 photos",
        "Taught TIME · 60 steps, 5 photos",
    ]


def test_images_name_the_adapter_as_the_library_does(site, tmp_path):
    _, reference = train(site, tmp_path)
    image, other = (add_image(site.studio, adapter=({"path": reference, "weight": each},)) for each in (1.0, 0.5))
    for place in (f"/gallery/{image}", f"/gallery/compare?id={image}&id={other}"):
        shown = text_of(site.page(place).xpath("//main//dl[@class='facts'] | //main//table")[0])
        assert "comet dog" in shown and reference[7:15] not in shown, place


def test_what_is_off_the_list_is_put_back_later(site, tmp_path):
    run, _ = train(site, tmp_path)
    site.client.post(f"/library/trained/{run}/remove")
    page = site.page("/library")
    (fold,) = page.xpath("//details[contains(@class, 'off')]")
    assert text_of(fold.xpath("./summary")[0]) == "Off the list (1)" and "comet dog" in text_of(fold)
    site.client.post(fold.xpath(".//form/@action")[0])
    page = site.page("/library")
    assert len(page.xpath("//li[@class='book']")) == 1 and not page.xpath("//details[contains(@class, 'off')]")


def test_adapters_that_were_uploaded_are_listed_to_their_account(guarded, tmp_path):
    site = guarded
    (tmp_path / "cat.safetensors").write_bytes(adapter_file(ss_output_name="my cat", ss_base_model_version="sd_v1"))
    (tmp_path / "photo.png").write_bytes(b"\x89PNG no adapter")
    for name in ("cat.safetensors", "photo.png"):
        reference = site.studio.files.upload(tmp_path / name, Caller(account="ann"))
        if name.startswith("cat"):
            adapter = reference
    ann, ben = (
        {"Authorization": f"Bearer {site.studio.accounts.add_key(name, Role.MAKER)[1]}"} for name in ("ann", "ben")
    )
    page = tree(site.client.get("/library", headers=ann))
    (entry,) = page.xpath("//section[@aria-labelledby='uploaded']//li")
    assert entry.xpath(".//a[text()='Download']/@href") == [f"/v1/files/{adapter.removeprefix('sha256:')}"]
    assert adapter.partition(":")[2] in entry.xpath(".//a[text()='Use it']/@href")[0]
    assert not tree(site.client.get("/library", headers=ben)).xpath("//section[@aria-labelledby='uploaded']")


def test_the_disk_that_limner_uses_is_told(site, models, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "weights").write_bytes(bytes(3_000))
    (tmp_path / "hub" / "link").symlink_to(tmp_path / "hub" / "weights")
    _, reference = train(site, tmp_path, preview=False)
    (tmp_path / "photo").write_bytes(bytes(700))
    site.studio.files.save(tmp_path / "photo")
    used = site.studio.library.disk()
    assert used.adapters == site.studio.files.bytes(reference) + len(site.studio.files.read(reference[7:], 0, 9999))
    assert used.models == 3_000, "a link does not count"
    assert (used.images, used.others) == (0, 700)
    facts = site.page("/library/models").xpath("//details[summary[starts-with(text(), 'Limner uses')]]//dl")
    assert text_of(facts[0]).startswith("Images0 bytesAdapters")
    assert "Downloaded models3.0 kB" in text_of(facts[0])


def test_licences_are_links_with_a_plain_sentence(site, models):
    models[1] = SimpleNamespace(**{**vars(models[1]), "licence": "apache-2.0", "reference": "who/small/x.safetensors"})
    models[2] = SimpleNamespace(**{**vars(models[2]), "terms": "huge may not be used commercially"})
    page = site.page("/library/models")
    links = page.xpath("//a[text()='apache-2.0']/@href")
    assert "https://huggingface.co/who/small" in links
    assert "you may sell them." in text_of(page)
    assert "huge may not be used commercially." in text_of(page.xpath("//p[@class='terms']")[0])


def train_on_the_command_line(site, folder: Path, word: str = "comet") -> str:
    """A finished training run of the command line, with its adapter in a folder; the run's id."""
    request = TrainRequest(data="photos", class_word="dog", identifier=word)
    run = site.studio.store.create(request)
    folder.mkdir()
    (folder / "pytorch_lora_weights.safetensors").write_bytes(weights(OURS))
    details = {"trigger_words": [word], "say": f"a photo of {word} dog"}
    site.studio.store.add_artifact(run.id, "adapter", folder, "d" * 64, details)
    site.studio.store.update(run.id, status=Status.DONE)
    return run.id


def test_an_adapter_of_the_command_line_is_listed_used_renamed_and_deleted(site, tmp_path):
    run = train_on_the_command_line(site, tmp_path / "adapter")
    (book,) = site.page("/library").xpath("//li[@class='book']")
    assert "comet dog" in text_of(book) and "starter, lora, rank 8" in text_of(book)
    assert "trained on the command line" in text_of(book) and not book.xpath(".//a[text()='Download']")
    page = site.page(f"/library/trained/{run}")
    assert facts(page)["Folder"] == str(tmp_path / "adapter") and "Reference" not in facts(page)
    site.client.post(f"/library/trained/{run}/name", data={"name": "Comet"})
    (form,) = page.xpath("//form[button='Use it']/@action")
    there = site.client.post(form).headers["location"]
    reference = facts(site.page(f"/library/trained/{run}"))["Reference"]
    assert there.startswith("/create?adapter=folder%3A") and reference.partition(":")[2] in site.studio.files
    (book,) = site.page("/library").xpath("//li[@class='book']")
    assert "Comet" in text_of(book) and book.xpath(".//a[text()='Download']") and book.xpath(".//a[text()='Use it']")
    assert "stays" in text_of(site.page(f"/library/trained/{run}/delete")), "the folder is the user's own"
    delete_for_good(site, run)
    assert not site.page("/library").xpath("//li[@class='book']") and (tmp_path / "adapter").is_dir()
    assert reference.partition(":")[2] not in site.studio.files


def test_an_adapter_of_the_command_line_that_was_moved_away(site, tmp_path):
    run = train_on_the_command_line(site, tmp_path / "adapter")
    (tmp_path / "adapter").rename(tmp_path / "elsewhere")
    assert "Its files are missing" in text_of(site.page("/library"))
    assert site.client.post(f"/library/trained/{run}/use").status_code == 422
    delete_for_good(site, run)
    assert not site.studio.runs.list()


def test_accounts_do_not_see_adapters_of_the_command_line(guarded, tmp_path):
    run = train_on_the_command_line(guarded, tmp_path / "adapter")
    sign_in(guarded, "ann")
    assert "comet" not in text_of(guarded.page("/library"))
    assert guarded.client.post(f"/library/trained/{run}/use").status_code == 404
    sign_in(guarded, "root", Role.ADMIN)
    assert "comet" in text_of(guarded.page("/library"))


def test_pages_of_the_list_are_full_though_some_trainings_made_nothing(site, tmp_path, monkeypatch):
    monkeypatch.setattr("limner.web.pages.library.SHOWN", 2)
    for word in ("a1", "a2", "a3"):
        train(site, tmp_path, word=word)
    for _ in range(4):
        run = site.studio.store.create(TrainRequest(data="photos", class_word="dog", identifier="none"))
        site.studio.store.update(run.id, status=Status.DONE)
    page = site.page("/library")
    assert [text_of(each) for each in page.xpath("//li//h2")] == ["a3 dog", "a2 dog"]
    assert len(page.xpath("//a[text()='Older ones']")) == 1


def test_an_adapter_in_use_is_not_deleted(site, tmp_path):
    run, reference = train(site, tmp_path)
    site.studio.enqueue(GenerateRequest(prompt="a cat", adapter=[reference]))
    Queue(site.studio.store).claim("w")
    for method in ("GET", "POST"):
        response = site.client.request(method, f"/library/trained/{run}/delete")
        assert response.status_code == 409 and "is being executed; cancel it first" in text_of(tree(response))
    assert reference.partition(":")[2] in site.studio.files


def test_accounts_see_and_change_their_own_adapters_only(guarded, tmp_path):
    run, reference = train(guarded, tmp_path, "ann")
    sign_in(guarded, "bob")
    mine, _ = train(guarded, tmp_path, "bob", word="rex")
    page = guarded.page("/library")
    assert "comet" not in text_of(page) and "rex" in text_of(page)
    assert guarded.client.get("/library", params={"before": run}).status_code == 404
    for method, path in (("GET", ""), ("POST", "/name"), ("GET", "/delete"), ("POST", "/delete")):
        assert guarded.client.request(method, f"/library/trained/{run}{path}").status_code == 404
    assert guarded.client.get(f"/v1/folders/{reference.partition(':')[2]}").status_code == 404
    use(guarded, reference, "carl")
    sign_in(guarded, "ann")
    refused = guarded.client.post(f"/library/trained/{run}/delete")
    assert refused.status_code == 409 and "used by others" in text_of(tree(refused))
    sign_in(guarded, "root", Role.ADMIN)
    assert "by ann" in text_of(guarded.page("/library")) and "by bob" in text_of(guarded.page("/library"))
    assert guarded.studio.runs.get(run).status is Status.DONE and guarded.studio.runs.get(mine)


@pytest.mark.parametrize(
    "metadata",
    [None, [], {}, {"limner": 3}, {"limner": "["}, {"limner": "[" * 100_000}, {"limner": "[]"}],
)
def test_any_header_can_be_read(metadata):
    assert header_facts({"__metadata__": metadata}) in (None, HeaderFacts())


def test_forged_values_of_a_header_are_left_out():
    ours = {
        "method": ["x"],
        "base": 3,
        "licence": "a\x1b[31m\nb" * 99,
        "dataset": {"pictures": "7", "rights": {"licences": 3}},
    }
    found = header_facts({"__metadata__": {"limner": json.dumps(ours)}, "x.lora_A.weight": {"shape": "8"}})
    assert found is not None and (found.method, found.base, found.rank, found.images) == ("", "", None, None)
    assert found.rights == {} and found.licence.isprintable() and len(found.licence) <= 200


@pytest.mark.parametrize(
    "content", [b"", b"\x01", struct.pack("<Q", 2**40), struct.pack("<Q", 4) + b"{{{{", b"\xff" * 99]
)
def test_damaged_weights_are_listed_without_facts(site, tmp_path, content, monkeypatch):
    monkeypatch.setattr(f"{__name__}.weights", lambda ours: content)
    run, _ = train(site, tmp_path)
    wanted = {"Class": "dog", "Base model": "starter", "Method": "lora"}
    assert wanted.items() <= facts(site.page(f"/library/trained/{run}")).items()


# Base models


def model(name: str, gigabytes: float = 2.0, place: Path | None = None, **others):
    values = {"family": "sd", "reference": f"acme/{name}", "memory": 3.5, "licence": "openrail++", "terms": ""} | others
    return SimpleNamespace(name=name, gigabytes=gigabytes, place=place, **{"gated": False, **values})


@pytest.fixture
def models(monkeypatch):
    """Three base models: one of them is included, one can be downloaded, one is too large."""
    found = [model("starter", 0.0, Path("/x"), memory=0.0), model("small"), model("huge", 90_000.0)]
    monkeypatch.setattr("limner.studio.studio.Studio.models", lambda self: found)
    monkeypatch.setattr("limner.studio.library.StudioLibrary.free_gigabytes", lambda self: 100.0)
    return found


class Hub:
    """Downloads as far as a test allows."""

    def __init__(self, error: Exception | None = None) -> None:
        self.go, self.error, self.listener = threading.Event(), error, None

    def __call__(self, model, *, listener):
        self.listener = listener
        listener(Stage(name="downloading, MB"))
        listener(Progress(done=300, total=2000))
        assert self.go.wait(20)
        listener(Progress(done=2000, total=2000))
        if self.error:
            raise self.error
        return Path("/x")


@pytest.fixture
def hub(site):
    made = Hub()
    site.client.app.state.downloads = Downloads(made)
    yield made
    made.go.set()


def state(site) -> str:
    return "".join(site.page("/library/models").xpath("//div[@data-state]/@data-state"))


def test_base_models_with_licence_memory_and_disk(site, models):
    page = site.page("/library/models")
    texts = [text_of(each) for each in page.xpath("//ul[@class='models']/li")]
    assert (
        "needs no GPU" in texts[0]
        and "part of Limner" in texts[0]
        and "Delete" not in texts[0]
        and "Download" not in texts[0]
    )
    assert "openrail++" in texts[1] and "needs a GPU of 3.5 GB" in texts[1] and "Download 2 GB" in texts[1]
    assert "too large for the free disk" in texts[2] and "100.0 GB of disk are free" in text_of(page)
    assert page.xpath("//a[text()='Use it']/@href") == ["/create?model=starter"]


def test_a_download_reports_its_progress_and_its_end(site, models, hub):
    assert site.client.post("/library/models/download", data={"model": "small"}).status_code == 303
    waiting.until("the download", lambda: 'value="300"' in site.client.get("/library/models").text)
    page = site.page("/library/models")
    (bar,) = page.xpath("//progress")
    assert (bar.get("value"), bar.get("max")) == ("300", "2000") and page.xpath("//button[@disabled]")
    part = site.client.get("/library/models", headers=PART)
    assert "<html" not in part.text and "hx-partial" not in part.text and 'value="300"' in part.text
    second = site.client.post("/library/models/download", data={"model": "small"})
    assert second.status_code == 409 and "'small' is being downloaded; wait" in text_of(tree(second))
    hub.go.set()
    waiting.until("the download", lambda: state(site) == "done")
    ended = site.client.get("/library/models", headers=PART)
    assert "hx-get" not in ended.text and tree(ended).xpath("//hx-partial[@hx-target='#models']//li")
    assert site.client.post("/library/models/dismiss").status_code == 303 and state(site) == ""


def test_a_download_can_be_stopped_and_begun_again(site, models, hub):
    site.client.post("/library/models/download", data={"model": "small"})
    waiting.until("the download", lambda: hub.listener is not None)
    site.client.post("/library/models/stop")
    assert state(site) == "stopping"
    hub.go.set()
    waiting.until("the download", lambda: state(site) == "stopped")
    assert site.client.post("/library/models/download", data={"model": "small"}).status_code == 303
    waiting.until("the download", lambda: state(site) == "done")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (LimnerError("the hub cannot be reached", "connect this machine"), "cannot be reached; connect this machine"),
        (KeyError("x" * 9), "the download failed (KeyError); try again"),
    ],
)
def test_a_failed_download_says_why(site, models, hub, error, text, caplog):
    hub.error = error
    hub.go.set()
    site.client.post("/library/models/download", data={"model": "small"})
    waiting.until("the download", lambda: state(site) == "failed")
    assert text in text_of(site.page("/library/models"))


def test_a_real_download_without_a_hub_says_so(site):
    site.client.post("/library/models/download", data={"model": "sd15"})
    waiting.until("the download", lambda: state(site) == "failed", 60)
    (error,) = site.page("/library/models").xpath("//div[@data-state]//p[@class='error']")
    assert "sd15 was not downloaded" in text_of(error) and ";" in text_of(error)


def test_an_unknown_model_is_refused(site, models, hub):
    for name in ("nosuch", "", "<b>/../etc", "acme/other"):
        response = site.client.post("/library/models/download", data={"model": name})
        assert response.status_code == 422 and "unknown base model" in text_of(tree(response)) and state(site) == ""


def test_only_admins_download(guarded, models):
    for role in (Role.MAKER, Role.VIEWER):
        sign_in(guarded, f"{role}", role)
        page = guarded.page("/library/models")
        assert not page.xpath("//main//form") and "An admin can download models" in text_of(page)
        for action in ("download", "delete", "stop", "dismiss"):
            assert guarded.client.post(f"/library/models/{action}", data={"model": "small"}).status_code == 403
    sign_in(guarded, "root", Role.ADMIN)
    assert guarded.page("/library/models").xpath("//main//form")


def test_one_download_at_a_time():
    hub = Hub(Interrupted("x"))
    downloads = Downloads(hub)
    downloads.dismiss()
    downloads.stop()
    assert downloads.current is None
    downloads.start("a")
    with pytest.raises(Busy):
        downloads.start("b")
    downloads.dismiss()
    assert downloads.current is not None and downloads.current.model == "a"
    hub.go.set()
    waiting.until("the download", lambda: not downloads.current.active)
    assert downloads.current.state == "stopped"


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 bytes"), (1500, "1.5 kB"), (6_200_000, "6.2 MB"), (2 * 10**9, "2.0 GB")]
)
def test_sizes_in_words(size, text):
    assert size_text(size) == text


def test_a_downloaded_model_is_deleted(site, models, monkeypatch):
    models[1].place = Path("/x")
    monkeypatch.setattr("limner.models.catalog.delete", lambda name: 2_100_000_000)
    page = site.page("/library/models")
    assert page.xpath("//form[contains(@action, 'delete')]//input/@value") == ["small"]
    done = site.client.post("/library/models/delete", data={"model": "small"})
    assert "2.1 GB of disk are free again" in text_of(site.page(done.headers["location"]))


def test_what_cannot_be_deleted_is_said(site, models, hub):
    starter = site.client.post("/library/models/delete", data={"model": "starter"})
    assert starter.status_code == 422 and "'starter' is part of Limner and cannot be deleted" in text_of(tree(starter))
    site.client.post("/library/models/download", data={"model": "small"})
    busy = site.client.post("/library/models/delete", data={"model": "small"})
    assert busy.status_code == 409 and "stop the download first" in text_of(tree(busy))


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", [{}, PHONE], ids=["desktop", "phone"])
def test_pages_of_the_library_fit_and_have_no_serious_finding(home, browser, device, scheme, tmp_path):
    with serving.service(home, workers=0) as running, closing(Studio(home)) as studio:
        site = SimpleNamespace(studio=studio)
        run, reference = train(site, tmp_path)
        use(site, reference)
        with opened(browser, running.call.address, color_scheme=scheme, **device) as page:
            for place in ("", f"/trained/{run}", f"/trained/{run}/delete", "/models"):
                page.goto(f"/library{place}")
                assert overflow(page) == 0, place
                assert serious_findings(page) == [], place


def test_an_adapter_is_renamed_and_deleted_in_a_browser(home, browser, tmp_path):
    with serving.service(home, workers=0) as running, closing(Studio(home)) as studio:
        train(SimpleNamespace(studio=studio), tmp_path)
        with opened(browser, running.call.address) as page:
            page.goto("/library")
            page.get_by_role("link", name="comet dog", exact=True).click()
            page.get_by_label("Name").fill("Comet of Ann")
            page.get_by_role("button", name="Rename").click()
            page.get_by_role("heading", name="Comet of Ann").wait_for()
            page.get_by_role("link", name="Delete …").click()
            page.get_by_role("button", name="Delete", exact=True).click()
            page.get_by_text("Nothing trained yet").wait_for()
            page.get_by_text("Deleted (1)").click()
            page.get_by_role("button", name="Put back").click()
            page.get_by_role("link", name="Comet of Ann", exact=True).wait_for()
