"""The main job on one page: the starter learns a character that it has never seen, and paints it."""
