"""Kinds of places that pictures come from, one file each. A source knows its own kind, and no other one."""
