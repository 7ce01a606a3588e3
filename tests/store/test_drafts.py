"""Drafts: changes, owners, and the files that they keep or lose."""

from __future__ import annotations

import io
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import update

from limner.core.accounts import Caller, Role
from limner.core.errors import LimnerError
from limner.store.drafts import KEPT
from limner.store.erase import EraseSelection
from limner.store.prune import remove_orphans
from limner.store.tables import DraftRow, GrantRow
from limner.studio.drafts import free_name
from limner.studio.studio import Studio

ANN = Caller(account="ann", role=Role.MAKER)


@pytest.fixture
def studio(tmp_path: Path):
    made = Studio(tmp_path / "home")
    yield made
    made.close()


def add_image(studio: Studio, tmp_path: Path, draft: str, colour: str = "red", caller: Caller = ANN) -> str:
    out = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(out, "PNG")
    place = tmp_path / "in.png"
    place.unlink(missing_ok=True)
    place.write_bytes(out.getvalue())
    return studio.drafts.add_image(caller, draft, place, f"{colour}.png").image.sha256


def age(studio: Studio, days: float) -> None:
    """Make all drafts and uploads so much older."""
    then = datetime.now(UTC) - timedelta(days=days)
    with studio.store.writing() as session:
        session.execute(update(DraftRow).values(saved=then, created=then))
        session.execute(update(GrantRow).values(created=then))


def test_every_change_has_a_version_and_none_is_lost(studio, tmp_path):
    draft = studio.drafts.add("ann")
    assert studio.drafts.change("ann", draft.id, lambda before: before) == draft, "nothing changed"

    def append(letter: str) -> None:
        for _ in range(10):
            studio.drafts.change("ann", draft.id, lambda d: d.with_choices(fields={"text": d.text("text") + letter}))

    threads = [threading.Thread(target=append, args=(letter,)) for letter in "abc"]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    after = studio.drafts.get("ann", draft.id)
    assert sorted(after.text("text")) == sorted("abc" * 10) and after.version == draft.version + 30


def test_a_draft_belongs_to_its_account(studio):
    draft = studio.drafts.add("ann")
    for action in (studio.drafts.get, lambda *names: studio.drafts.change(*names, lambda before: before)):
        with pytest.raises(LimnerError, match="there is no draft"):
            action("bob", draft.id)
    assert studio.drafts.list("bob") == [] and [each.id for each in studio.drafts.list("ann")] == [draft.id]


def test_a_deleted_draft_goes_after_a_day(studio):
    draft = studio.drafts.add("ann")
    studio.drafts.change("ann", draft.id, lambda before: before.with_choices(removed=True))
    assert studio.drafts.list("ann") == []
    studio.drafts.add("ann")
    assert studio.drafts.get("ann", draft.id).choices.removed, "it can still be restored"
    age(studio, KEPT / timedelta(days=1) + 1)
    studio.drafts.add("ann")
    with pytest.raises(LimnerError):
        studio.drafts.get("ann", draft.id)


def test_the_images_of_a_draft_stay_while_it_does(studio, tmp_path):
    draft = studio.drafts.add("ann")
    sha256 = add_image(studio, tmp_path, draft.id)
    with studio.store.writing() as session:
        session.execute(update(GrantRow).values(created=datetime.now(UTC) - timedelta(days=50)))
    studio.maintenance.prune(timedelta(days=30))
    remove_orphans(studio.store, studio.files)
    assert sha256 in studio.files and studio.drafts.get("ann", draft.id).shown
    age(studio, 50)
    studio.maintenance.prune(timedelta(days=30))
    assert sha256 not in studio.files and studio.drafts.list("ann") == []


def test_an_erased_image_leaves_the_drafts_of_its_account(studio, tmp_path):
    draft = studio.drafts.add("ann")
    gone, kept = (add_image(studio, tmp_path, draft.id, colour) for colour in ("red", "blue"))
    copies = [studio.drafts.thumbnail(studio.drafts.get("ann", draft.id), each) for each in (gone, kept)]
    assert all(copy.exists() for copy in copies)
    bob = Caller(account="bob", role=Role.MAKER)
    other = studio.drafts.add("bob")
    assert add_image(studio, tmp_path, other.id, "red", bob) == gone
    studio.maintenance.erase(EraseSelection(references=(f"sha256:{gone}",), scope="ann"))
    assert [image.sha256 for image in studio.drafts.get("ann", draft.id).images] == [kept]
    assert [image.sha256 for image in studio.drafts.get("bob", other.id).images] == [gone] and gone in studio.files
    studio.maintenance.erase(EraseSelection(owner="bob"))
    assert gone not in studio.files and [copy.exists() for copy in copies] == [False, True], "no small copy is left"


def test_erasing_an_account_erases_its_drafts(studio, tmp_path):
    draft, other = studio.drafts.add("ann"), studio.drafts.add("bob")
    sha256 = add_image(studio, tmp_path, draft.id)
    studio.maintenance.erase(EraseSelection(owner="ann"))
    assert studio.drafts.list("ann") == [] and sha256 not in studio.files
    assert [each.id for each in studio.drafts.list("bob")] == [other.id]


def test_a_folder_of_a_draft_holds_its_images_captions_and_crops(studio, tmp_path):
    draft = studio.drafts.add("ann")
    red, blue = (add_image(studio, tmp_path, draft.id, colour) for colour in ("red", "blue"))
    studio.drafts.change("ann", draft.id, lambda d: d.with_image(red, caption="a “red” dog"))
    after = studio.drafts.change("ann", draft.id, lambda d: d.with_image(blue, crop=(10, 8, 42, 40)))
    reference = studio.drafts.folder_of(ANN, after.shown)
    place = studio.files.local_path(reference)
    assert sorted(path.name for path in place.iterdir()) == ["blue.png", "metadata.jsonl", "red.png"]
    assert '"red.png"' in (place / "metadata.jsonl").read_text()
    with Image.open(place / "blue.png") as cropped, Image.open(place / "red.png") as whole:
        assert cropped.size == (32, 32) and whole.size == (64, 48)
    assert studio.files.may_use(ANN, reference)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.png", "a (2).png"),
        ("b", "b.jpg"),
        ("x/y/c.JPG", "c.JPG"),
        ("C:\\photos\\d.webp", "d.webp"),
        ("..", "image.jpg"),
        (".png", "image.png"),
        ("", "image.jpg"),
        ("\ud800.png", "image.png"),
        ("é" * 300 + ".png", "é" * 90 + ".jpg"),
    ],
)
def test_file_names_are_free_safe_and_not_hidden(name, expected):
    assert free_name(name, ["a.png"]) == expected
