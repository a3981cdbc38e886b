"""The ladder: what each way of sorting texts gives for its price, and how many labels it needs."""
