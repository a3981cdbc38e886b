"""gpt2news: from raw news to a deployed classifier with GPT-2.

One module a notebook: `corpus`, `splits`, `finetune`, `evaluation`, `deployment`; what they share: `runs`, `plots`;
what runs and shows them: `reports`, `cli`; what answers, without torch: `serving`.
"""
