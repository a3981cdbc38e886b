"""Why a model gave its answer, word by word; what a chapter needs of it."""


def excerpt(text: str) -> str:
    """The first 20 words, no more in any report: the articles belong to their publishers."""
    words = text.split()
    return " ".join(words[:20]) + (" …" if len(words) > 20 else "")
