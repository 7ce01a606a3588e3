"""Detectors: they find the subject in an image, one file each."""
