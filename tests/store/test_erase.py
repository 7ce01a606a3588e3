"""Tests of erasure, retention and orphans."""

import hashlib
import os
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from limner.core.accounts import Caller
from limner.core.errors import LimnerError
from limner.core.events import ArtifactCreated, ArtifactKind, Notice
from limner.core.feedback import ImageQuery, Rating
from limner.core.moderation import CheckStage, Verdict
from limner.core.requests import GenerateRequest, TrainRequest
from limner.core.runs import Artifact, Status
from limner.store import erase as erasing
from limner.store.blobs import Blobs
from limner.store.erase import EraseSelection, InUse, RunInProgress
from limner.store.feedback import FeedbackStore
from limner.store.idempotency import StoredResponse
from limner.store.images import ImageIndex, Viewer
from limner.store.locks import run_lock
from limner.store.prune import owner_file
from limner.store.queue import Queue
from limner.store.tables import GrantRow, RunRow
from limner.studio.studio import Studio


class Household:
    """A dataset that was brought in, an adapter that was trained on it, and a picture that was painted with that."""

    def __init__(self, studio: Studio, folder: Path) -> None:
        self.studio, self.scratch = studio, folder
        data = {"a.png": b"a face", "b.png": b"a tree", "a.txt": b"a photo"}
        self.data = studio.files.upload(self.folder("data", data), Caller(account="ann"))
        self.train = self.run(TrainRequest(data=self.data, class_word="person"), owner="ann")
        learnt = self.folder("adapter", {"weights": b"of a face", "README": b"x"})
        self.adapter = self.made(self.train, "adapter", learnt)
        use: Any = ({"path": self.adapter},)
        self.paint = self.run(GenerateRequest(prompt="a", adapter=use), owner="bob")
        self.picture = self.made(self.paint, "picture", self.file("picture", b"of a face, on the beach"))
        self.over = self.run(GenerateRequest(prompt="b", image=self.picture), owner="bob")
        self.second = self.made(self.over, "picture", self.file("second", b"of a face, in snow"))
        self.other = self.run(GenerateRequest(prompt="c"), owner="cleo")
        self.tree = self.made(self.other, "picture", self.file("tree", b"a tree"))  # the same bytes as one of the data

    def run(self, request: Any, owner: str) -> str:
        run = self.studio.enqueue(request, caller=Caller(account=owner))
        self.studio.store.add_event(run.id, Notice(text="began"))
        (self.studio.store.folder(run.id) / owner_file(self.studio.store)).touch()
        self.studio.store.update(run.id, status=Status.DONE, finished=datetime.now(UTC))
        return run.id

    def add_image(self, run: str, name: str) -> Artifact:
        """An image of a run, in its working folder and stored."""
        place = self.studio.store.folder(run) / "out-1" / "e" / f"{name}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(f"image {name}".encode())
        reference = self.studio.files.save(place)
        sha256 = reference.removeprefix("sha256:")
        return self.studio.store.add_artifact(run, "picture", place, sha256, {"reference": reference})

    def made(self, run: str, kind: str, place: Path) -> str:
        reference = self.studio.files.save(place)
        sha256 = self.studio.files.put(place / "weights" if place.is_dir() else place)
        details = {"reference": reference, "base": {"sha256": "b" * 64}}
        self.studio.store.add_artifact(run, kind, self.studio.store.folder(run) / "out", sha256, details)
        return reference

    def file(self, name: str, body: bytes) -> Path:
        (self.scratch / name).write_bytes(body)
        return self.scratch / name

    def folder(self, name: str, files: dict[str, bytes]) -> Path:
        (self.scratch / name).mkdir()
        for inner, body in files.items():
            (self.scratch / name / inner).write_bytes(body)
        return self.scratch / name

    @property
    def runs(self) -> set[str]:
        return {run.id for run in self.studio.store.list(100)}

    @property
    def bodies(self) -> set[bytes]:
        """The bytes of all stored files except manifests."""
        found = {self.studio.files.path(blob.sha256).read_bytes() for blob in self.studio.files}
        return {body for body in found if not body.startswith(b"{")}


@pytest.fixture
def house(home: Path, database: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Household]:
    if database is not None:
        monkeypatch.setenv("LIMNER_DATABASE", database)
    (tmp_path / "scratch").mkdir()
    studio = Studio()
    yield Household(studio, tmp_path / "scratch")
    studio.store.close()


def test_a_run_is_erased_only_with_the_runs_that_use_its_results(house: Household) -> None:
    before, all_runs = house.bodies, house.runs
    with pytest.raises(InUse, match=f"run {house.train} cannot go alone: 2 were made with it") as caught:
        house.studio.maintenance.erase(EraseSelection(runs=(house.train,)))
    assert caught.value.by == [f"run {house.paint} (generate)", f"run {house.over} (generate)"]
    assert (house.bodies, house.runs) == (before, all_runs)
    dry = house.studio.maintenance.erase(EraseSelection(runs=(house.train,)), derived=True, dry=True)
    assert (house.bodies, house.runs) == (before, all_runs), "a dry run changes nothing"
    done = house.studio.maintenance.erase(EraseSelection(runs=(house.train,)), derived=True)
    assert done == dry
    assert (done.runs, done.derived) == ([house.train], [house.paint, house.over])
    assert house.runs == {house.other}
    assert house.bodies == {b"a face", b"a tree", b"a photo"}, "the data stay until they are asked for"
    assert [path.name for path in (house.studio.home / "runs").iterdir()] == [house.other]
    assert house.studio.store.artifacts(house.train) == [] and house.studio.store.events(house.paint) == []


@pytest.mark.parametrize(("more", "end"), [(2, r"\); erase those too"), (3, r"; \.\.\.\); erase those too")])
def test_at_most_five_derived_runs_are_named(house: Household, more: int, end: str) -> None:
    for prompt in range(more):
        house.run(TrainRequest(data=house.data, class_word=f"person {prompt}"), owner="ann")
    with pytest.raises(
        InUse, match=rf"cannot go alone: {3 + more} were made with it \(([^;]+; ){{4}}[^;]+{end}"
    ) as caught:
        house.studio.maintenance.erase(EraseSelection(references=(house.data,)))
    assert len(caught.value.by) == 3 + more


def test_all_runs_of_other_accounts_are_counted(house: Household) -> None:
    with pytest.raises(InUse, match=r"is used by others \(2\); ask an admin to erase it") as caught:
        house.studio.maintenance.erase(EraseSelection(runs=(house.train,), scope="ann"), derived=True)
    assert caught.value.by == ["a run of another account"] * 2 and len(house.runs) == 4


def test_what_an_account_shared_is_erased_with_its_run(house: Household) -> None:
    house.studio.accounts.add_key("dan")
    house.studio.files.grants.share("bob", house.second, 1, "dan")
    house.studio.maintenance.erase(EraseSelection(runs=(house.over,), scope="bob"))
    assert house.studio.files.grants.missing("dan", [house.second]) == [house.second]
    assert b"of a face, in snow" not in house.bodies


def test_an_unused_run_is_erased_alone(house: Household) -> None:
    done = house.studio.maintenance.erase(EraseSelection(runs=(house.over[:-1],)))
    assert (done.runs, done.derived, len(done.files)) == ([house.over], [], 1)
    assert b"of a face, in snow" not in house.bodies and b"of a face, on the beach" in house.bodies


def test_a_result_that_two_runs_made_derives_from_neither_alone(house: Household) -> None:
    twin = house.run(GenerateRequest(prompt="a"), owner="cleo")
    assert house.made(twin, "picture", house.scratch / "picture") == house.picture
    assert house.studio.maintenance.erase(EraseSelection(runs=(twin,))).runs == [twin], (
        "the picture that was painted over has its maker"
    )
    assert b"of a face, on the beach" in house.bodies


def test_a_dataset_is_erased_with_all_that_was_trained_on_it(house: Household) -> None:
    with pytest.raises(InUse, match=r"folder:.* cannot go alone: 3 were made with it"):
        house.studio.maintenance.erase(EraseSelection(references=(house.data,)))
    done = house.studio.maintenance.erase(EraseSelection(references=(house.data,)), derived=True)
    assert done.derived == [house.train, house.paint, house.over] and done.uploads == [house.data]
    assert house.bodies == {b"a tree"}, "what another run made too stays"
    assert house.runs == {house.other} and [grant.reference for grant in house.studio.files.grants.list()] == []


def test_one_image_of_a_dataset(house: Household) -> None:
    face = house.studio.files.put(house.file("face", b"a face"))
    with pytest.raises(InUse) as caught:
        house.studio.maintenance.erase(EraseSelection(references=(f"sha256:{face}",)))
    assert house.data in caught.value.by, "the dataset that holds it is named"
    house.studio.maintenance.erase(EraseSelection(references=(f"sha256:{face}",)), derived=True)
    assert house.bodies == {b"a tree"} and house.runs == {house.other}


def test_all_data_of_an_account(house: Household) -> None:
    with pytest.raises(InUse, match="all data of 'ann' cannot go alone"):
        house.studio.maintenance.erase(EraseSelection(owner="ann"))
    assert house.studio.maintenance.erase(EraseSelection(owner="bob")).runs == [house.paint, house.over]
    assert house.studio.maintenance.erase(EraseSelection(owner="ann")).runs == [house.train]
    assert house.bodies == {b"a tree"}
    assert house.studio.maintenance.erase(EraseSelection(owner="nobody")).runs == []


def test_the_ratings_webhooks_and_verdicts_of_an_owner_are_erased_too(house: Household) -> None:
    """The mean of a picture is that of the ratings that are left."""
    pictures, feedback = ImageIndex(house.studio.store), FeedbackStore(house.studio.store)
    (picture,) = pictures.list(Viewer(), ImageQuery(run=house.other))
    feedback.rate(Viewer("dan"), picture.id, Rating(stars=1))
    feedback.rate(Viewer("cleo"), picture.id, Rating(stars=5))
    policy = hashlib.sha256(b"a policy").hexdigest()
    house.studio.verdicts.save_policy(policy, "a policy")
    for owner in ("dan", "cleo"):
        house.studio.webhooks.add(owner, "https://a.example/", ("run.done",))
        verdict = Verdict(stage=CheckStage.PROMPT, subject="a" * 64, check="words", allowed=False, category="violence")
        house.studio.verdicts.add([verdict], policy, owner=owner, text=f"words of {owner}")
    house.studio.maintenance.erase(EraseSelection(owner="dan"))
    left = pictures.get(Viewer(), picture.id)
    assert (left.ratings, left.mean) == (1, 5)
    assert [hook.owner for hook in house.studio.webhooks.list(None)] == ["cleo"]
    assert [each.text for each in house.studio.verdicts.list(99) if each.text] == ["words of cleo"]


def test_an_upload_of_two_accounts_stays_for_the_other(house: Household) -> None:
    assert house.studio.files.upload(house.scratch / "data", Caller(account="dan")) == house.data
    house.studio.maintenance.erase(EraseSelection(owner="bob"))
    house.studio.maintenance.erase(EraseSelection(owner="ann"))
    assert [grant.reference for grant in house.studio.files.grants.list()] == [house.data] and b"a face" in house.bodies


def test_runs_with_an_upload_of_two_accounts_stay_for_the_other(house: Household) -> None:
    house.studio.files.upload(house.scratch / "data", Caller(account="dan"))
    of_dan = house.run(TrainRequest(data=house.data, class_word="dog"), owner="dan")
    house.studio.maintenance.erase(EraseSelection(owner="bob"))
    assert house.studio.maintenance.erase(EraseSelection(owner="ann")).runs == [house.train]
    assert of_dan in house.runs and b"a face" in house.bodies


def test_stored_responses_of_an_account_without_runs_are_erased(house: Household) -> None:
    records = house.studio.idempotency_records(timedelta(hours=1))
    for account in ("dan", "eve"):
        records.begin(account, "k", "d" * 64)
        records.save(account, "k", StoredResponse(200, {}, b"of dan"))
    house.studio.maintenance.erase(EraseSelection(owner="dan"))
    assert records.begin("dan", "k", "d" * 64) is None
    assert records.begin("eve", "k", "d" * 64) == StoredResponse(200, {}, b"of dan")


def four_images(house: Household) -> tuple[str, list[int]]:
    """A run of bob with four images, and their ids."""
    run = house.run(GenerateRequest(prompt="e", count=4), owner="bob")
    for name in ("one", "two", "three", "four"):
        made = house.add_image(run, name)
        house.studio.store.add_event(run, ArtifactCreated(what=ArtifactKind.IMAGE, path=made.path, sha256=made.sha256))
    return run, ImageIndex(house.studio.store).of_run(Viewer(), run)


def test_one_image_of_four_is_erased_alone(house: Household, tmp_path: Path) -> None:
    run, ids = four_images(house)
    images, feedback = ImageIndex(house.studio.store), FeedbackStore(house.studio.store)
    for image in ids:
        feedback.rate(Viewer("bob"), image, Rating(stars=4))
    before = house.bodies
    gone = images.get(Viewer(), ids[1])
    dry = house.studio.maintenance.erase(EraseSelection(images=(ids[1],)), dry=True)
    assert images.of_run(Viewer(), run) == ids and house.bodies == before and Path(gone.path).exists()
    done = house.studio.maintenance.erase(EraseSelection(images=(ids[1],), scope="bob"))
    assert done == dry and (done.runs, done.images, len(done.files)) == ([], [ids[1]], 1)
    assert house.bodies == before - {b"image two"} and not Path(gone.path).exists()
    assert house.studio.runs.get(run).status is Status.DONE
    assert images.of_run(Viewer(), run) == [ids[0], *ids[2:]]
    assert [image.mine and image.mine.stars for image in images.some(Viewer("bob"), ids)] == [4, 4, 4]
    assert all(Path(each.path).exists() for each in house.studio.runs.artifacts(run))
    events = [event for _, _, event in house.studio.runs.events(run) if isinstance(event, ArtifactCreated)]
    assert len(events) == 3 and gone.sha256 not in {event.sha256 for event in events}
    house.studio.maintenance.backup(tmp_path / "backup.zip")
    with zipfile.ZipFile(tmp_path / "backup.zip") as archive:
        assert f"files/{gone.sha256}" not in archive.namelist()
        assert gone.sha256.encode() not in b"".join(archive.read(name) for name in archive.namelist())
    with pytest.raises(LimnerError, match=f"there is no image {ids[1]}"):
        house.studio.maintenance.erase(EraseSelection(images=(ids[1],)))


def test_a_run_whose_images_are_all_erased_goes_with_them(house: Household) -> None:
    run, ids = four_images(house)
    house.studio.maintenance.erase(EraseSelection(images=tuple(ids[:3])))
    assert run in house.runs
    done = house.studio.maintenance.erase(EraseSelection(images=(ids[3],)))
    assert (done.runs, done.images) == ([run], []) and run not in house.runs


def test_an_image_that_another_run_used_is_erased_only_with_it(house: Household) -> None:
    run, ids = four_images(house)
    used = ImageIndex(house.studio.store).get(Viewer(), ids[0]).reference
    over = house.run(GenerateRequest(prompt="f", image=used), owner="bob")
    house.add_image(over, "over")
    with pytest.raises(InUse, match=f"image {ids[0]} cannot go alone: 1 was made with it") as caught:
        house.studio.maintenance.erase(EraseSelection(images=(ids[0],)))
    assert caught.value.by == [f"run {over} (generate)"]
    assert house.studio.maintenance.erase(EraseSelection(images=(ids[1],))).derived == [], "nobody used this one"
    done = house.studio.maintenance.erase(EraseSelection(images=(ids[0],)), derived=True)
    assert (done.derived, done.images) == ([over], [ids[0]])
    assert {run, house.other} <= house.runs and over not in house.runs
    assert not {b"image one", b"image over"} & house.bodies and b"image three" in house.bodies


def test_an_image_whose_bytes_another_run_made_too_leaves_its_file(house: Household) -> None:
    _, ids = four_images(house)
    twin = house.run(GenerateRequest(prompt="g"), owner="cleo")
    house.add_image(twin, "one")
    used = ImageIndex(house.studio.store).get(Viewer(), ids[0]).reference
    house.run(GenerateRequest(prompt="h", image=used), owner="cleo")
    done = house.studio.maintenance.erase(EraseSelection(images=(ids[0],), scope="bob"))
    assert (done.derived, done.files) == ([], []) and b"image one" in house.bodies


def test_converted_copies_and_verdicts_and_shares_of_an_image_go_with_it(house: Household) -> None:
    run, ids = four_images(house)
    gone, stays = (ImageIndex(house.studio.store).get(Viewer(), each) for each in ids[:2])
    (artifact,) = (each for each in house.studio.runs.artifacts(run) if each.id == ids[0])
    house.studio.images.add_copy(artifact, house.file("copy", b"image one as jpeg"), "jpeg")
    policy = hashlib.sha256(b"a policy").hexdigest()
    house.studio.verdicts.save_policy(policy, "a policy")
    for image in (gone, stays):
        verdict = Verdict(stage=CheckStage.IMAGE, subject=image.sha256, check="words", allowed=True)
        house.studio.verdicts.add([verdict], policy, run=run, owner="bob")
    house.studio.accounts.add_key("dan")
    for image in (gone, stays):
        house.studio.files.grants.share("bob", image.reference, 1, "dan")
    house.studio.maintenance.erase(EraseSelection(images=(ids[0],), scope="bob"))
    assert not {b"image one", b"image one as jpeg"} & house.bodies
    assert [each.subject for each in house.studio.verdicts.list(99, run=run, stage=CheckStage.IMAGE)] == [stays.sha256]
    assert house.studio.files.grants.missing("dan", [gone.reference, stays.reference]) == [gone.reference]


def test_an_image_of_a_running_run_or_of_another_account_is_not_erased(house: Household) -> None:
    run, ids = four_images(house)
    with pytest.raises(InUse, match="is used by others"):
        house.studio.maintenance.erase(EraseSelection(images=(ids[0],), scope="ann"), derived=True)
    house.studio.store.update(run, status=Status.RUNNING, queue="default")
    with pytest.raises(RunInProgress, match=f"run {run} is being executed"):
        house.studio.maintenance.erase(EraseSelection(images=(ids[0],)))
    assert ImageIndex(house.studio.store).of_run(Viewer(), run) == ids


def test_images_that_another_machine_erased_are_removed_from_working_folders(house: Household) -> None:
    run, ids = four_images(house)
    folder = house.studio.store.folder(run) / "out-1" / "e"
    left = folder / "erased.png"
    left.write_bytes(b"erased elsewhere")
    house.studio.maintenance.clean()
    assert not left.exists() and len(list(folder.iterdir())) == len(ids)


def test_a_running_run_is_not_erased(house: Household) -> None:
    run = house.studio.enqueue(GenerateRequest(prompt="d"))
    queue = Queue(house.studio.store)
    assert queue.claim("a worker") != []
    with pytest.raises(RunInProgress, match=f"run {run.id} is being executed; cancel it first"):
        house.studio.maintenance.erase(EraseSelection(runs=(run.id,)))
    assert run.id in house.runs


def test_a_run_of_another_program_is_not_erased(house: Household) -> None:
    run = house.studio.submit(GenerateRequest(prompt="d"))
    house.studio.store.update(run.id, status=Status.RUNNING)
    with (
        run_lock(house.studio.store.folder(run.id)),
        pytest.raises(RunInProgress, match=f"run {run.id} is being executed"),
    ):
        house.studio.maintenance.erase(EraseSelection(runs=(run.id,)))
    assert house.studio.maintenance.erase(EraseSelection(runs=(run.id,))).runs == [run.id], "its program ended"


def test_a_file_that_is_uploaded_while_it_is_erased_stays(house: Household, monkeypatch: pytest.MonkeyPatch) -> None:
    remove = erasing.remove_files

    def uploaded_before(*given: Any, **more: Any) -> None:
        house.studio.files.upload(house.scratch / "second", Caller(account="dan"))
        remove(*given, **more)

    monkeypatch.setattr(erasing, "remove_files", uploaded_before)
    assert len(house.studio.maintenance.erase(EraseSelection(runs=(house.over,))).files) == 1
    assert b"of a face, in snow" in house.bodies


def test_results_outside_of_the_home_are_listed_and_stay(house: Household, tmp_path: Path) -> None:
    run = house.studio.submit(GenerateRequest(prompt="d"))
    here, gone, second = house.file("mine.png", b"mine"), tmp_path / "gone.png", house.file("a.png", b"second")
    for place in (here, gone, house.studio.store.folder(run.id) / "own.png", second):
        house.studio.store.add_artifact(run.id, "picture", place, "0" * 64)
    house.studio.store.update(run.id, status=Status.DONE)
    assert house.studio.maintenance.erase(EraseSelection(runs=(run.id,))).left == [str(here), str(second)]
    assert here.exists() and second.exists()


@pytest.mark.parametrize("reference", ["sha256:1", "folder:", "a" * 64])
def test_an_invalid_reference_is_not_erased(house: Household, reference: str) -> None:
    with pytest.raises(LimnerError, match="is not a reference"):
        house.studio.maintenance.erase(EraseSelection(references=(reference,)))


def test_a_crash_leaves_no_broken_reference_and_its_files_go_later(
    house: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(sha256: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(house.studio.files, "remove", dies)
        house.studio.maintenance.erase(EraseSelection(runs=(house.over,)))
    assert house.over not in house.runs and b"of a face, in snow" in house.bodies
    house.studio.maintenance.erasures.finish()
    assert b"of a face, in snow" not in house.bodies and b"of a face, on the beach" in house.bodies
    left = {path.name for path in (house.studio.home / "runs").iterdir()}
    assert left == house.runs


def test_files_of_another_database_are_no_orphans(
    house: Household, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.studio.maintenance.check_files()
    monkeypatch.delenv("LIMNER_DATABASE", raising=False)
    other = Studio(tmp_path / "other", files=str(house.studio.home / "files"))
    other.maintenance.check_files()
    age(house)
    for studio in (house.studio, other):
        with pytest.raises(LimnerError, match="1 other databases use these files too"):
            studio.maintenance.prune(None)
    (house.studio.home / "runs" / "of-another").mkdir()
    (house.studio.home / "runs" / "of-another" / owner_file(other.store)).touch()
    house.studio.maintenance.clean()
    assert (house.studio.home / "runs" / "of-another").exists()
    assert len(house.bodies) == 7
    other.store.close()


def test_copies_of_what_another_machine_erased_are_removed(house: Household) -> None:
    files, copies = house.studio.files, house.studio.home / "cache" / "files"
    for reference in (house.second, house.picture):
        files.local_path(reference, ".png")
    files.local_path(house.data)
    there = Blobs(files.url, house.scratch / "cache of another machine")
    there.remove(house.second.partition(":")[2])
    house.studio.maintenance.clean()
    assert {path.name for path in copies.iterdir()} == {
        f"{house.picture.partition(':')[2]}.png",
        f"{house.data.partition(':')[2]}.folder",
    }


def age(house: Household) -> None:
    for path in [*(house.studio.home / "files").rglob("*"), *(house.studio.home / "runs").iterdir()]:
        os.utime(path, (0, 0))


def long_ago(house: Household, *runs: str) -> None:
    then = datetime.now(UTC) - timedelta(days=100)
    with house.studio.store.session() as session:
        session.execute(update(RunRow).where(RunRow.id.in_(runs)).values(created=then, finished=then))


def test_old_runs_are_pruned_unless_newer_ones_use_them(house: Household) -> None:
    long_ago(house, house.train, house.paint, house.other)
    done = house.studio.maintenance.prune(timedelta(days=30))
    assert done.runs == [house.other], "the last picture stands on the others"
    long_ago(house, house.over)
    (picture,) = ImageIndex(house.studio.store).list(Viewer(), ImageQuery(run=house.paint))
    FeedbackStore(house.studio.store).set_favourite(Viewer(), picture.id, True)
    pruned = house.studio.maintenance.prune(timedelta(days=30))
    assert pruned.runs == [house.over], "a favourite stays, and what it stands on"
    FeedbackStore(house.studio.store).set_favourite(Viewer(), picture.id, False)
    protected = house.studio.maintenance.prune(timedelta(days=30), protected=[house.adapter])
    assert protected.runs == [house.paint] and b"of a face" in house.bodies
    assert house.studio.maintenance.prune(timedelta(days=30)).runs == [house.train]
    assert house.runs == set() and house.bodies == {b"a face", b"a tree", b"a photo"}, "an upload of today"
    assert house.studio.maintenance.prune(timedelta(0)).uploads == [house.data]
    assert house.bodies == set()


def test_uploads_in_use_and_shared_results_are_not_pruned(house: Household) -> None:
    studio = house.studio
    for account in ("ann", "dan"):
        studio.accounts.add_key(account)
    unused = studio.files.upload(house.file("unused", b"unused"), Caller(account="ann"))
    for shared in (house.second, unused):
        studio.files.grants.share(None, shared, 1, "dan")
    with studio.store.session() as session:
        session.execute(update(GrantRow).values(created=datetime.now(UTC) - timedelta(days=100)))
    assert studio.maintenance.prune(timedelta(days=30)).uploads == [unused]
    assert {grant.reference for grant in studio.files.grants.list()} == {house.data, house.second}


def test_protected_files_are_no_orphans(house: Household) -> None:
    reference = house.studio.files.save(house.file("base", b"a profile's base"))
    age(house)
    assert (
        house.studio.maintenance.prune(None, protected=[f"- {reference}"]).orphans == 0
        and b"a profile's base" in house.bodies
    )
    assert house.studio.maintenance.prune(None).orphans == 1 and b"a profile's base" not in house.bodies


def test_protected_files_stay_without_a_grant(house: Household) -> None:
    reference = house.studio.files.save(house.file("base", b"a profile's base"))
    long_ago(house, run := house.run(GenerateRequest(prompt="d", image=reference), owner="bob"))
    assert house.studio.maintenance.prune(timedelta(days=30), protected=[reference]).runs == [run]
    assert b"a profile's base" in house.bodies


def test_queued_runs_are_not_pruned(house: Household) -> None:
    run = house.studio.enqueue(GenerateRequest(prompt="d"))
    long_ago(house, run.id)
    assert run.id not in house.studio.maintenance.prune(timedelta(days=30)).runs and run.id in house.runs


def test_what_an_erased_account_shared_is_revoked(house: Household) -> None:
    grants = house.studio.files.grants
    uploaded = house.studio.files.upload(house.file("shared", b"of ann"), Caller(account="ann"))
    house.studio.accounts.add_key("dan")
    grants.share("ann", uploaded, 6, "dan")
    assert grants.missing("dan", {uploaded}) == []
    house.studio.maintenance.erase(EraseSelection(owner="ann"), derived=True)
    assert grants.missing("dan", {uploaded}) == [uploaded] and b"of ann" not in house.bodies
