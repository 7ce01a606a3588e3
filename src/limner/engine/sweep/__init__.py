"""Sweeps: the same image with one to three settings varied, with scores."""
