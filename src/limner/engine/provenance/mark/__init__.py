"""The invisible mark: a number in the brightness of a picture that outlives its metadata."""

from .embed import LEAST, embed, name_of
from .read import Mark, read

__all__ = ["LEAST", "Mark", "embed", "name_of", "read"]
