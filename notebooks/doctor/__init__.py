"""What is wrong with a file or a machine, before anything is trained: content of the tutorial."""
