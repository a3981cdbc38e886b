"""What a chapter makes in the cloud and removes again."""
