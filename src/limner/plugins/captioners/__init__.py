"""Captioners: they describe images in words, one file each. The starter adds one of its own."""
