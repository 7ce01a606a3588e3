"""Captions: what they shall hold, and the file in which people mend them."""
