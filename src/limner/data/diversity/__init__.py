"""Pictures of a set beside each other: balance, splits, surroundings, diversity, advice."""
