"""What chapters leave in metrics.json."""
