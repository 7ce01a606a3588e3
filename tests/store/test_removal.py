"""Tests that files are removed only below a root, and nowhere else in the package."""

import ast
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import limner
from limner.core.errors import LimnerError
from limner.store.removal import discard, remove

PACKAGE = Path(limner.__file__).parent
REMOVERS = {
    "rmtree",
    "unlink",
    "rmdir",
    "removedirs",
    "remove",
    "move",
    "rename",
    "renames",
    "replace",
    "rm",
    "rm_file",
}
"""Functions of os, shutil, pathlib and fsspec that remove something, or may put something in its place."""
SUSPECT = re.compile(
    r"rmtree|unlink|rmdir|removedirs|rm_file|renames|\b(os|shutil)\b|\.(rm|rename|replace)\([^,()\n]*\)"
)
"""Sources that hold none of these need no parsing."""
ALLOWED = {
    "store/removal.py": {"rmtree", "unlink"},  # the one way to remove
    "store/files.py": {"rename", "replace"},  # the one way to replace; temporary names of its own
    "web/partial_uploads.py": {"rename"},  # out of the way of other requests, in its own folder
    "web/vendor.py": {"replace"},  # the source of the project itself
    "engine/train/checkpoint.py": {"rename"},  # sets damaged checkpoints aside, in their own folder
    "store/blobs.py": {"rm_file"},  # of a store that is elsewhere, by a hash
    "starter/pretrain/export.py": {"rmtree", "rename"},  # the starter may not import the library
    "starter/pretrain/drawings.py": {"replace"},
    "starter/pretrain/training_set.py": {"replace"},
    "starter/pretrain/judge.py": {"replace"},
    "starter/pretrain/loop.py": {"replace"},
}
"""By file, what it may call and why."""


def removals(source: str) -> Iterator[tuple[int, str]]:
    """Line and name of each use of a function that removes or replaces files, called or not."""
    tree = ast.parse(source)
    called = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in ("os", "shutil"):
            yield from ((node.lineno, alias.name) for alias in node.names if alias.name in REMOVERS)
        if isinstance(node, ast.Attribute) and node.attr in REMOVERS:
            of_files = isinstance(node.value, ast.Name) and node.value.id in ("os", "shutil")
            if of_files or _of_a_path(node.attr, called.get(id(node))):
                yield node.lineno, node.attr


def _of_a_path(name: str, call: ast.Call | None) -> bool:
    """Whether a method may be a path's: texts have `replace` too, with two arguments, and lists `remove`."""
    if name in ("rename", "replace"):
        return call is not None and len(call.args) == 1 and not call.keywords
    return name not in ("remove", "move")


def test_no_other_module_removes_or_replaces_files() -> None:
    found: dict[str, set[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        for line, name in removals(source) if SUSPECT.search(source) else ():
            place = path.relative_to(PACKAGE).as_posix()
            assert name in ALLOWED.get(place, ()), f"{place}:{line} calls {name}; use limner.store.removal or .files"
            found.setdefault(place, set()).add(name)
    assert found == ALLOWED, "what is allowed and not used any more goes from the list"


@pytest.mark.parametrize(
    "source",
    [
        "import shutil\nshutil.rmtree(x)",
        "from os import remove\nremove(x)",
        "import os\nos.replace(a, b)",
        "import shutil\nshutil.move(a, b)",
        "path.unlink(missing_ok=True)",
        "path.unlink()",
        "partial.rename(out)",
        "partial.replace(out)",
        "folder.rmdir()",
        "import shutil\nact(shutil.rmtree, x)",
    ],
)
def test_the_search_finds_each_way_to_remove(source: str) -> None:
    assert list(removals(source))


@pytest.mark.parametrize("source", ["text.replace('a', 'b')", "replace(done, orphans=2)", "names.remove(1)"])
def test_the_search_ignores_other_calls(source: str) -> None:
    assert not list(removals(source))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a file and a folder in it, and one outside of it that shall survive."""
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "thesis.txt").write_text("mine")
    (tmp_path / "root" / "folder" / "inner").mkdir(parents=True)
    (tmp_path / "root" / "folder" / "inner" / "a").write_text("a")
    (tmp_path / "root" / "file").write_text("b")
    return tmp_path / "root"


@pytest.mark.parametrize("how", [remove, discard])
def test_files_and_folders_below_the_root_are_removed(root: Path, how: Callable[[Path, Path], None]) -> None:
    for name in ("file", "folder/inner", "folder", "not there/at all"):
        how(root / name, root)
    assert list(root.iterdir()) == []


@pytest.mark.parametrize(
    "path", ["", ".", "..", "../victim", "folder/../../victim", "folder/../file", "/", "link", "{victim}"]
)
@pytest.mark.parametrize("how", [remove, discard])
def test_nothing_outside_of_the_root_is_removed(root: Path, path: str, how: Callable[[Path, Path], None]) -> None:
    place = root / path.replace("{victim}", str(root.parent / "victim"))
    before = sorted(root.parent.rglob("*"))
    if path == "link":
        place = root.parent / "link"
        place.symlink_to(root)
        before = sorted(root.parent.rglob("*"))
    with pytest.raises(LimnerError, match="does not lie below"):
        how(place, root)
    assert sorted(root.parent.rglob("*")) == before


def test_a_link_is_removed_and_its_target_stays(root: Path) -> None:
    for name in ("to folder", "folder/to folder"):
        (root / name).symlink_to(root.parent / "victim")
    remove(root / "to folder", root)
    remove(root / "folder", root)
    assert not (root / "to folder").is_symlink() and not (root / "folder").exists()
    assert (root.parent / "victim" / "thesis.txt").read_text() == "mine"


def test_no_link_is_followed(root: Path) -> None:
    (root / "way").symlink_to(root.parent)
    with pytest.raises(LimnerError, match="does not lie below"):
        remove(root / "way" / "victim", root)
    with pytest.raises(LimnerError, match="does not lie below"):
        remove(root / "way" / "victim" / "thesis.txt", root)
    assert (root.parent / "victim" / "thesis.txt").read_text() == "mine"


def test_the_root_may_be_a_link(root: Path) -> None:
    (root.parent / "home").symlink_to(root)
    remove(root.parent / "home" / "file", root.parent / "home")
    assert not (root / "file").exists()


def test_a_folder_that_is_replaced_by_a_link_is_not_followed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "way" / "victim").mkdir(parents=True)
    look = os.stat

    def exchanged(place: object, **how: object) -> os.stat_result:
        status = look(place, **how)  # type: ignore[arg-type, call-overload]
        if place == "way":
            os.rename(root / "way", root / "moved")
            os.symlink(root.parent, root / "way")
        return status

    monkeypatch.setattr(os, "stat", exchanged)
    with pytest.raises(OSError, match="way"):
        remove(root / "way" / "victim", root)
    monkeypatch.undo()
    assert (root.parent / "victim" / "thesis.txt").read_text() == "mine"
