"""Captions: trigger and banned words, and the CSV file in which people edit captions."""
