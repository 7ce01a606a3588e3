"""Training methods, one file each: a module with a `plugin` that satisfies `limner.core.protocols.Method`."""
