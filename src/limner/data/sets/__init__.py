"""Folders of images with captions, as training reads and the starter writes them."""
