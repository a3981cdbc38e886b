"""Run the five notebooks in order with papermill, and turn what they leave into pages.

`profiles` says which values go into which notebook, `gates` what a good run keeps to; `run` runs
the notebooks that need it, `pages` renders them. The package itself imports nothing: the command
`gpt2news` also answers where papermill is not installed.
"""
