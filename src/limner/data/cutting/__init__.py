"""What is cut out of pictures, to which shape, and their masks."""
