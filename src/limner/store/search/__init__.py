"""The search index over prompts: words, meaning and filters. It can be deleted and built again."""
