"""Tests of atomic files and folders, content hashes and disk errors."""

import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from limner.core.errors import LimnerError
from limner.store import files, paths
from limner.store.files import (
    SYNC_ABOVE,
    atomic_file,
    atomic_folder,
    make_folder,
    recover_folder,
    sha256_of,
    write_files,
)

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def names(folder: Path) -> list[str]:
    return sorted(item.name for item in folder.iterdir())


def fill(path: Path, text: str) -> None:
    with atomic_folder(path) as temporary:
        (temporary / "weights.txt").write_text(text)


def killed(code: str, *arguments: object) -> None:
    """Run the code in a process of its own, which must end itself with SIGKILL."""
    done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_sha256_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of(tmp_path / "a") == ABC


def test_sha256_of_a_folder_depends_on_names_and_contents_only(tmp_path: Path) -> None:
    for name, order in (("one", "abc"), ("two", "cab")):
        (tmp_path / name / "deep").mkdir(parents=True)
        for letter in order:
            (tmp_path / name / "deep" / letter).write_text(letter)
    before = sha256_of(tmp_path / "one")
    assert sha256_of(tmp_path / "two") == before
    (tmp_path / "two" / "deep" / "a").rename(tmp_path / "two" / "a")
    assert sha256_of(tmp_path / "two") != before
    (tmp_path / "one" / "deep" / "a").write_text("other")
    assert sha256_of(tmp_path / "one") != before


def test_sha256_of_a_missing_file_names_the_path(tmp_path: Path) -> None:
    with pytest.raises(LimnerError, match=r"gone does not exist; "):
        sha256_of(tmp_path / "gone")


def test_atomic_file_replaces_the_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "new" / "picture.png"
    for text in ("old", "new"):
        with atomic_file(path) as temporary:
            assert temporary.suffix == ".png"
            temporary.write_text(text)
    assert path.read_text() == "new"
    assert names(path.parent) == ["picture.png"]


def test_a_failed_atomic_file_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_file(tmp_path / "a") as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert (tmp_path / "a").read_text() == "old"
    assert names(tmp_path) == ["a"]


def test_atomic_file_syncs_before_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda number: (calls.append("fsync"), fsync(number))[1])
    monkeypatch.setattr(os, "replace", lambda old, new: (calls.append("replace"), replace(old, new))[1])
    with atomic_file(tmp_path / "a") as temporary:
        temporary.write_text("new")
    assert calls == ["fsync", "replace", "fsync"]


def test_a_kill_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    killed(
        "import os, sys, pathlib; from limner.store.files import atomic_file\n"
        "with atomic_file(pathlib.Path(sys.argv[1])) as path:\n"
        "    path.write_text('half'); os.kill(os.getpid(), 9)",
        tmp_path / "a",
    )
    assert (tmp_path / "a").read_text() == "old"
    assert len(names(tmp_path)) == 2, "the killed process was not in the middle of writing"


def test_atomic_folder_replaces_the_whole_folder(tmp_path: Path) -> None:
    path = tmp_path / "adapter"
    with atomic_folder(path) as temporary:
        (temporary / "only_in_old.txt").write_text("old")
    fill(path, "new")
    assert names(path) == [files.MARKER, "weights.txt"]
    assert names(tmp_path) == ["adapter"]


def test_files_of_a_folder_get_the_usual_permissions(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "rex") as temporary:
        (temporary / "private").write_text("x")
        (temporary / "private").chmod(0o600)
        (temporary / "usual").write_text("x")
        usual = (temporary / "usual").stat().st_mode
    assert {path.stat().st_mode for path in (tmp_path / "rex").iterdir()} == {usual}


def test_the_marker_of_a_folder_is_not_part_of_its_hash(tmp_path: Path) -> None:
    fill(tmp_path / "adapter", "new")
    before = sha256_of(tmp_path / "adapter")
    (tmp_path / "adapter" / files.MARKER).unlink()
    assert sha256_of(tmp_path / "adapter") == before


def test_a_failed_atomic_folder_leaves_the_old_folder(tmp_path: Path) -> None:
    fill(tmp_path / "adapter", "old")
    with pytest.raises(ZeroDivisionError), atomic_folder(tmp_path / "adapter") as temporary:
        (temporary / "weights.txt").write_text("half")
        raise ZeroDivisionError
    assert (tmp_path / "adapter" / "weights.txt").read_text() == "old"
    assert names(tmp_path) == ["adapter"]


def test_atomic_folder_refuses_a_folder_with_other_files(tmp_path: Path) -> None:
    (tmp_path / "holiday.png").write_text("mine")
    with pytest.raises(LimnerError, match="holds files that Limner did not write; choose a new"):
        fill(tmp_path, "new")
    assert names(tmp_path) == ["holiday.png"]


def test_atomic_folder_replaces_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    fill(tmp_path / "empty", "new")
    assert (tmp_path / "empty" / "weights.txt").read_text() == "new"


def never(folder: Path) -> bool:
    return False


@pytest.mark.parametrize("may_replace", [files.is_replaceable, never])
@pytest.mark.parametrize("moment", ["meanwhile", "first rename", "last rename"])
def test_a_folder_that_is_created_meanwhile_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, may_replace: Callable[[Path], bool], moment: str
) -> None:
    """Somebody else's files appear while ours are written, or just before a rename."""
    path, rename, calls = tmp_path / "rex", os.rename, 0

    def appear() -> None:
        path.mkdir(exist_ok=True)
        (path / "notes.txt").write_text("mine")

    def late(old: Path, new: Path) -> None:
        nonlocal calls
        calls += 1
        if (moment, calls) in (("first rename", 1), ("last rename", 2)):
            appear()
        rename(old, new)

    path.mkdir()
    refused = pytest.raises(LimnerError, match=r"exists already|holds files that Limner did not write")
    with refused, atomic_folder(path, may_replace) as temporary:
        (temporary / "weights.txt").write_text("ours")
        if moment == "meanwhile":
            appear()
        monkeypatch.setattr(os, "rename", late)
    monkeypatch.undo()
    assert names(path) == ["notes.txt"] and (path / "notes.txt").read_text() == "mine"
    assert [name for name in names(tmp_path) if not name.startswith(".limner-old")] == ["rex"]


def test_of_two_results_for_one_path_the_later_is_refused(tmp_path: Path) -> None:
    """Although no lock holds it, as on two machines with one disk."""
    refused = pytest.raises(LimnerError, match=r"rex' exists already; choose another --out, or move it away")
    with refused, atomic_folder(tmp_path / "rex", never) as mine:
        (mine / "weights.txt").write_text("mine")
        with atomic_folder(tmp_path / "rex", never) as other:
            (other / "weights.txt").write_text("other")
    assert (tmp_path / "rex" / "weights.txt").read_text() == "other"


def test_a_failed_second_rename_puts_the_old_folder_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "adapter", "old")
    rename, calls = os.rename, 0

    def second_fails(old: Path, new: Path) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise OSError(errno.ENOSPC, "full")
        rename(old, new)

    monkeypatch.setattr(os, "rename", second_fails)
    with pytest.raises(LimnerError, match="no space"):
        fill(tmp_path / "adapter", "new")
    assert (tmp_path / "adapter" / "weights.txt").read_text() == "old"
    assert names(tmp_path) == ["adapter"]


@pytest.mark.parametrize(("renames", "content"), [(0, "old"), (1, "old"), (2, "new")])
def test_a_kill_at_any_rename_leaves_one_folder_complete(tmp_path: Path, renames: int, content: str) -> None:
    fill(tmp_path / "adapter", "old")
    killed(
        "import os, sys, pathlib; from limner.store.files import atomic_folder\n"
        "rename, left = os.rename, int(sys.argv[2])\n"
        "def kill(): os.kill(os.getpid(), 9)\n"
        "def dying(old, new):\n"
        "    global left\n"
        "    if not left: kill()\n"
        "    rename(old, new); left -= 1\n"
        "    if not left: kill()\n"
        "os.rename = dying\n"
        "with atomic_folder(pathlib.Path(sys.argv[1])) as path: (path / 'weights.txt').write_text('new')",
        tmp_path / "adapter",
        renames,
    )
    recover_folder(tmp_path / "adapter")
    assert (tmp_path / "adapter" / "weights.txt").read_text() == content
    assert not [name for name in names(tmp_path) if name.startswith(".limner-old")]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "no space is left to write {path}; free some disk space"),
        (errno.EACCES, "no permission to use {path}; change its permissions"),
        (errno.EROFS, "{path} is on a read-only disk; choose"),
    ],
)
def test_disk_errors_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    with pytest.raises(LimnerError) as caught, atomic_file(tmp_path / "a"):
        refuse()
    assert str(caught.value).startswith(words.format(path=tmp_path / "a"))
    assert names(tmp_path) == []
    monkeypatch.setattr(Path, "mkdir", refuse)
    for make in (
        make_folder,
        paths.cache_folder,
        lambda home: paths.run_folder(home, "261129-101010-abcd"),
        paths.database_file,
    ):
        with pytest.raises(LimnerError) as caught:
            make(tmp_path / "home")
        assert "\n" not in str(caught.value)
        assert str(tmp_path / "home") in str(caught.value)


def test_a_full_disk_that_safetensors_reports(tmp_path: Path) -> None:
    with pytest.raises(LimnerError, match="no space is left"), atomic_file(tmp_path / "a"):
        raise RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)")


def test_other_errors_are_not_translated(tmp_path: Path) -> None:
    with pytest.raises(ConnectionResetError), atomic_file(tmp_path / "a"):
        raise ConnectionResetError(errno.ECONNRESET, "reset")


def test_impossible_names_are_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    for path, words in (
        (tmp_path / ("x" * 300), "is too long; choose a shorter name"),
        (tmp_path / "file" / "a", "file should be a folder but is a file; move"),
        (tmp_path / "file" / "a" / "b", "needs a folder where there is a file; move"),
        (tmp_path / "folder", "should be a file but is a folder; move"),
    ):
        began = False
        with pytest.raises(LimnerError, match=words), atomic_file(path):
            began = True
        assert not began
    with pytest.raises(LimnerError, match="should be a folder but is a file"):
        make_folder(tmp_path / "file")
    with pytest.raises(LimnerError, match="needs a folder where there is a file; move"):
        fill(tmp_path / "file", "new")


def test_the_longest_possible_name(tmp_path: Path) -> None:
    path = tmp_path / ("a." + "x" * 253)
    with atomic_file(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_home_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNER_HOME", str(tmp_path / "here"))
    assert paths.home() == tmp_path / "here"
    assert not paths.home().exists()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIMNER_HOME", "here")
    assert paths.home() == tmp_path / "here"
    monkeypatch.delenv("LIMNER_HOME")
    assert paths.home().name == "limner"


def test_paths_and_files_do_not_load_sql() -> None:
    code = "import sys; from limner.store import files, paths; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert "limner.store.files" in loaded
    assert not {"sqlalchemy", "alembic"} & {*loaded}


def test_numbered_files_never_replace_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program takes the next number at the last moment; the disk may know hard links or not."""

    def write(text: str):
        def act(path: Path) -> None:
            path.write_text(text)
            (tmp_path / "0008.png").write_text("theirs")

        return act

    (tmp_path / "0007.png").write_text("old")
    assert files.write_numbered(tmp_path, ".png", write("mine")).name == "0009.png"

    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "0010.png").write_text("theirs")
    assert files.write_numbered(tmp_path, ".png", write("again")).read_text() == "again"
    assert {path.name for path in tmp_path.iterdir()} == {f"{n:04d}.png" for n in (7, 8, 9, 10, 11)}
    assert (tmp_path / "0009.png").read_text() == "mine"


def test_only_stale_temporary_files_are_removed(tmp_path: Path) -> None:
    fresh = [".limner-demo", ".limner-0123456789ab.png", ".limner-old-0123456789abcdef", "cat.png"]
    for name in [*fresh, ".limner-ba9876543210.png"]:
        (tmp_path / name).touch()
    (tmp_path / ".limner-aaaaaaaaaaaa").mkdir()
    (tmp_path / ".limner-aaaaaaaaaaaa" / "half").touch()
    for name in (".limner-ba9876543210.png", ".limner-aaaaaaaaaaaa", ".limner-demo", "cat.png"):
        os.utime(tmp_path / name, (0, 0))
    files.remove_stale_temporaries(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(fresh)


def test_an_error_names_its_file(tmp_path: Path) -> None:
    with pytest.raises(LimnerError, match=r"other.* does not exist"), files.translate_disk_errors(tmp_path):
        (tmp_path / "other").read_bytes()


def test_many_files_are_flushed_before_they_have_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    replace = os.replace
    monkeypatch.setattr(os, "sync", lambda: calls.append("sync"))
    monkeypatch.setattr(os, "fsync", lambda number: calls.append("fsync"))
    monkeypatch.setattr(os, "replace", lambda *given: (calls.append("replace"), replace(*given))[1])
    count = SYNC_ABOVE + 1
    write_files({tmp_path / f"{number % 3}" / str(number): lambda at: at.write_text("a") for number in range(count)})
    assert calls == ["sync", *["replace"] * count, *["fsync"] * 3]
    assert sum(path.is_file() for path in tmp_path.rglob("*")) == count
    calls.clear()
    write_files({tmp_path / "one": lambda at: at.write_text("b")})
    assert calls == ["fsync", "replace", "fsync"]
    write_files({})


def test_if_one_of_many_files_cannot_be_written_none_appears(tmp_path: Path) -> None:
    def full(at: Path) -> None:
        raise OSError(errno.ENOSPC, "full", str(at))

    with pytest.raises(LimnerError, match=r"no space is left to write .*two"):
        write_files({tmp_path / "one": lambda at: at.write_text("a"), tmp_path / "two": full})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes")
@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_a_device_pipe_or_socket_is_never_replaced(tmp_path, kind):
    """As root even /dev/zero could be renamed over."""
    path = tmp_path / "special"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        holder = socket.socket(socket.AF_UNIX)
        holder.bind(str(path))
        holder.close()
    before = path.lstat()
    with (
        pytest.raises(LimnerError, match="is no regular file; choose another name"),
        files.atomic_file(path) as partial,
    ):
        partial.write_text("mine")
    with pytest.raises(LimnerError, match="is no regular file"):
        files.write_files({path: lambda partial: partial.write_text("mine")})
    assert path.lstat() == before and [each.name for each in tmp_path.iterdir()] == ["special"]


def test_a_broken_link_is_replaced(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with files.atomic_file(tmp_path / "link") as partial:
        partial.write_text("mine")
    assert (tmp_path / "link").read_text() == "mine" and not (tmp_path / "nowhere").exists()
