"""Tests of backup and restore: contents, damaged and forged archives, atomicity."""

import errno
import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import String, update

import postgres
from limner.core.accounts import Caller
from limner.core.errors import LimnerError
from limner.core.events import Event, Notice, Progress, Stage
from limner.core.requests import GenerateRequest, TrainRequest
from limner.core.runs import Status
from limner.store import backup as backups
from limner.store import paths, rows
from limner.store.backup import MANIFEST, TABLES
from limner.store.columns import PatternString
from limner.store.erase import EraseSelection
from limner.store.prune import prune
from limner.store.tables import RunRow
from limner.studio.studio import Studio

OTHERS = ["sqlite", "postgres"]


def fill(studio: Studio, folder: Path) -> None:
    """Runs of each kind, events, artifacts, an upload, a credential; a run whose parent comes after it by name."""
    (folder / "data").mkdir()
    (folder / "data" / "ä.png").write_bytes(bytes(range(256)) * 9000)
    (folder / "data" / "b.txt").write_text("a cat")
    data = studio.files.upload(folder / "data", Caller(account="ann"))
    train = studio.enqueue(TrainRequest(data=data, class_word="dog"), priority=3, tags={"industry": "food"})
    paint = studio.enqueue(GenerateRequest(prompt="ein Hügel 🏞"), parent=train.id, caller=Caller(account="ann"))
    studio.store.add_event(paint.id, Notice(text="half\u2028way"))
    studio.store.add_event(paint.id, Stage(name="painting", total=3))
    studio.store.add_artifact(paint.id, "picture", "/x/0001.png", "a" * 64, {"seed": 7, "reference": data})
    studio.store.update(paint.id, status=Status.FAILED, error="it failed", finished=paint.created)
    (studio.home / "credentials").mkdir(mode=0o700)
    (studio.home / "credentials" / "key.pem").write_bytes(b"secret")


def contents(studio: Studio) -> object:
    """All that a studio knows, as it can be compared."""
    runs = studio.store.list(100)
    return (
        [run.model_dump() for run in runs],
        [studio.store.events(run.id) for run in runs],
        [made.model_dump() for made in studio.store.artifacts()],
        [(blob.sha256, studio.files.path(blob.sha256).read_bytes()) for blob in studio.files],
        studio.files.grants.list("ann"),
    )


@pytest.fixture
def studio(home: Path, database: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    found = opened(home, database, monkeypatch)
    (tmp_path / "scratch").mkdir()
    fill(found, tmp_path / "scratch")
    yield found
    found.store.close()


def opened(home: Path, database: str | None, monkeypatch: pytest.MonkeyPatch) -> Studio:
    if database is None:
        monkeypatch.delenv("LIMNER_DATABASE", raising=False)
    else:
        monkeypatch.setenv("LIMNER_DATABASE", database)
    return Studio(home)


@pytest.mark.parametrize("other", OTHERS)
def test_a_backup_restores_everything_in_another_home(
    studio: Studio, other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    seen: list[Event] = []
    studio.maintenance.backup(tmp_path / "backup.zip", seen.append)
    assert [event.name for event in seen if isinstance(event, Stage)] == ["database", "files"]
    assert sum(isinstance(event, Progress) for event in seen) > 5
    assert (tmp_path / "backup.zip").stat().st_mode & 0o777 == 0o600
    before = contents(studio)
    url = None if other == "sqlite" else postgres.fresh(request.getfixturevalue("postgres_folder"))
    there = opened(tmp_path / "elsewhere", url, monkeypatch)
    there.maintenance.restore(tmp_path / "backup.zip")
    assert contents(there) == before
    credential = there.home / "credentials" / "key.pem"
    assert credential.read_bytes() == b"secret" and credential.stat().st_mode & 0o777 == 0o600
    run = there.enqueue(GenerateRequest(prompt="and on it goes"))
    made = there.store.add_artifact(run.id, "picture", "/x/0002.png", "b" * 64)
    assert made.id == max(found.id or 0 for found in there.store.artifacts()), "new rows are numbered above the old"
    with pytest.raises(LimnerError, match="the database is not empty"):
        there.maintenance.restore(tmp_path / "backup.zip")
    there.maintenance.restore(tmp_path / "backup.zip", replace=True)
    assert contents(there) == before
    there.store.close()


def test_a_backup_holds_no_partial_writes(studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = len(studio.store.list(100))
    seen: list[Event] = []

    def busy(event: Event) -> None:
        seen.append(event)
        if isinstance(event, Progress) and sum(isinstance(before, Stage) for before in seen) == 1:  # after each table
            run = studio.enqueue(GenerateRequest(prompt="meanwhile"))
            studio.store.add_event(run.id, Notice(text="began"))
            studio.store.add_artifact(run.id, "picture", "/x/0003.png", "c" * 64)

    studio.maintenance.backup(tmp_path / "backup.zip", busy)
    assert len(studio.store.list(100)) > count
    there = opened(tmp_path / "elsewhere", None, monkeypatch)
    there.maintenance.restore(tmp_path / "backup.zip")
    assert len(there.store.list(100)) == count and len(there.store.artifacts()) == 1
    there.store.close()


def rewritten(source: Path, place: Path, change: Callable[[str, bytes], bytes | None], **more: bytes) -> Path:
    """A backup with its members changed, or left out, and with more of them."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(place, "w") as new:
        for name in old.namelist():
            if (body := change(name, old.read(name))) is not None:
                new.writestr(name, body)
        for name, body in more.items():
            new.writestr(name, body)
    return place


def cut(source: Path, place: Path) -> Path:
    place.write_bytes(source.read_bytes()[:-2000])
    return place


def flipped(source: Path, place: Path) -> Path:
    body = bytearray(source.read_bytes())
    body[len(body) // 2] ^= 1
    place.write_bytes(body)
    return place


def squeezed(source: Path, place: Path) -> Path:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(place, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
        new.writestr("files/" + "0" * 64, bytes(2**22), zipfile.ZIP_DEFLATED)
    return place


def twice(source: Path, place: Path) -> Path:
    with pytest.warns(UserWarning, match="Duplicate name"):
        return rewritten(source, place, lambda name, body: body, **{MANIFEST: b"{}"})


def without(begin: str) -> Callable[[Path, Path], Path]:
    return lambda source, place: rewritten(source, place, lambda name, body: None if name.startswith(begin) else body)


def with_more(**more: bytes) -> Callable[[Path, Path], Path]:
    return lambda source, place: rewritten(source, place, lambda name, body: body, **more)


def other_rows(source: Path, place: Path) -> Path:
    return rewritten(source, place, lambda name, body: body.replace(b"it failed", b"all well"))


def with_credential(name: str, body: bytes) -> Callable[[Path, Path], Path]:
    """A backup with one more credential, which its manifest names."""

    def spoilt(source: Path, place: Path) -> Path:
        def named(part: str, old: bytes) -> bytes:
            if part != MANIFEST:
                return old
            contents = json.loads(old)
            contents["hashes"][name] = hashlib.sha256(body).hexdigest()
            return json.dumps(contents).encode()

        return rewritten(source, place, named, **{name: body})

    return spoilt


def manifest(**changes: object) -> Callable[[Path, Path], Path]:
    def change(name: str, body: bytes) -> bytes:
        return json.dumps(json.loads(body) | changes).encode() if name == MANIFEST else body

    return lambda source, place: rewritten(source, place, change)


def encrypted(source: Path, place: Path) -> Path:
    """A backup whose members are marked as encrypted."""
    body = bytearray(source.read_bytes())
    with zipfile.ZipFile(source) as archive:
        at = archive.start_dir
        for member in archive.infolist():
            body[member.header_offset + 6] |= 1
            body[at + 8] |= 1
            at += 46 + len(member.filename.encode()) + len(member.extra) + len(member.comment)
    place.write_bytes(body)
    return place


DAMAGE = {
    "encrypted": (encrypted, "cannot be read"),
    "cut": (cut, "it is damaged"),
    "flipped": (flipped, "it is damaged"),
    "no file": (without("files/"), "is not whole"),
    "no table": (without("rows/runs"), "is not whole"),
    "no manifest": (without(MANIFEST), f"lacks {MANIFEST}"),
    "other rows": (other_rows, "rows/runs.jsonl' with other bytes than it had"),
    "way out": (with_more(**{"credentials/../../evil": b"x"}), "holds 'credentials/../../evil'"),
    "absolute": (with_more(**{"/etc/evil": b"x"}), "holds '/etc/evil'"),
    "unknown table": (with_more(**{"rows/alembic_version.jsonl": b"x"}), "holds 'rows/alembic_version.jsonl'"),
    "compressed": (squeezed, "which is compressed"),
    "twice": (twice, "two parts of one name"),
    "file and folder": (with_credential("credentials/key.pem/more", b"x"), "as a file and as a folder"),
    "large credential": (with_credential("credentials/a.pem", bytes(2**24 + 1)), "of more than 16,777,216 bytes"),
    "fewer rows": (manifest(rows={"runs": 3}), "has not all rows of runs"),
    "newer": (manifest(revision="9999"), "is of a newer version of Limner; update limner"),
    "odd": (manifest(rows="all"), "cannot be read"),
    "no zip": (lambda source, place: place.write_bytes(b"nothing") and place, "cannot be read"),
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound")
    studio = Studio(folder / "home")
    fill(studio, folder)
    studio.maintenance.backup(folder / "backup.zip")
    studio.store.close()
    return folder / "backup.zip"


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_or_forged_backup_changes_nothing(sound: Path, home: Path, tmp_path: Path, damage: str) -> None:
    spoil, message = DAMAGE[damage]
    there = Studio(home)
    with pytest.raises(LimnerError) as caught:
        there.maintenance.restore(spoil(sound, tmp_path / "spoilt.zip"))
    assert message in str(caught.value)
    assert there.store.list(1) == [] and list(there.files) == [] and not (home / "credentials").exists()
    assert not list(tmp_path.rglob("*evil*"))
    there.store.close()


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("name", ["own", "own/key.pem/old"])
def test_unwritable_credentials_are_refused_before_anything_is_written(
    sound: Path, home: Path, tmp_path: Path, name: str, replace: bool
) -> None:
    (home / "credentials" / "own").mkdir(parents=True)
    (home / "credentials" / "own" / "key.pem").write_bytes(b"mine")
    there = Studio(home)
    spoilt = with_credential(f"credentials/{name}", b"x")(sound, tmp_path / "spoilt.zip")
    with pytest.raises(LimnerError, match=r"move .*credentials/own.* away"):
        there.maintenance.restore(spoilt, replace=replace)
    assert list(there.files) == [] and there.store.list(1) == []
    assert [file.name for file in (home / "credentials").rglob("*")] == ["own", "key.pem"]
    there.store.close()


def test_another_credential_is_not_replaced_unasked(sound: Path, home: Path) -> None:
    place = home / "credentials" / "key.pem"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"mine")
    there = Studio(home)
    with pytest.raises(LimnerError, match=r"another credentials/key\.pem here already; .* --replace to delete it"):
        there.maintenance.restore(sound)
    assert (place.read_bytes(), there.store.list(1), list(there.files)) == (b"mine", [], [])
    there.maintenance.restore(sound, replace=True)
    assert place.read_bytes() == b"secret"
    there.store.close()


def test_inconsistent_rows_change_nothing(sound: Path, home: Path, tmp_path: Path) -> None:
    """An archive whose hashes are right and whose rows are not."""
    there = Studio(home)
    with pytest.raises(LimnerError, match="do not fit together"):
        there.maintenance.restore(forged(sound, tmp_path / "spoilt.zip", "artifacts", run="261129-101010-zzzz"))
    assert there.store.list(1) == []
    there.store.close()


def forged(source: Path, place: Path, table: str, **values: object) -> Path:
    """A backup with other values in the first row of a table, whose hashes are right."""
    name, bodies = f"rows/{table}.jsonl", dict[str, bytes]()

    def change(member: str, body: bytes) -> bytes:
        if member == name:
            first, *rest = body.splitlines(keepends=True)
            bodies[name] = body = json.dumps(json.loads(first) | values).encode() + b"\n" + b"".join(rest)
        if member == MANIFEST:
            facts = json.loads(body)
            facts["hashes"][name] = hashlib.sha256(bodies[name]).hexdigest()
            return json.dumps(facts).encode()
        return body

    return rewritten(source, place, change)


PATHS = ("/tmp/victim", "../../victim", "..", ".", "", "a/b", "x\x00y", "261129-101010-abcd\n", "261129-101010-abcdé")
FORGED = {
    "runs": {
        "id": (*PATHS, "261129-101010-abcde", 7, None, ["x"]),
        "kind": ("x" * 33, "a\nb"),
        "digest": ("", "A" * 64, "a" * 63, "a" * 65, "g" * 64, "b" * 64),
        "status": ("ended", ""),
        "owner": (*PATHS[:4], "Ann", "a" * 65),
        "key": ("abc", "../../../../k"),
        "batch_key": ("x",),
        "priority": (2**31, -(2**40), 1.5, True, "1"),
        "created": ("2026-01-01", 7, "now"),
        "request": ("x", [], 7),
        "tags": ([],),
        "out": ("a\x00b", "\ud800"),
        "error": (7,),
    },
    "artifacts": {
        "run": PATHS,
        "sha256": (*PATHS, "a" * 63),
        "reference": ("sha256:../../x", "file:" + "a" * 64, "folder:" + "a" * 63),
        "id": (2**31, "1"),
        "details": ([], *({"reference": value} for value in ("x", 7, "folder:../../x", "sha256:" + "a" * 63))),
    },
    "holdings": {
        "owner": (*PATHS[:4], "**"),
        "reference": ("sha256:x", "/etc/passwd", "a" * 64),
        "bytes": (2**63, 1.0),
        "giver": ("*", "/x"),
    },
    "events": {"run": PATHS[:3], "seq": (2**31,), "kind": ("x" * 33,), "payload": ("x",)},
    "policies": {"digest": (*PATHS, "a" * 63, "a" * 64), "text": ("\x00",)},
    "verdicts": {"stage": ("later",), "subject": PATHS[:4], "allowed": (1, "yes"), "score": ("1", float("inf"))},
}


@pytest.mark.parametrize("table", FORGED)
def test_invalid_rows_are_refused(sound: Path, home: Path, tmp_path: Path, table: str) -> None:
    there = Studio(home)
    for column, values in FORGED[table].items():
        for value in values:
            with pytest.raises(LimnerError, match=f"the backup has (an invalid row: {column} of|a row of '{table}')"):
                there.maintenance.restore(forged(sound, tmp_path / "forged.zip", table, **{column: value}))
    assert there.store.list(1) == [] and list(there.files) == [] and not (home / "credentials").exists()
    there.store.close()


def test_every_short_text_column_has_a_pattern() -> None:
    """A short text column is a `PatternString`, except those that people fill in."""
    free_text = {"pictures.industry", "pictures.style", "collections.name"}
    short = {
        f"{table.name}.{column.name}"
        for table in TABLES.values()
        for column in table.columns
        if isinstance(column.type, String) and column.type.length and not isinstance(column.type, PatternString)
    }
    assert short == free_text


def test_created_rows_are_checked_like_restored_ones(home: Path) -> None:
    studio = Studio(home)
    with (
        pytest.raises(ValueError, match="id of 'runs' is '/tmp/victim', which is not in the format of this column"),
        studio.store.writing() as session,
    ):
        session.add(RunRow(id="/tmp/victim", kind="generate", request={}, digest="a" * 64, status="queued"))
    with pytest.raises(LimnerError, match=r"'\.\./victim' is not the id of a run"):
        paths.run_folder(home, "../victim")
    assert not list(home.rglob("victim"))
    studio.store.close()


@pytest.mark.parametrize("run", ["{victim}", "../../victim", "link/victim"])
def test_an_invalid_row_from_an_older_version_deletes_nothing_else(home: Path, tmp_path: Path, run: str) -> None:
    """Such rows may be in databases already."""
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "thesis.txt").write_text("mine")
    bad = run.replace("{victim}", str(tmp_path / "victim"))
    studio = Studio(home)
    (home / "runs").mkdir()
    (home / "runs" / "link").symlink_to(tmp_path)
    for delete in (
        lambda: studio.maintenance.erase(EraseSelection(runs=(bad,))),
        lambda: prune(studio.store, studio.files, datetime.now(UTC) + timedelta(days=1)),
    ):
        made = studio.store.create(GenerateRequest(prompt="x"))
        with studio.store.writing() as session:
            session.execute(update(RunRow).where(RunRow.id == made.id).values(id=bad, status=Status.DONE))
        with pytest.raises(LimnerError, match="does not lie below"):
            delete()
    studio.maintenance.clean()
    assert (tmp_path / "victim" / "thesis.txt").read_text() == "mine"
    studio.store.close()


def test_parts_of_a_backup_do_not_share_bytes(sound: Path, home: Path, tmp_path: Path) -> None:
    """A small archive could name one large part again and again, each part within another one."""
    place = rewritten(sound, tmp_path / "many.zip", lambda name, body: body)
    with zipfile.ZipFile(kept := io.BytesIO(), "w") as archive:
        archive.writestr(inner := zipfile.ZipInfo(f"files/{0:064d}"), bytes(2**16))
    with zipfile.ZipFile(place, "a") as archive:
        outer = zipfile.ZipInfo(f"files/{1:064d}")
        archive.writestr(outer, kept.getvalue()[: archive_start(inner) + inner.file_size])
        inner.header_offset = archive_start(outer)
        archive.filelist.append(inner)
    there = Studio(home)
    with pytest.raises(LimnerError, match="holds parts that share their bytes"):
        there.maintenance.restore(place)
    there.store.close()


def archive_start(member: zipfile.ZipInfo) -> int:
    """Where the bytes of a member begin."""
    return member.header_offset + 30 + len(member.filename)


def test_rows_are_bounded_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    table = TABLES["answers"]
    monkeypatch.setattr(rows, "MAX_VALUES", 10)
    with pytest.raises(LimnerError, match="cannot be read"):
        rows.parse_row(table, json.dumps({"headers": [0] * 20}).encode())
    monkeypatch.setattr(rows, "BATCH_BYTES", 100)
    written: list[int] = []

    class Spy:
        def execute(self, statement: object, batch: list[object]) -> None:
            written.append(len(batch))

    lines = (json.dumps({"key": "k" * 40}).encode() for _ in range(6))
    rows.insert_rows(Spy(), table, lines)  # type: ignore[arg-type]
    assert written == [2, 2, 2]
    runs = [json.dumps({"id": f"r{n}", "parent": "r0" if n else None}).encode() for n in range(5)]
    monkeypatch.setattr(rows, "BATCH", 2)
    monkeypatch.setattr(rows, "parse_row", lambda table, line: json.loads(line))
    for write, batches in ((rows.insert_rows, [2, 2, 1]), (rows.link_rows, [1, 2, 1])):
        written.clear()
        write(Spy(), TABLES["runs"], iter(runs))  # type: ignore[arg-type]
        assert written == batches, "as they come, without any kept for later"


def test_an_older_backup_gets_default_values(sound: Path, home: Path, tmp_path: Path) -> None:
    """One from before runs had owners."""
    bodies: dict[str, bytes] = {}

    def change(name: str, body: bytes) -> bytes:
        if name == "rows/runs.jsonl":
            rows = [json.loads(line) for line in body.splitlines()]
            body = b"".join(json.dumps({k: v for k, v in r.items() if k != "owner"}).encode() + b"\n" for r in rows)
            bodies[name] = body
        elif name == MANIFEST:
            facts = json.loads(body)
            facts["hashes"] |= {its: hashlib.sha256(contents).hexdigest() for its, contents in bodies.items()}
            return json.dumps(facts | {"revision": "0002"}).encode()
        return body

    there = Studio(home)
    there.maintenance.restore(rewritten(sound, tmp_path / "old.zip", change))
    assert [run.owner for run in there.store.list(10)] == ["", ""]
    there.store.close()


def test_a_full_disk_leaves_no_partial_backup(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    studio = Studio(home)
    (tmp_path / "scratch").mkdir()
    fill(studio, tmp_path / "scratch")

    class Full(io.FileIO):
        def write(self, piece: object, /) -> int:
            if self.tell() > 2**20:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(piece)  # type: ignore[arg-type]

    @contextmanager
    def small(place: Path) -> Iterator[io.FileIO]:
        with Full(place, "wb") as file:
            yield file

    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "backup.zip").write_bytes(b"the one of yesterday")
    with monkeypatch.context() as patch, pytest.raises(LimnerError, match="no space is left to write"):
        patch.setattr(backups, "_private", small)
        studio.maintenance.backup(tmp_path / "out" / "backup.zip")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["backup.zip"]
    assert (tmp_path / "out" / "backup.zip").read_bytes() == b"the one of yesterday"
    studio.store.close()


def test_a_damaged_file_is_named(home: Path, tmp_path: Path) -> None:
    studio = Studio(home)
    (tmp_path / "a").write_bytes(b"one")
    place = studio.files.path(studio.files.put(tmp_path / "a"))
    place.unlink()
    place.write_bytes(b"other")
    with pytest.raises(LimnerError, match=f"the stored file {place.name} is damaged"):
        studio.maintenance.backup(tmp_path / "backup.zip")
    studio.store.close()
