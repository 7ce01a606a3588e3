"""Quality checks of images by their pixels."""
