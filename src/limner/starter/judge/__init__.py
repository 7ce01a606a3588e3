"""The judge: reads off a picture what the painter would have had to be told to paint it."""

from limner.starter.judge.attributes import ATTRIBUTES, MARKINGS, truth
from limner.starter.judge.judge import Judge, Readings

__all__ = ["ATTRIBUTES", "MARKINGS", "Judge", "Readings", "truth"]
