"""Where an image comes from: metadata labels, content credentials (C2PA), watermark, verification, rights."""
