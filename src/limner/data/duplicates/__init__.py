"""Finds images that are copies of others."""
