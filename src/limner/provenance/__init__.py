"""Where an image comes from: labels in metadata, content credentials (C2PA), watermark, verification, rights."""
