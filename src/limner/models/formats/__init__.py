"""Layouts of adapter files, one file each."""
