"""Where a model is weak: groups of the test, each with its own score."""
