"""The scores of a chapter, together as metrics.json has them."""
