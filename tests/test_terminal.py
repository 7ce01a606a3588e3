"""Output: lines of progress without a terminal, what tables and lists show, and no text that controls the terminal."""

from __future__ import annotations

import ast
import io
import json
import logging
import re
import shlex
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from limner import Studio
from limner.cli import output, terminal
from limner.cli.app import CHATTY
from limner.core import logs
from limner.core.accounts import Key, Limits, Role
from limner.core.discover import Hit
from limner.core.errors import LimnerError
from limner.core.events import ArtifactCreated, ArtifactKind, Notice, Progress, Stage
from limner.core.execution import Execution
from limner.core.feedback import GeneratedImage
from limner.core.prompt_records import LibraryFacts, PromptRecord
from limner.core.requests import AdapterUse, GenerateRequest
from limner.core.runs import Artifact, Run
from limner.core.text import printable
from limner.engine.compare.ranking import Rank
from limner.models.catalog import NamedModel
from limner.provenance.verify import LabelSummary, Verification, VerificationState, WatermarkSummary


@pytest.fixture
def screen(monkeypatch, capsys):
    """A screen without a terminal, which prints a line every hundredth of a second."""
    monkeypatch.setattr(terminal, "EVERY", 0.01)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    with terminal.Screen() as made:
        yield made


def lines_of(capsys, at_least):
    """The lines that were printed, once there are so many."""
    printed = ""
    for _ in range(2000):
        printed += capsys.readouterr().err
        if len(lines := printed.splitlines()) >= at_least:
            return lines
        time.sleep(0.005)
    pytest.fail(f"only {printed!r} was printed")


def test_a_stage_without_a_number_prints_lines_while_it_lasts(screen, capsys):
    screen.show(Stage(name="loading"))
    assert set(lines_of(capsys, 3)) == {"loading, 0:00 so far"}
    screen.end()
    assert capsys.readouterr().err.splitlines()[-1] == "loading, took 0:00"


def test_lines_count_and_tell_the_time_left(screen, capsys):
    screen.show(Stage(name="training", total=400))
    screen.show(Progress(done=100, total=400, figures={"loss": 0.25}))
    time.sleep(0.02)
    screen.show(Progress(done=200, total=400))
    lines = lines_of(capsys, 3)
    assert re.fullmatch(r"training 200/400, loss 0\.2500, 0:0\d left", lines[-1])
    screen.end()
    assert re.fullmatch(r"training 200/400, loss 0\.2500, took 0:0\d", capsys.readouterr().err.splitlines()[-1])


def test_a_stage_shows_no_figures_of_the_one_before(screen, capsys):
    screen.show(Stage(name="training", total=1))
    screen.show(Progress(done=1, total=1, figures={"loss": 0.25}))
    screen.show(Stage(name="results", total=2, unit="steps"))
    screen.show(Progress(done=1, total=2))
    screen.end()
    assert capsys.readouterr().err.splitlines()[-1] == "results 1/2 steps, took 0:00"


def test_no_line_follows_the_end(screen, capsys):
    screen.show(Stage(name="painting", total=2))
    screen.end()
    capsys.readouterr()
    time.sleep(0.05)
    assert capsys.readouterr().err == "" and screen.lines is None


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.4, "0:00"), (59.6, "1:00"), (3599, "59:59"), (3600, "1:00:00"), (3661, "1:01:01")]
)
def test_a_clock_shows_hours_only_where_there_are_some(seconds, shown):
    assert terminal._clock(seconds) == shown


NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def wide(monkeypatch):
    """A terminal of 200 columns in UTC, without colours."""
    for name, value in {"COLUMNS": "200", "TZ": "UTC", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def cells(line):
    """The cells of a row, which at least two spaces separate."""
    return re.split(r"\s{2,}", line.strip())


def run_of(**fields):
    return Run(**{"id": "r1", "request": GenerateRequest(prompt="a cat"), "created": NOON} | fields)


def made(what, path, **details):
    return ArtifactCreated(what=what, path=path, sha256="0" * 64, details=details)


def test_a_row_of_a_run_begins_when_it_was_submitted_and_takes_what_its_execution_took(wide, capsys):
    long = GenerateRequest(prompt="a" * 59 + "bcd")
    started, finished = NOON + timedelta(minutes=5), NOON + timedelta(minutes=5, seconds=12.34)
    terminal.print_runs(
        [
            run_of(status="done", started=started, finished=finished),
            run_of(id="r2", request=long, status="running", started=started),
            run_of(id="r3", status="cancelled", finished=finished),
        ]
    )
    heading, *rows = map(cells, capsys.readouterr().out.splitlines())
    assert heading == ["run", "kind", "status", "started", "took", "summary"]
    assert rows == [
        ["r1", "generate", "done", "2026-05-01 12:00:00", "12.3 s", "a cat"],
        ["r2", "generate", "running", "2026-05-01 12:00:00", "-", "a" * 59 + "bcd"],
        ["r3", "generate", "cancelled", "2026-05-01 12:00:00", "-", "a cat"],
    ]


def test_a_row_of_a_model_has_its_download_its_memory_and_whether_it_is_on_disk(wide, capsys):
    entries = [
        NamedModel("starter", "sd", "starter", 0.0, 1.5, "MIT", Path("here")),
        NamedModel("flux", "flux", "who/flux", 33.7, 24.0, "other", None),
    ]
    terminal.print_models(entries)
    heading, *rows = map(cells, capsys.readouterr().out.splitlines()[:3])
    assert heading == ["name", "family", "download", "GPU", "licence", "on disk"]
    assert rows == [
        ["starter", "sd", "-", "1.5 GB", "MIT", "yes"],
        ["flux", "flux", "33.7 GB", "24.0 GB", "other", "no"],
    ]


def test_a_row_of_a_key_has_its_limits_and_when_it_ends(wide, capsys):
    days = [NOON + timedelta(days=number) for number in range(3)]
    limits = Limits(per_minute=60, kept_bytes=5_000_000)
    terminal.print_keys(
        [
            Key(id="k1", account="anna", role=Role.ADMIN, limits=Limits(), created=days[0]),
            Key(id="k2", account="ben", role=Role.MAKER, limits=limits, created=days[0], expires=days[1]),
            Key(
                id="k3",
                account="eva",
                role=Role.VIEWER,
                limits=Limits(pictures_per_day=9),
                created=days[0],
                expires=days[1],
                revoked=days[2],
            ),
        ]
    )
    heading, *rows = map(cells, capsys.readouterr().out.splitlines())
    assert heading == ["account", "role", "key", "created", "expires", "limits"]
    made, ends, gone = (f"2026-05-0{number} 12:00:00" for number in (1, 2, 3))
    assert rows == [
        ["anna", "admin", "k1", made, "never", "none"],
        ["ben", "maker", "k2", made, ends, "60 per minute, 5,000,000 kept bytes"],
        ["eva", "viewer", "k3", made, f"revoked {gone}", "9 pictures per day"],
    ]


def test_a_run_is_shown_with_its_error_what_was_asked_its_notices_and_its_results(wide, capsys):
    request = GenerateRequest(prompt="a cat", seed=7, count=1)
    run = run_of(request=request, status="failed", error="[bold]it broke[/]", execution=Execution(memory="low"))
    hashes = [f"{number}123456789ab" + "f" * 52 for number in range(2)]
    artifacts = [
        Artifact(run="r1", kind="picture", path="/x/2.png", sha256=hashes[1], details={"seed": 8}, created=NOON),
        Artifact(run="r1", kind="report", path="/x/[1].md", sha256=hashes[0], created=NOON),
    ]
    events = [Stage(name="loading"), Notice(text="slow"), Progress(done=1), Notice(text="[red]", level="warning")]
    terminal.print_run(run, artifacts, [(number, NOON, event) for number, event in enumerate(events)])
    first, error, *rest = capsys.readouterr().out.splitlines()
    assert first == "run r1  generate, failed, started 2026-05-01 12:00:00, took -"
    assert error == "[bold]it broke[/]"
    assert json.loads("".join(rest[rest.index("request") + 1 : rest.index("notices")])) == {
        "kind": "generate",
        "prompt": "a cat",
        "seed": 7,
        "memory": "low",
    }
    assert rest[rest.index("notices") + 1 :] == [
        "  slow",
        "  [red]",
        "",
        "results",
        f"  report   /x/[1].md  sha256 {hashes[0]}",
        f"  picture  /x/2.png  sha256 {hashes[1]}  seed 8",
    ]


def test_a_run_without_notices_and_results_says_so(wide, capsys):
    terminal.print_run(run_of(), [], [(1, NOON, Stage(name="loading"))])
    printed = capsys.readouterr().out
    assert printed.endswith("\n\nno results\n") and "notices" not in printed and "None" not in printed


def test_a_row_of_a_ranking_has_interval_counts_and_share_preferred(wide, capsys):
    terminal.print_ranking([Rank(contestant="a[b]", elo=1080.4, low=1010.2, high=1150.7, wins=5, ties=2, losses=1)])
    heading, row = map(cells, capsys.readouterr().out.splitlines())
    assert heading == ["contestant", "Elo", "95% interval", "won", "tied", "lost", "preferred"]
    assert row == ["a[b]", "1080", "1010 to 1151", "5", "2", "1", "75%"]


def test_a_row_of_an_image_has_its_mean_how_many_rated_it_and_whether_it_is_a_favourite(wide, capsys):
    def image(**fields):
        known = {"id": 1, "run": "r1", "path": "/x/1.png", "sha256": "0" * 64, "reference": None, "created": NOON}
        known |= {"owner": "", "request": GenerateRequest(prompt="a [cat]", model="rex"), "details": {}, "tags": {}}
        return GeneratedImage(**known | {"mean": None, "ratings": 0, "mine": None, "favourite": False} | fields)

    terminal.print_images([image(), image(id=2, reference="sha256:5", mean=3.25, ratings=4, favourite=True)])
    heading, *rows = map(cells, capsys.readouterr().out.splitlines())
    assert heading == ["id", "generated", "stars", "model", "image", "prompt"]
    assert rows == [
        ["1", "2026-05-01 12:00:00", "-", "rex", "/x/1.png", "a [cat]"],
        ["2 *", "2026-05-01 12:00:00", "3.2 (4)", "rex", "sha256:5", "a [cat]"],
    ]


@pytest.mark.parametrize(
    ("fields", "lines"),
    [
        ({}, []),
        ({"problems": ("first", "[second]")}, ["  problem   first", "  problem   [second]"]),
        ({"software": "Cam 1"}, ["  signed    Cam 1 by an unknown signer"]),
        ({"signer": "Anna", "signed": NOON}, ["  signed    unknown software by Anna, 2026-05-01 12:00:00"]),
        ({"source": "digitalCapture"}, ["  source    digitalCapture"]),
        (
            {"label": LabelSummary(version="9", model="m", adapters=("a", "b"), seed=5)},
            ["  label     Limner 9, model 'm' with a, b, seed 5"],
        ),
        (
            {"label": LabelSummary(version="9", model="m", adapters=(), seed=5)},
            ["  label     Limner 9, model 'm', seed 5"],
        ),
        (
            {"mark": WatermarkSummary(name=None, chance=2e-9, mirrored=True)},
            ["  watermark found, name unreadable, mirrored (by chance: 2e-09)"],
        ),
        (
            {"mark": WatermarkSummary(name="00ff00ff", chance=1e-30, mirrored=False, run="r2")},
            ["  watermark found, name 00ff00ff (by chance: 1e-30)", "  run       r2"],
        ),
        (
            {"run": "r1", "mark": WatermarkSummary(name="00ff00ff", chance=1e-30, mirrored=False, run="r2")},
            ["  watermark found, name 00ff00ff (by chance: 1e-30)", "  run       r1"],
        ),
    ],
)
def test_a_verdict_is_printed_with_its_grounds(wide, capsys, fields, lines):
    verdict = Verification(state=VerificationState.UNKNOWN, message="nothing [shows] it", unchanged=None, **fields)
    terminal.print_verdict(Path("a[b].png"), verdict)
    assert capsys.readouterr().out.splitlines() == ["a[b].png: unknown, nothing [shows] it", *lines]


@pytest.mark.parametrize(("state", "colour"), [("ours", 32), ("trusted", 32), ("changed", 33), ("unknown", 33)])
def test_only_a_good_verdict_is_green(wide, capsys, monkeypatch, state, colour):
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("FORCE_COLOR", "1")
    terminal.print_verdict(Path("a.png"), Verification(state=VerificationState(state), message="so", unchanged=None))
    assert f"\x1b[{colour}m{state}" in capsys.readouterr().out


def test_results_are_printed_without_previews_and_with_their_seeds(wide, capsys):
    kinds = ArtifactKind
    events = [
        made(kinds.PREVIEW, "/p.png", seed=1),
        made(kinds.GUIDE, "/g.png"),
        made(kinds.IMAGE, "/1.png", seed=7),
        made(kinds.COPY, "/1.jpg", seed=3),
        made(kinds.IMAGE, "/2.png", seed=8),
        made(kinds.IMAGE, "/3.png", seed=9),
    ]
    for count, seeds in ((4, "seed 7"), (6, "seeds 7 to 9")):
        with terminal.Screen() as screen:
            for event in events[:count]:
                screen.show(event)
            screen.finish(run_of())
        said = capsys.readouterr()
        assert said.out.splitlines() == ["/1.png", "/1.jpg", "/2.png", "/3.png"][: count - 2]
        assert said.err.splitlines() == [seeds, "run r1; details: limner show r1"]


@pytest.mark.parametrize(
    ("what", "base", "vae", "flags"),
    [
        (ArtifactKind.MODEL, "starter", None, "--model '/my rex'"),
        (ArtifactKind.MODEL, "who/base", "v", "--model '/my rex'"),
        (ArtifactKind.ADAPTER, "starter", None, "--adapter '/my rex'"),
        (ArtifactKind.ADAPTER, "who/base", None, "--model who/base --adapter '/my rex'"),
        (ArtifactKind.ADAPTER, "who/base", "who/vae", "--model who/base --vae who/vae --adapter '/my rex'"),
    ],
)
def test_the_command_to_try_names_what_the_training_used(wide, capsys, what, base, vae, flags):
    with terminal.Screen() as screen:
        screen.show(made(what, "/my rex", base=base, vae=vae, say="a photo of sks dog"))
        screen.finish(run_of())
    tried = f"try: limner generate 'a photo of sks dog on the beach' {flags}"
    assert capsys.readouterr().err.splitlines()[0] == tried


def test_figures_stay_until_they_change_and_a_total_may_come_late(screen, capsys):
    screen.show(Stage(name="training"))
    screen.show(Progress(done=1, figures={"loss": 0.25, "held_out_loss": 0.5}))
    screen.show(Progress(done=2, total=9, figures={"loss": 0.125, "images_per_second": 2.46}))
    screen.end()
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "training 2/9, loss 0.1250, held out 0.5000, 2.5 images/s, took 0:00"


@pytest.mark.parametrize(("level", "colour"), [("info", 36), ("warning", 33)])
def test_a_notice_has_the_colour_of_its_level(wide, capsys, monkeypatch, level, colour):
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("FORCE_COLOR", "1")
    with terminal.Screen() as screen:
        screen.show(Notice(text="so it is", level=level))
    assert f"\x1b[{colour}m{level}:\x1b[0m so it is" in capsys.readouterr().err


@pytest.mark.parametrize(("error", "stays"), [(LimnerError("no"), False), (KeyError("bug"), True)])
def test_bars_vanish_only_before_a_line_with_an_error(monkeypatch, error, stays):
    screen = terminal.Screen()
    monkeypatch.setattr(screen.bars, "disable", False)
    with pytest.raises(type(error)), screen:
        screen.show(Stage(name="loading"))
        raise error
    assert screen.bars.live.transient != stays and not screen.bars.live.is_started


def test_lines_come_every_five_seconds():
    assert terminal.EVERY == 5


@pytest.mark.parametrize("name", ["rex", "rex:1.5", "rex:-2", "rex:nan", "rex:1e5", "rex:1.5:1", "rex:", "rex 2"])
def test_the_command_for_an_adapter_names_it(name):
    """Whatever its name is, also one that ends like a weight."""
    details = {"say": "a photo of sks dog", "base": "starter", "vae": None}
    made = ArtifactCreated(what=ArtifactKind.ADAPTER, path=f"/tmp/{name}", sha256="a" * 64, details=details)
    command = shlex.split(terminal.generate_command(made))
    used = AdapterUse.model_validate(command[command.index("--adapter") + 1])
    assert (used.path, used.weight) == (f"/tmp/{name}", 1)


HOSTILE = "x\x1b]0;title\x07\x1b[2J\x9b31m\x08\x7f\r\u202e\u2028\udcffy"
STORED = HOSTILE.replace("\udcff", "")
"""As requests and events may hold it: without a lone surrogate, which only file names have."""
STYLE = re.compile(r"\x1b\[[\d;]*m")
"""The escape sequences of styles, which rich writes itself."""


def controls_in(text):
    """The characters of a text that a terminal may obey, or that cannot be written."""
    return {char for char in STYLE.sub("", text) if not char.isprintable() and char != "\n"}


def test_unprintable_characters_are_written_as_in_json():
    assert printable("a\x1b[2J\x9b\u202e\udcff\U000e0001\n") == "a\\u001b[2J\\u009b\\u202e\\udcff\\udb40\\udc01\n"
    assert printable("né 猫 \u0645\u06cc\u200c\u062e 👩\u200d🚀") == "né 猫 \u0645\u06cc\u200c\u062e 👩\u200d🚀"


@pytest.mark.parametrize("colours", [False, True])
def test_nothing_that_is_shown_controls_the_terminal(monkeypatch, capsys, colours):
    monkeypatch.setenv("COLUMNS", "2000")
    monkeypatch.setenv("FORCE_COLOR" if colours else "NO_COLOR", "1")
    now, request = datetime.now(UTC), GenerateRequest(prompt=STORED, negative_prompt=STORED, model=STORED)
    some = {"id": "1", "kind": "generate", "created": now, "started": now, "finished": now}
    run = SimpleNamespace(**some, request=request, execution=None, status=SimpleNamespace(value=HOSTILE), error=HOSTILE)
    monkeypatch.setattr(terminal, "body_of", lambda request, execution: request)
    artifact = SimpleNamespace(kind=HOSTILE, path=HOSTILE, sha256=HOSTILE, details={"seed": HOSTILE})
    image = SimpleNamespace(
        id=HOSTILE,
        created=now,
        mean=None,
        favourite=True,
        request=request,
        reference=None,
        path=HOSTILE,
        location=HOSTILE,
    )
    key = SimpleNamespace(
        account=HOSTILE, role=HOSTILE, id=HOSTILE, created=now, revoked=None, expires=None, limits=Limits()
    )
    rank = SimpleNamespace(contestant=HOSTILE, wins=1, ties=1, losses=1, low=1, high=2, elo=1, preferred=0.5)
    model = SimpleNamespace(name=HOSTILE, family=HOSTILE, gigabytes=1, memory=1, licence=HOSTILE, place=None)
    label = SimpleNamespace(version=HOSTILE, model=HOSTILE, adapters=[HOSTILE], seed=1)
    mark = SimpleNamespace(name=HOSTILE, mirrored=False, chance=0.0, run=HOSTILE)
    verdict = SimpleNamespace(
        good=True, state=HOSTILE, message=HOSTILE, label=label, mark=mark, problems=[HOSTILE], software=HOSTILE,
        signer=HOSTILE, signed=now, source=HOSTILE, run=HOSTILE,
    )  # fmt: skip
    details = {"seed": 1, "say": STORED, "base": STORED, "vae": STORED}
    with terminal.Screen() as screen:
        screen.note(HOSTILE)
        screen.show(Stage(name=STORED, total=1))
        screen.show(Notice(text=STORED))
        screen.show(Progress(done=1, total=1))
        screen.show(ArtifactCreated(what=ArtifactKind.ADAPTER, path=STORED, sha256="0" * 64, details=details))
        screen.finish(run)
    terminal.print_runs([run])
    terminal.print_run(run, [artifact], [(1, now, Notice(text=STORED))])
    terminal.print_images([image])
    terminal.print_collections([SimpleNamespace(id=HOSTILE, name=HOSTILE, pictures=HOSTILE, created=now)])
    terminal.print_keys([key])
    terminal.print_ranking([rank])
    terminal.print_models([model])
    terminal.print_verdict(Path(HOSTILE), verdict)
    record = PromptRecord(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    for by_look in (False, True):
        terminal.print_hits([], by_look)
    terminal.print_hits([Hit(HOSTILE, 1, HOSTILE, HOSTILE, (record,), 1, (HOSTILE,), 0.5, HOSTILE, HOSTILE)])
    terminal.print_libraries([LibraryFacts(HOSTILE, HOSTILE, HOSTILE)])
    output.print_line(f"{HOSTILE}\n")
    shown = capsys.readouterr()
    assert "no prompt fits" in shown.out and "no image fits; use another image or colour" in shown.out
    printed = {name for name in vars(terminal) if name.startswith("print_")} - {"print_line", "print_table"}
    shown_here = ("runs", "run", "images", "collections", "keys", "queue", "ranking", "models", "verdict")
    shown_here += ("hits", "libraries")
    assert printed == {f"print_{name}" for name in shown_here}
    assert controls_in(shown.out) == set() and "\x1b[2J" not in shown.err and "\x1b]0" not in shown.err
    assert colours or controls_in(shown.err) == set()  # the bars of a terminal move its cursor
    assert (STYLE.search(shown.out) is not None) == colours
    assert shown.out.count("2J") >= 20


def test_stored_texts_of_others_do_not_control_the_terminal(limner):
    run = Studio().enqueue(GenerateRequest(prompt=STORED))
    for command in (("runs",), ("show", run.id), ("show", HOSTILE), ("rate", HOSTILE, 3), (HOSTILE,)):
        done = limner(*command)
        assert "2J" in done.out + done.err and controls_in(done.out) == controls_in(done.err) == set(), command


def test_lines_of_the_log_do_not_control_the_terminal():
    record = logging.LogRecord("limner.x", logging.INFO, "x.py", 1, "failed: %s", (HOSTILE,), None)
    for form in ("text", "json"):
        logs.configure(form)
        (handler,) = logging.getLogger("limner").handlers
        line = handler.format(record)
        assert "2J" in line and controls_in(line) == set()


def test_letters_that_the_encoding_lacks_are_escaped(monkeypatch):
    file = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(file, encoding="ascii", write_through=True))
    output.escape_unencodable()
    output.print_line("猫 \udcff")
    assert file.getvalue() == b"\\u732b \\udcff\n"


def test_the_command_line_prints_in_one_way():
    """Only `print_line` calls `print`, and only `Terminal` is a console."""
    found = {}
    for path in Path(terminal.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("print", "Console"):
                found.setdefault(path.name, []).append(node.func.id)
    assert found == {"output.py": ["print"]}


@pytest.mark.parametrize("library", CHATTY)
def test_libraries_do_not_log_what_this_machine_lacks(limner, library):
    """On import, they log parts of theirs that cannot be loaded here, such as those for GPUs."""
    logger = logging.getLogger(library)
    before = logger.level
    logger.setLevel(logging.NOTSET)
    assert logger.isEnabledFor(logging.WARNING)
    limner("runs")
    assert not logger.isEnabledFor(logging.WARNING) and logger.isEnabledFor(logging.ERROR)
    logger.setLevel(before)
