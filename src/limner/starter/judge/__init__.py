"""The judge: reads off a picture what the painter would have had to be told to paint it."""

from .attributes import ATTRIBUTES, Truth, truth
from .judge import Judge, Readings

__all__ = ["ATTRIBUTES", "Judge", "Readings", "Truth", "truth"]
