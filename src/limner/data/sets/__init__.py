"""Folders of pictures, as training reads them."""
