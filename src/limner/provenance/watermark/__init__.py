"""Invisible watermark: a number in the brightness of an image that survives the loss of its metadata."""

from limner.provenance.watermark.detect import DetectedWatermark, detect
from limner.provenance.watermark.embed import MIN_SIDE, embed, payload_for

__all__ = ["MIN_SIDE", "DetectedWatermark", "detect", "embed", "payload_for"]
