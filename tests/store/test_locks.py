"""A run is carried out by one program at a time."""

import subprocess
import sys
from pathlib import Path

import pytest

from limner import LimnerError
from limner.store.locks import held, is_held

HOLD = """
import sys, time
from pathlib import Path
from limner.store.locks import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_program_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    assert not is_held(tmp_path)
    program = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    try:
        assert program.stdout.readline() == "held\n"
        assert is_held(tmp_path)
        with pytest.raises(LimnerError, match="carried out by another program"), held(tmp_path):
            pass
    finally:
        program.kill()
        program.wait()
        program.stdout.close()
    assert not is_held(tmp_path)
    with held(tmp_path):
        assert is_held(tmp_path)
