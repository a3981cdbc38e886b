"""What kind of text a model knows: its limits, taken from the training texts."""
