"""Where it is kept. Only this package knows SQL and paths; import the module that you need, for SQL is slow to load."""
