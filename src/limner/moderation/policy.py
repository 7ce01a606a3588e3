"""Reading a policy: every mistake in it is told at once, before anything is served."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import ValidationError

from limner.core.errors import LimnerError, invalid
from limner.core.moderation import Check, CheckStage, CheckUse, Policy
from limner.plugins.registry import checks

SHIPPED = Path(__file__).with_name("policy.yaml")


def read_policy(path: Path | None = None) -> Policy:
    """The policy in a YAML file, or the one that comes with Limner; its checks' options filled in and found fit."""
    path = path or SHIPPED
    try:
        told = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise LimnerError(
            f"policy {str(path)!r} cannot be read: {error}", "check its name and its indentation"
        ) from error
    try:
        return filled(Policy.model_validate(told))
    except ValidationError as error:
        raise LimnerError(f"policy {str(path)!r}: {invalid(error)}") from error
    except LimnerError as error:
        raise LimnerError(f"policy {str(path)!r}: {error}") from error


def filled(policy: Policy) -> Policy:
    """The policy with the options of its checks in full; raises LimnerError with all that is wrong."""
    problems: list[str] = []
    whole: dict[str, tuple[CheckUse, ...]] = {}
    for stage in CheckStage:
        uses: list[CheckUse] = []
        for use in policy.uses(stage):
            try:
                uses.append(use.model_copy(update={"options": _options(stage, use)}))
            except ValidationError as error:
                problems.append(f"{stage}: {use.check}: {invalid(error)}")
            except LimnerError as error:
                problems.append(f"{stage}: {error}")
        whole[stage.value] = tuple(uses)
    if problems:
        raise LimnerError("; ".join(problems))
    return policy.model_copy(update=whole)


def check_for(stage: CheckStage, name: str) -> Check:
    """The check of that name; raises LimnerError where there is none, or it cannot judge what a stage has."""
    check = checks.get(name)
    if not (check.texts if stage.is_text else check.pictures):
        what = "words" if stage.is_text else "pictures"
        fit = [name for name, known in checks.all().items() if (known.texts if stage.is_text else known.pictures)]
        raise LimnerError(f"the check {name!r} does not judge {what}", f"choose one of: {', '.join(fit)}")
    return check


def _options(stage: CheckStage, use: CheckUse) -> dict[str, object]:
    check = check_for(stage, use.check)
    return check.Options.model_validate(use.options).model_dump(mode="json")
