"""The pictures that one chapter alone draws; what chapters share is in `gpt2news.show`."""
