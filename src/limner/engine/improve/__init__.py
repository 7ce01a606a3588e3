"""Improvement of an adapter or a model by people's feedback."""
