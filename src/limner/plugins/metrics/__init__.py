"""Scores of pictures, one file each. A metric knows the gallery that it is given, and no other metric."""
