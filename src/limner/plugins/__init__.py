"""Plugins: the registry, and a package for each type of plugin with a file for each plugin."""
