"""Pages in a real browser: a script runs in them, and what it leaves in `answer` comes back."""

from __future__ import annotations

import json
import re
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=30000",
    "--dump-dom",
)
PRESS = "const press = key => document.dispatchEvent(new KeyboardEvent('keydown', { key }));"
SAVE = """let text; window.Blob = class { constructor(parts) { text = parts[0]; } };
URL.createObjectURL = made => 'data:,'; document.addEventListener('click', event => event.preventDefault());
document.getElementById('save').click(); answer.saved = JSON.parse(text);"""
TOLD = "answer.told = document.getElementById('told').textContent;"


def drive(page: Path, script: str, profile: Path, *flags: str) -> dict[str, Any]:
    """Open a page, run a script in it, and give its answer. profile: where what the browser keeps lies."""
    end = "document.body.append(Object.assign(document.createElement('pre'),"
    end += " {id: 'answer', textContent: JSON.stringify(answer)}));"
    ran = f"<script>(async () => {{ const answer = {{}}; {script}; {end} }})()</script></body>"
    whole = page.read_text()
    page.write_text(whole.replace("</body>", ran))
    try:
        command = [CHROMIUM, *FLAGS, *flags, f"--user-data-dir={profile}", page.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
    finally:
        page.write_text(whole)
    found = re.search(r'<pre id="answer">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found is not None, done.stdout[-2000:]
    return json.loads(unescape(found[1]))
