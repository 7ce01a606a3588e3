"""Workers that claim queued runs and execute them."""
