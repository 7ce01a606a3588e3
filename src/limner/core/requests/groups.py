"""Groups that a model shall serve alike: values of an attribute, each of which stands in the same prompts in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from limner.core.requests.request import check_lengths
from limner.core.requests.parsing import find_repeated

GROUP = "{group}"
"""Stands for the group in a prompt."""
MAX_GROUPS = 64


@dataclass(frozen=True, slots=True)
class FilledPrompt:
    """A prompt with a group in it. template: as it was typed. group: None where the prompt has no place for one."""

    prompt: str
    template: str
    group: str | None


def fill_groups(prompts: Sequence[str], groups: Sequence[str]) -> tuple[FilledPrompt, ...]:
    """Each prompt once for each group, or once where it has no place for one."""
    return tuple(
        FilledPrompt(template.replace(GROUP, group), template, group) if group else FilledPrompt(template, template, None)
        for template in prompts
        for group in (groups if GROUP in template else ("",))
    )


def count_filled(prompts: Sequence[str], groups: Sequence[str]) -> int:
    """How many prompts `filled` makes."""
    return sum(max(1, len(groups)) if GROUP in template else 1 for template in prompts)


def split_groups(value: Any) -> Any:
    """Groups as they are typed, "cat,dog" or one after another, as a list; what is no text stays for pydantic."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",", MAX_GROUPS)]
    if isinstance(value, (list, tuple)):
        parts = cast("Sequence[Any]", value)
        return [each for part in parts for each in (split_groups(part) if isinstance(part, str) else [part])]
    return value


def check_groups(prompts: Sequence[str], groups: Sequence[str], count: int) -> None:
    """Raise ValueError for groups and prompts that do not belong together.

    count: pictures of each prompt.
    """
    holding = [prompt for prompt in prompts if GROUP in prompt]
    if holding and not groups:
        raise ValueError(f"{holding[0][:80]!r} has a place for groups, and none are named; give --groups cat,dog")
    if not groups:
        return
    if not all(groups):
        raise ValueError("a group is empty; name each by a word")
    if bad := next((group for group in groups if "{" in group or "}" in group), None):
        raise ValueError(f"the group {bad[:80]!r} has a brace in it; name it by words")
    if len(set(groups)) < max(2, len(groups)):
        told = "is named twice" if len(groups) > 1 else "is alone"
        raise ValueError(f"the group {(find_repeated(groups) or groups[0])[:80]!r} {told}; name two or more, each once")
    if not holding:
        raise ValueError(f"groups are named, and no prompt says where they stand; write {GROUP} in one")
    if len(holding) * count < 2:
        raise ValueError("each group has one picture; ask for more by --count")
    check_lengths((prompt for prompt in holding for _ in groups), {GROUP: max(groups, key=len)})
    if (twice := find_repeated(each.prompt for each in fill_groups(prompts, groups))) is not None:
        raise ValueError(f"{twice[:80]!r} is there twice with the groups in their places; leave one out")
