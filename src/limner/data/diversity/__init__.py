"""Diversity of a dataset: scenes, clusters, balance of fields, splits, and advice."""
