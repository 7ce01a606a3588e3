"""Images: decoding any format to upright 8-bit sRGB, cropping, masks, contact sheets. Nothing else opens an image."""
