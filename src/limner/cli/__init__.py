"""The command line: commands, flags made of request fields, progress bars."""

from limner.cli.app import main

__all__ = ["main"]
