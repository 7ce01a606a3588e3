"""The invisible mark: a number in the brightness of a picture that outlives its metadata."""

from limner.provenance.watermark.detect import DetectedWatermark, detect
from limner.provenance.watermark.embed import MIN_SIDE, embed, payload_for

__all__ = ["MIN_SIDE", "DetectedWatermark", "detect", "embed", "payload_for"]
