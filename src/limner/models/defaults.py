"""Settings that families share, by the names of `Facts.defaults`. No torch here: facts are read without loading it."""

FLOW_LEARNING = {
    "steps": 1000,
    "batch": 1,
    "learning_rate": 1e-4,
    "class_pictures": 50,
    "prior_target": "model",
    "prior_dropout": 0.0,
    "rank": 16,
    "targets": "attention",
}
"""How a large transformer is taught by flow matching."""
