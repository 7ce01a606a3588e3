"""Photographs as they come, made ready for training: read, cropped, hashed and put into arrays."""
