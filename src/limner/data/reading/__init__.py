"""Pictures of any format as upright 8-bit sRGB."""
