"""Sources of images, one file each. A source knows only its own kind."""
