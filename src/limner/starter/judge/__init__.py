"""The judge: a network that reads the attributes of an image that the painter, or a model trained on it, made."""

from limner.starter.judge.attributes import ATTRIBUTES, MARKINGS, truth
from limner.starter.judge.judge import Judge, Readings

__all__ = ["ATTRIBUTES", "MARKINGS", "Judge", "Readings", "truth"]
