"""Loading and caching of models, adapters in memory, and the tensor code that plugins share."""
