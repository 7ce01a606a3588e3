"""Plugins: the registry, and one package for each kind with one file for each plugin."""
