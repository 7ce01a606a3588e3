"""The notebooks run from their first cell to their last, and show what they speak of."""

from __future__ import annotations

import base64
import getpass
import hashlib
import io
import json
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
CARRY_OUT = """
import sys
import nbformat
from nbclient import NotebookClient

notebook = nbformat.read(sys.argv[1], 4)
NotebookClient(notebook, timeout=500, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[2])
"""


MACHINE = re.compile(r"(?<![\w.:/])(/(home|Users|root|tmp|var|opt|work|usr|mnt|private)/|[A-Z]:\\\\)")
"""The start of an absolute path."""
NAMES = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))


def read(name: str) -> dict[str, Any]:
    return json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_notebooks_code_runs_with_few_steps(
    name: str, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import IPython.display

    shown: list[object] = []
    monkeypatch.setattr(IPython.display, "display", shown.append)
    cells = read(name)["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    few = re.sub(r"\bseeds=\d+", "seeds=2", re.sub(r"\bsteps=\d+", "steps=2", code))
    assert few != code
    exec(compile(few, name, "exec"), {})
    assert sum(isinstance(each, IPython.display.Image) for each in shown) == 4
    assert "Cannot tell which value of guidance is best" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs(name: str, home: Path, tmp_path: Path) -> None:
    done = tmp_path / "done.ipynb"
    command = [sys.executable, "-W", "ignore", "-c", CARRY_OUT, str(NOTEBOOKS / f"{name}.ipynb"), str(done)]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr[-2000:]
    cells = json.loads(done.read_text(encoding="utf-8"))["cells"]
    shown = [kind for cell in cells for output in cell.get("outputs", ()) for kind in output.get("data", ())]
    assert shown.count("image/png") == 4
    assert "Cannot tell which value of guidance is best" in "".join(
        "".join(output.get("text", "")) for c in cells for output in c.get("outputs", ())
    )


# The stored outputs


@pytest.mark.parametrize("name", NAMES)
def test_stored_outputs_are_of_the_present_cells(name: str) -> None:
    notebook = read(name)
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    code = json.dumps(["".join(cell["source"]) for cell in cells])
    digest = hashlib.sha256(code.encode()).hexdigest()
    assert notebook["metadata"]["limner"]["outputs_of"] == digest, "a cell changed: make notebooks"
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1)), "all ran, once and in order"
    for cell in cells:
        source = "".join(cell["source"])
        kinds = [kind for output in cell["outputs"] for kind in output.get("data", {output["output_type"]: ""})]
        assert kinds.count("image/jpeg") == len(re.findall(r"display\(Image", source))
        assert kinds.count("text/markdown") == len(re.findall(r"display\(Markdown", source))
        assert kinds.count("stream") == len(re.findall(r"^print\(", source, re.MULTILINE))
        assert "error" not in kinds


@pytest.mark.parametrize("name", NAMES)
def test_stored_outputs_are_small_and_name_nothing_of_the_machine(name: str) -> None:
    path = NOTEBOOKS / f"{name}.ipynb"
    assert path.stat().st_size <= 400_000
    text = path.read_text(encoding="utf-8")
    outputs = json.dumps([cell.get("outputs") for cell in json.loads(text)["cells"]])
    for each in (text, outputs):
        assert not MACHINE.search(each), MACHINE.search(each)
    names = {platform.node(), getpass.getuser()} - {"root", "localhost", "runner", "user", ""}
    assert not [each for each in names if re.search(rf"\b{re.escape(each)}\b", outputs)]
    for data in (output.get("data", {}) for cell in json.loads(text)["cells"] for output in cell.get("outputs", ())):
        if (stored := data.get("image/jpeg")) is not None:
            with Image.open(io.BytesIO(base64.b64decode(stored))) as image:
                assert image.format == "JPEG" and max(image.size) >= 400
                assert not image.getexif() and not {*image.info} & {"exif", "comment", "xmp"}


@pytest.mark.parametrize("name", NAMES)
def test_the_first_cell_and_the_readme_say_how_to_open_a_notebook(name: str) -> None:
    first = read(name)["cells"][0]
    for text in ("".join(first["source"]), (NOTEBOOKS.parent / "README.md").read_text(encoding="utf-8")):
        assert "pip install jupyterlab" in text and f"jupyter lab notebooks/{name}.ipynb" in text
