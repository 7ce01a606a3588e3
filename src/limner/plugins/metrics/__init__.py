"""Metrics of images, one file each. A metric sees only the gallery that it scores, and no other metric."""
