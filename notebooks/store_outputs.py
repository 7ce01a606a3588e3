"""Runs the notebooks and stores their outputs in them, with small images: make notebooks."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from nbclient import NotebookClient
from PIL import Image

HERE = Path(__file__).parent
WIDTH, QUALITY = 900, 80
"""Pixels and JPEG quality of stored images, so that a notebook stays below 400 kB."""


def code_digest(cells: list[dict[str, Any]]) -> str:
    """A hash of all code, by which a test sees that the stored outputs are of the present cells."""
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return hashlib.sha256(json.dumps(code).encode()).hexdigest()


def small(output: dict[str, Any]) -> dict[str, Any]:
    """An output with its image as a small JPEG."""
    data = dict(output.get("data", {}))
    if (png := data.pop("image/png", None)) is None:
        return output
    with Image.open(io.BytesIO(base64.b64decode(png))) as image:
        shown = image.convert("RGB")
    shown.thumbnail((WIDTH, 4 * WIDTH), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    shown.save(buffer, "JPEG", quality=QUALITY, optimize=True, progressive=True)
    data["image/jpeg"] = base64.b64encode(buffer.getvalue()).decode()
    return {**output, "data": data, "metadata": {}}


def store_outputs(path: Path) -> None:
    """Run a notebook in an empty folder with an empty home, and store what its cells show."""
    notebook = nbformat.read(path, 4)
    with TemporaryDirectory() as folder:
        os.environ["LIMNER_HOME"] = str(Path(folder) / "home")
        client = NotebookClient(notebook, timeout=900, kernel_name="python3", resources={"metadata": {"path": folder}})
        client.execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            shown = [each for each in cell.outputs if each.get("name") != "stderr"]
            cell.outputs = [nbformat.from_dict(small(each)) for each in shown]
    notebook.metadata.pop("language_info", None)
    notebook.metadata["language_info"] = {"name": "python"}
    notebook.metadata["limner"] = {"outputs_of": code_digest(notebook.cells)}
    nbformat.write(notebook, path)


if __name__ == "__main__":
    for each in sorted(HERE.glob("*.ipynb")):
        store_outputs(each)
        print(f"{each.name}: {each.stat().st_size / 1000:.0f} kB")
