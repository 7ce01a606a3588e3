"""Whether the checks of pictures can be loaded, tried in a process of its own that ends again: the service itself does
not judge pictures, and needs no torch for them.

`python -m limner.moderation.preload` reads a policy's text. It exits with code 2 and one line that says why, where a
check cannot be loaded.
"""

from __future__ import annotations

import subprocess
import sys

from limner.core.errors import LimnerError
from limner.core.moderation import CheckStage, Policy
from limner.moderation.moderator import Moderator

STAGES = (CheckStage.INPUT, CheckStage.PICTURE)


def try_pictures(policy: Policy) -> None:
    """Raise LimnerError where a check of pictures cannot be loaded on this machine."""
    if not any(map(policy.uses, STAGES)):
        return
    command = [sys.executable, "-m", "limner.moderation.preload"]
    done = subprocess.run(command, input=policy.text, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no word"]
        raise LimnerError(said[-1] if done.returncode == 2 else f"the policy's checks cannot be tried: {said[-1]}")


def main() -> None:
    """Load the checks of the policy that stdin has."""
    try:
        Moderator(Policy.model_validate_json(sys.stdin.read())).prepare(*STAGES)
    except LimnerError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
