"""What a chapter that is opened alone makes of the chapters before it."""
