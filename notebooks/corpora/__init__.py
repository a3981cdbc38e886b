"""Which corpora there are by name, and which rows of a file are used: content of the tutorial."""
