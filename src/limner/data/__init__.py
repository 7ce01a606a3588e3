"""Building datasets: quality checks, near duplicates, captions, diversity, splits, and the entries of sources."""
