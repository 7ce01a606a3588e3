"""The facade over everything below: submits, executes and records requests."""

from limner.studio.studio import Studio

__all__ = ["Studio"]
