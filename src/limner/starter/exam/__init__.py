"""The starter's exam: prompts it never saw, painted, read by the judge and counted."""
