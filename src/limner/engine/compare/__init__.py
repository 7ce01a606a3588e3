"""Comparisons of models and adapters: images of every contestant, scores, and blind votes."""
