"""The web app that `gpt2news app` starts."""
