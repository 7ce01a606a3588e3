"""What is wrong with a picture, by its pixels alone."""
