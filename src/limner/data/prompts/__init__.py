"""Prompts as data: their parts, and a grammar that makes them."""
