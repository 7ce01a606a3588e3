"""The files of a report and their events, and pictures in a page: as small as asked, and never enlarged."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from jinja2 import UndefinedError
from PIL import Image

from limner.core.events import ArtifactCreated, ArtifactKind
from limner.reports import writer
from limner.reports.figure import ColumnGroup, ImageGrid
from limner.reports.writer import ReportWriter, data_url, file_data_url, relative_to, with_whole_flags, write_page
from limner.store.files import sha256_of


@pytest.mark.parametrize(
    ("size", "side", "shown"),
    [
        ((100, 50), 40, (40, 20)),
        ((50, 100), 40, (20, 40)),
        ((40, 30), 40, (40, 30)),
        ((20, 10), 40, (20, 10)),
        ((100, 50), None, (100, 50)),
    ],
)
def test_an_embedded_picture_is_made_smaller_only(size, side, shown):
    head, _, data = data_url(Image.new("RGBA", size, "red"), side).partition(",")
    with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
        assert (head, picture.format, picture.size) == ("data:image/webp;base64", "WEBP", shown)


def test_a_file_is_embedded_as_small_as_asked(tmp_path):
    Image.new("RGB", (100, 50), "red").save(tmp_path / "a.png")
    data = file_data_url(tmp_path / "a.png", 40).partition(",")[2]
    with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
        assert picture.size == (40, 20)


@pytest.fixture
def report(tmp_path):
    events = []
    made = ReportWriter(tmp_path / "out", SimpleNamespace(home=tmp_path / "home"), events.append)  # type: ignore[arg-type]
    made.events = events  # type: ignore[attr-defined]
    return made


def test_a_figure_is_told_at_once_and_is_labelled_as_composed(report, monkeypatch, tmp_path):
    labels, real = [], writer.write_png

    def write_png(image, path, *, source, home):
        labels.append((source, home))
        real(image, path, source=source)

    monkeypatch.setattr(writer, "write_png", write_png)
    path = report.figure("a.png", Image.new("RGB", (4, 4)))
    assert path == tmp_path / "out" / "a.png" and labels == [("compositeSynthetic", tmp_path / "home")]
    assert report.events == [ArtifactCreated(what=ArtifactKind.COMPARISON, path=str(path), sha256=sha256_of(path))]


def test_the_other_files_are_told_in_order_with_details_of_the_page(report, monkeypatch, tmp_path):
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(
        writer, "write_page", lambda path, template, **values: path.write_text(f"{template} {values}") and path
    )
    report.json("a.json", {"name": "Zoë", "value": 1.5})
    report.csv("a.csv", ["key", "score"], [["Zoë, a", 1], ["b", 2.5]])
    report.page("a.html", "sweep.html", title="x")
    extra = tmp_path / "elsewhere.txt"
    extra.write_text("x")
    report.add(ArtifactKind.KEY, extra)
    assert not report.events
    report.emit_made(winner="b")
    found = [(event.what, event.path, event.details) for event in report.events]
    assert found == [
        (ArtifactKind.SCORES, str(tmp_path / "out" / "a.json"), {}),
        (ArtifactKind.TABLE, str(tmp_path / "out" / "a.csv"), {}),
        (ArtifactKind.REPORT, str(tmp_path / "out" / "a.html"), {"winner": "b"}),
        (ArtifactKind.KEY, str(extra), {}),
    ]
    assert [event.sha256 for event in report.events] == [sha256_of(Path(event.path)) for event in report.events]
    assert (tmp_path / "out" / "a.json").read_text(encoding="utf-8") == '{\n "name": "Zoë",\n "value": 1.5\n}\n'
    assert (tmp_path / "out" / "a.csv").read_text(encoding="utf-8") == 'key,score\n"Zoë, a",1\nb,2.5\n'
    assert (tmp_path / "out" / "a.html").read_text() == "sweep.html {'title': 'x'}"


def test_a_page_escapes_what_it_is_given_and_needs_all_of_it(tmp_path):
    values = {"taught": {}, "pairs": [SimpleNamespace(prompt="<b> --seed", base="", personalised="")]}
    values |= {"title": "<i>", "curve": "", "shown": "", "train_command": "", "minutes": 1, "activate": None}
    values["figure"] = ImageGrid(("<u>",), (ColumnGroup("<s>", ("x",)),), [[None]], "").page()
    page = write_page(tmp_path / "a.html", "demo.html", **values).read_text()
    assert "<title>&lt;i&gt;</title>" in page and "<b>&" not in page and "<figcaption>&lt;b&gt;" in page
    assert "<u>" not in page
    assert '&lt;b&gt; <span class="flag">--seed</span>' in page and ".flag {" in page
    del values["minutes"]
    with pytest.raises((UndefinedError, TypeError)):
        write_page(tmp_path / "b.html", "demo.html", **values)
    assert not (tmp_path / "b.html").exists()


def test_a_file_is_named_by_its_path_in_the_folder_or_by_its_name(tmp_path):
    assert relative_to(tmp_path / "a" / "b.png", tmp_path) == "a/b.png"
    assert relative_to(tmp_path / "a" / "b.png", tmp_path / "c") == "b.png"


@pytest.mark.parametrize(
    ("page", "flags"),
    [
        ("<p>use --limit blurred=60, --drop and --guidance-rescale.</p>", ["--limit", "--drop", "--guidance-rescale"]),
        ("<p>a--b, ---, -- and x</p>", []),
        ('<img alt="--out"><a title="a --out">x</a>', []),
        ("<style>:root { --ink: red }</style><script>let a = b --c;</script>", []),
        ("<pre><code>limner run --out x</code></pre><svg><text>--out</text></svg><title>--out</title>", []),
        ("<!-- --out --><p>--out</p>", ["--out"]),
    ],
)
def test_flags_are_not_broken_at_their_hyphens(page, flags):
    found = with_whole_flags(page)
    assert re.findall('<span class="flag">(.*?)</span>', found) == flags
    assert re.sub('<span class="flag">(.*?)</span>', r"\1", found) == page
