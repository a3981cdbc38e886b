"""What chapter 02 says of its results."""

import numpy as np
import pandas as pd

from sentences import SEE, count


def plain_draw(leaks: pd.DataFrame, n_test: int, removed: int) -> str:
    """What a draw that does not look for copies has done.

    Args:
        leaks: `split.find_leaks` of that draw.
        n_test: its test texts.
        removed: the texts of the corpus that are copies of another.
    """
    in_test = leaks[leaks["part"] == "test"]
    exact = int((in_test["jaccard"] == 1).sum())
    if not removed:
        return SEE + (
            "this corpus has no copies, so the draw that looks for them and the draw that does "
            "not are the same, text by text: the cell above has checked it. What copies would "
            "have done is tried in section 4."
        )
    if not len(in_test):
        return SEE + (
            f"this corpus has {count(removed, 'copy', 'copies')}, and by luck "
            f"none of the {n_test:,} test texts has its twin in the training part."
        )
    return SEE + (
        f"**{len(in_test)} of {n_test:,}** test texts have a twin in the training part "
        f"({exact} word for word). Up to {len(in_test) / n_test:.1%} of the test score would be "
        "memory. The draw of the library has none, because only one text of a family is kept."
    )


def proportions(counts: pd.DataFrame) -> str:
    """Is each topic's share of each part the same? `counts`: topics in rows, parts in columns."""
    cells = counts.to_numpy()
    expected = np.outer(cells.sum(axis=1), cells.sum(axis=0)) / cells.sum()
    off = np.abs(cells - expected).max()
    if off <= 1:
        return SEE + (
            "each topic has the same share of every part, to within one text. "
            "So no part is easier than another by its mix of topics."
        )
    return SEE + f"the topics' shares of the parts differ by up to {off:.0f} texts."


def torn(families: int, before: int, after: int) -> str:
    """The alternative of the straddling figure: families in two parts, before and after."""
    return (
        f"{families} families of twins, drawn one text at a time: {before} of them are in more "
        f"than one part. With one text of each family: {after}."
    )


def gate(exact: int, near: int, removed: int) -> str:
    """What the gate found in the written files."""
    copies = {0: "No copies had to be taken out", 1: "One copy was taken out"}
    taken = copies.get(removed, f"{removed:,} copies were taken out")
    return f"**Leaks: {exact} word for word, {near} near ones.** {taken} before the draw."


def found(planted: int, leaks: pd.DataFrame) -> str:
    """How many of the planted copies the gate finds."""
    if not planted:
        return "The test part is too small for this share: nothing was planted."
    exact = int((leaks["jaccard"] == 1).sum())
    near = len(leaks) - exact
    kinds = f"{exact} word for word, {near} by more than half of the five-word runs"
    if len(leaks) >= planted:
        return SEE + f"planted {planted}, found **{len(leaks)}** ({kinds})."
    return SEE + (
        f"planted {planted}, found **{len(leaks)}** ({kinds}). An edited copy of a short text "
        "shares too few runs to be found."
    )


def effect(n: int, clean: int, trials: pd.DataFrame) -> str:
    """What leaks did to a score.

    Args:
        n: test texts.
        clean: how many are right without a leak.
        trials: a row a share: columns `leaked` (test texts that leak), `right` (of all),
            `leaked_right` and `leaked_before` (of the leaked ones, with and without the leak).
    """
    told = []
    for row in trials[trials["leaked"] > 0].itertuples():
        gained = row.right - clean
        leaked = f"all {n}" if row.leaked == n else f"{row.leaked} of {n}"
        if gained > 0:
            change = f"the score rises from {clean / n:.3f} to {row.right / n:.3f}"
        elif gained < 0:
            change = f"the score falls from {clean / n:.3f} to {row.right / n:.3f}"
        else:
            change = f"the score stays at {clean / n:.3f}"
        told.append(
            f"with {leaked} leaked, {change}. "
            f"Right among these {row.leaked}: {row.leaked_before} before the leak, "
            f"{row.leaked_right} now. "
        )
    if not told:
        return "Nothing was planted, so there is no effect to see."
    text = SEE + told[0] + "".join(t[0].upper() + t[1:] for t in told[1:])
    rises = trials["right"].max() > clean
    if not rises:
        return text + (
            f"No gain that n = {n} can show: the model was right on these texts without the leak. "
            "The score is no longer a test all the same."
        )
    return text + (
        "The model has learned nothing more about news. It has seen the questions, and the score "
        "does not say so."
    )
