"""The web app that `gpt2news app` starts: page.py draws it, models.py answers, sheets.py reads a file, look.py and .streamlit/ dress it."""
