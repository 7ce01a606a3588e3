"""Pictures as they come, made ready for training: read, judged, cut, compared, told, and put into arrays."""
