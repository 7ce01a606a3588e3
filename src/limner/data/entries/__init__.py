"""Entries of sources: images in folders, archives and tables, with their captions, fields and rights."""
