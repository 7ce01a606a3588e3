"""The facade over everything below: submits, executes and records requests."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limner.studio.studio import Studio as Studio

__all__ = ["Studio"]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name == "Studio":  # imported when it is used: other parts of the studio need no database
        from limner.studio.studio import Studio

        return Studio
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
