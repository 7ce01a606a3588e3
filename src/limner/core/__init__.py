"""What Limner talks about: requests, runs, artifacts, events, errors and plugin protocols."""
