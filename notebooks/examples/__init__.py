"""A server of ours, started for a few requests and timed."""
