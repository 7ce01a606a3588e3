"""Feedback in files: ratings, and pairs of a preferred and a rejected image."""
