"""Comparisons of models and adapters: images of every contestant, scores, blind votes."""
