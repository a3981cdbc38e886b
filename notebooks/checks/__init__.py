"""What a model must do whatever its score: written cases, content of the tutorial."""
