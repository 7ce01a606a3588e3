"""Sides of pictures, in pixels."""

from __future__ import annotations

from limner.core.errors import LimnerError


def check_side(name: str, pixels: int | None, multiple: int) -> None:
    """Refuse a side that the model's latents cannot have; None is the model's own."""
    if pixels is not None and pixels % multiple:
        nearest = max(1, round(pixels / multiple)) * multiple
        raise LimnerError(f"{name} {pixels} is not a multiple of {multiple}", f"use {nearest}")
