"""What a model must do whatever its score, in torch and exported: content of the tutorial."""
