"""Preparation of datasets: reads images, finds problems and duplicates, crops, captions, splits and writes a report."""
