"""`limner serve` in a process of its own, which several benchmarks measure."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def service(home: Path, *flags: str, **environment: str) -> Iterator[str]:
    """The address of a service of a home, until the block ends."""
    command = [sys.executable, "-m", "limner.cli", "serve", "--port", "0", *flags]
    variables = os.environ | {"LIMNER_HOME": str(home), **environment}
    with (home / "log").open("w") as log:
        process = subprocess.Popen(command, env=variables, stderr=log)
    try:
        while (found := re.search(r"serves at (http://\S+);", (home / "log").read_text())) is None:
            time.sleep(0.1)
        yield found[1]
    finally:
        process.terminate()
        process.wait()
