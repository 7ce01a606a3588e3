"""A stand-in for the few parts of torchvision that a benchmark peer imports, for machines without torchvision."""

__version__ = "0.0.0"
