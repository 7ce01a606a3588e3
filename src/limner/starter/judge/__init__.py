"""The judge: reads off a picture what the painter would have had to be told to paint it."""

from .attributes import ATTRIBUTES, MARKINGS, truth
from .judge import Judge, Readings

__all__ = ["ATTRIBUTES", "MARKINGS", "Judge", "Readings", "truth"]
