"""Moderation checks of prompts and images, one file each."""
