"""What chapter 01 says of its results."""

import numpy as np
import pandas as pd

from gpt2news.show import plain
from sentences import SEE, count, listed, percent


def corpus(name: str, topics: list[str], n: int) -> str:
    """How large the corpus is."""
    named = ", ".join(plain(topic, markup=True) for topic in topics[:10])
    more = ", …" if len(topics) > 10 else ""
    invented = " Its articles are invented." if name == "sample" else ""
    title = plain(name, markup=True)
    return f"**{title}**: {count(n, 'text')}, {len(topics)} topics ({named}{more}).{invented}"


def care(left_out: list[str], odd: list[str]) -> str:
    """Which rows were left out and why, and what else may be wrong with the corpus."""
    said = []
    if left_out:
        verb = "was" if len(left_out) == 1 else "were"
        shown = [plain(row, 120, markup=True) for row in left_out]
        said.append(f"**{count(len(left_out), 'row')} {verb} left out:** {listed(shown)}.")
    said += [plain(hint, 300, markup=True) for hint in odd]
    if not said:
        return SEE + "every row has a text and a label, and nothing is odd."
    return "\n".join(f"- {sentence}" for sentence in said)


def balance(counts: pd.Series) -> str:
    """Who is largest, and what always saying so would score."""
    largest = [plain(topic, markup=True) for topic in counts.index[counts == counts.max()]]
    share = f"{counts.max() / counts.sum():.0%}"
    if len(largest) == len(counts):
        return SEE + (
            f"every topic has {share} of the corpus. "
            "A model that always says the same one would be right just as often."
        )
    if len(largest) > 1:
        return SEE + (
            f"{listed(largest)} are the largest, with {share} of the corpus each. "
            "A model that always says one of them would be right just as often."
        )
    return SEE + (
        f"the largest topic, **{largest[0]}**, is {share} of the corpus. "
        "A model that always says it would be right just as often."
    )


def pieces(tokens: list[str]) -> str:
    """What a cut-up sentence shows: how many words are whole, and which costs most."""
    words: list[list[str]] = []
    for token in tokens:
        if not words or token.startswith(" "):
            words.append([])
        if any(character.isalnum() or character == "\ufffd" for character in token):
            words[-1].append(token.strip())
    words = [word for word in words if word]
    if not words:
        return SEE + "there is no word in it that the tokenizer reads."
    whole = sum(len(word) == 1 for word in words)
    if whole == len(words):
        return SEE + "every word here is one token. Type a name, or a rare word."
    most = max(words, key=len)
    spelt = " + ".join(plain(part, markup=True) for part in most)
    return SEE + (
        f"{whole} of {len(words)} words are one token. The others are put together from parts: a "
        f"blue box starts a word, an orange one goes on. One word here takes {len(most)} tokens: "
        f"{spelt}. Under each piece is its number, which is all that the model is given."
    )


def dropped(rows: pd.DataFrame) -> str:
    """What the tokenizer does with what it was not made for.

    Args:
        rows: columns `text`, `kept` (the text after the normaliser), `ids` (a list).
    """
    lost = rows[rows["ids"].map(len) == 0]
    # Accents and capitals come off without loss of letters; this asks for the letters.
    letters = [sum(map(str.isalpha, text)) for text in rows["text"]]
    kept = [sum(map(str.isalpha, text)) for text in rows["kept"]]
    shorter = rows[(np.array(kept) < letters) & (rows["ids"].map(len) > 0)]
    changed = rows["text"] != rows["kept"]
    if not changed.any():
        return SEE + "nothing is dropped. This tokenizer spells what is not in its list in bytes."
    said = []
    if len(lost):
        named = listed([plain(text, markup=True) for text in lost["text"]])
        said.append(
            f"Nothing at all is left of {named}. A text without a token is given to the model as "
            "one padding token, and it answers all the same: with a topic that means nothing."
        )
    if len(shorter):
        pairs = zip(shorter["text"], shorter["kept"], strict=True)
        named = [f"{plain(a, markup=True)} becomes “{plain(b, markup=True)}”" for a, b in pairs]
        said.append(f"Letters are lost without a word: {listed(named)}.")
    if not said:
        said.append("Capitals, accents or punctuation go; every letter is kept.")
    text = " ".join(said)
    return SEE + text[0].lower() + text[1:]


def lengths(words: np.ndarray, tokens: np.ndarray, limits: tuple[int, ...] = (128, 512)) -> str:
    """How long the texts are, and how many are longer than each limit."""
    typical = (
        f"the median text has {np.median(words):.0f} words, which are {np.median(tokens):.0f} "
        f"tokens ({tokens.sum() / max(1, words.sum()):.2f} tokens a word). "
    )
    over = {limit: (tokens > limit).mean() for limit in limits}
    cut = [
        f"{percent(share)} are longer than {limit} tokens" for limit, share in over.items() if share
    ]
    if not cut:
        return SEE + typical + f"No text is longer than {min(limits)} tokens: none has to be cut."
    fit = [limit for limit, share in over.items() if not share]
    whole = f" None is longer than {min(fit)}." if fit else ""
    return f"{SEE}{typical}{listed(cut)}.{whole} What is cut off is never seen."


def runs(first: int, second: int, both: int, likeness: float, threshold: float) -> str:
    """Two sentences of `first` and `second` runs, `both` of them shared."""
    kind = "twins" if likeness > threshold else "no twins"
    over = "over" if likeness > threshold else "not over"
    return SEE + (
        f"the two have {first} and {second} runs, {both} of them the same. The index is "
        f"{both} / {first + second - both} = **{likeness:.2f}**, {over} {threshold}: {kind}."
    )


def twins(n: int, unique: int, exact: int, near: int) -> str:
    """How many copies a corpus has.

    Args:
        n, unique: texts, and families of texts.
        exact, near: pairs of texts that are the same word for word, and nearly.
    """
    if n == unique:
        return f"{count(n, 'text')}, and no two of them are the same or nearly so."
    copies = n - unique
    verb = "is a copy" if copies == 1 else "are copies"
    return (
        f"{count(n, 'text')}, **{unique:,}** different ones: {copies:,} {verb} of another or "
        f"nearly so ({count(exact, 'pair')} word for word, {count(near, 'pair')} nearly)."
    )


def marks(words: pd.DataFrame, clear: float = 3.0) -> str:
    """Do single words give the topics away? `words` as `marking_words` gives them."""
    strongest = words.groupby("topic")["z"].max()
    given = int((strongest >= clear).sum())
    if not given:
        return SEE + (
            f"in no topic does a word stand out (z of {clear:g} or more). "
            "Single words do not give the topic away here."
        )
    where = "every topic" if given == len(strongest) else f"{given} of {len(strongest)} topics"
    return SEE + (
        f"in {where} at least one word stands out (z of {clear:g} or more), so single words "
        "already say a good deal. Chapter 04 gives a linear model over words the same test as "
        "the transformer."
    )
