"""Generating images: checks, pipelines, batches of requests, and the files that are written."""
