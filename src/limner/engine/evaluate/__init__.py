"""Evaluation of a model, an adapter or a folder of images: scores, group fairness and people's opinions."""
