"""Tries to load the image checks of a policy in a separate process, because the server itself needs no torch.

`python -m limner.moderation.preload` reads a policy's text from stdin. Where a check cannot be loaded, it exits with
code 2 and one line on stderr.
"""

from __future__ import annotations

import subprocess
import sys

from limner.core.errors import LimnerError
from limner.core.moderation import CheckStage, Policy
from limner.moderation.moderator import Moderator

STAGES = (CheckStage.INPUT, CheckStage.IMAGE)


def try_image_checks(policy: Policy) -> None:
    """Raise LimnerError where an image check cannot be loaded on this machine."""
    if not any(map(policy.uses, STAGES)):
        return
    command = [sys.executable, "-m", "limner.moderation.preload"]
    done = subprocess.run(command, input=policy.text, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise LimnerError(last if done.returncode == 2 else f"the checks of the policy cannot be tried: {last}")


def main() -> None:
    """Load the checks of the policy on stdin."""
    try:
        Moderator(Policy.model_validate_json(sys.stdin.read())).prepare(*STAGES)
    except LimnerError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
