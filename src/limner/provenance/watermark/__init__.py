"""The invisible mark: a number in the brightness of a picture that outlives its metadata."""

from limner.provenance.watermark.embed import LEAST, embed, name_of
from limner.provenance.watermark.read import Mark, read

__all__ = ["LEAST", "Mark", "embed", "name_of", "read"]
