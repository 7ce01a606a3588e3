"""Reads a moderation policy from YAML and reports all errors in it at once."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import ValidationError

from limner.core.errors import LimnerError, invalid
from limner.core.files import read_file
from limner.core.moderation import Check, CheckStage, CheckUse, Policy
from limner.plugins.registry import checks

SHIPPED = Path(__file__).with_name("policy.yaml")


def read_policy(path: Path | None = None) -> Policy:
    """Read a policy, or the one that comes with Limner, with the options of its checks completed and validated."""
    path = path or SHIPPED
    try:
        content = yaml.safe_load(read_file(path))
    except LimnerError as error:
        raise LimnerError(f"policy {str(path)!r} cannot be read: {error.problem}", error.remedy) from error
    except yaml.YAMLError as error:
        raise LimnerError(
            f"policy {str(path)!r} cannot be read: {error}", "check its name and its indentation"
        ) from error
    try:
        return complete(Policy.model_validate(content))
    except ValidationError as error:
        raise LimnerError(f"policy {str(path)!r}: {invalid(error)}") from error
    except LimnerError as error:
        raise LimnerError(f"policy {str(path)!r}: {error}") from error


def complete(policy: Policy) -> Policy:
    """Return the policy with the defaults of its checks' options; raises LimnerError with all errors in them."""
    problems: list[str] = []
    stages: dict[str, tuple[CheckUse, ...]] = {}
    for stage in CheckStage:
        uses: list[CheckUse] = []
        for use in policy.uses(stage):
            try:
                options = check_for(stage, use.check).Options.model_validate(use.options)
                uses.append(use.model_copy(update={"options": options.model_dump(mode="json")}))
            except ValidationError as error:
                problems.append(f"{stage}: {use.check}: {invalid(error)}")
            except LimnerError as error:
                problems.append(f"{stage}: {error}")
        stages[stage.value] = tuple(uses)
    if problems:
        raise LimnerError("; ".join(problems))
    return policy.model_copy(update=stages)


def check_for(stage: CheckStage, name: str) -> Check:
    """Return the check of a name; raises LimnerError where there is none, or it cannot judge what the stage has."""
    check = checks.get(name)
    if not (check.texts if stage.is_text else check.pictures):
        what = "texts" if stage.is_text else "images"
        fit = [name for name, known in checks.all().items() if (known.texts if stage.is_text else known.pictures)]
        raise LimnerError(f"the check {name!r} does not judge {what}", f"choose one of: {', '.join(fit)}")
    return check
