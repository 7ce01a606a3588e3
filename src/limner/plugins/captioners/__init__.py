"""What puts pictures into words, one file each; the starter brings one of its own."""
