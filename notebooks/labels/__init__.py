"""How much many labels are worth, and which rung pays: what the published records say."""
