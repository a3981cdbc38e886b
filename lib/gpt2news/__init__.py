"""gpt2news: from raw news to a deployed classifier with GPT-2.

One module a notebook: `explore`, `split`, `finetune`, `evaluate`, `deploy`. What they share: `run`
(what a chapter reads and leaves) and `show` (figures and tables).
"""
