"""Exercises of chapter 02."""

from exercises import call, exercise, near, rounded, share
from exercises import check as check
from gpt2news import split


@exercise("02.choose", str)
def _choose(answer, given):
    answer = answer.strip().lower()
    if answer in ("val", "validation"):
        return True, (
            "Validation is for choosing. Its score of the winner is a little too good for that "
            "very reason; test gives the fair one."
        )
    hints = {
        "test": "A part that chose the winner cannot judge it any more: "
        "among many settings one is lucky on these very texts.",
        "train": "The model has seen these texts; the setting that learns them by heart would win.",
    }
    unknown = f"`{answer}` is not one of the parts: {', '.join(split.PARTS)}."
    return False, hints.get("train" if answer == "training" else answer, unknown)


@exercise("02.straddle", float)
def _straddle(answer, given):
    val, test = given["val_share"], given["test_share"]
    train = 1 - val - test
    both = 2 * train * test
    return share(
        answer,
        both,
        f"2 × {train:.2f} × {test:.2f} = {both:.2f}: of a hundred pairs, "
        f"{100 * both:.0f} would let the exam leak.",
        (
            train * test,
            "Nearly: either twin may be the one in test, so this happens in two ways.",
        ),
        (
            test,
            "That is the chance that one given twin is in test. "
            "The other must be in training as well.",
        ),
        (
            1 - train**2 - test**2 - val**2,
            "That is the chance that they are in different parts, validation included.",
        ),
        otherwise="First twin in training and second in test, or the other way round: "
        "multiply the shares, add the two ways.",
    )


@exercise("02.seed", float)
def _seed(answer, given):
    ours = set(split.read_split(given["report"].path("splits"))["test"]["source_id"])
    shares = given["val_share"], given["test_share"]
    again = split.split_corpus(given["texts"], given["seed"] + 1, *shares)
    theirs = set(again.loc[again["split"] == "test", "source_id"])
    stay = len(ours & theirs)
    return share(
        answer,
        stay / len(ours),
        f"{stay} of {len(ours)} stay. Another exam, so another score: "
        "this is what an interval (chapter 04) is about.",
        (1 - stay / len(ours), "That is the share that left. How many stayed?"),
        (1.0, "All of them stay only if the seed is the same. Draw with `seed + 1`."),
        otherwise="`split.split_corpus(texts, seed + 1, val_share, test_share)`, keep the rows "
        "whose split is test, compare `source_id`.",
    )


STORY = "The bank cut its main rate on Monday, for the third time this year."
OTHER = "Rain delayed the final for two hours before the home side won it."
CASES = [  # training texts, test texts, how many leak, and what goes wrong when it is missed
    ([STORY], [STORY], 1, "it misses a copy word for word"),
    ([STORY], [OTHER], 0, "it counts a text that is only in test"),
    ([STORY], [STORY.upper()], 1, "capitals hide a copy from it: compare normalised texts"),
    ([STORY], [STORY.replace(",", "")], 1, "a lost comma hides a copy from it"),
    ([STORY, STORY], [STORY, OTHER], 1, "it counts training texts; count those of *test*"),
    ([STORY], [STORY, STORY.lower()], 2, "two test texts are copies of one, and both leak"),
    ([STORY], [STORY[:20]], 0, "the beginning of a story is not a copy of it"),
    ([], [STORY], 0, "without training texts nothing can leak"),
]


@exercise("02.gate", callable)
def _gate(answer, given):
    for train, test, expected, why in CASES:
        got = call(answer, list(train), list(test))
        if got != expected:
            return False, f"For {len(train)} training and {len(test)} test texts, {why}."
    parts = split.read_split(given["report"].path("splits"))
    train, test = (parts[part]["text"].tolist() for part in ("train", "test"))
    return True, (
        f"It holds in {len(CASES)} cases. On this run's files it counts "
        f"{call(answer, train, test)}. `find_leaks` also finds the copy that was edited."
    )


@exercise("02.enough", float)
def _enough(answer, given):
    exact, worst = 1.96**2 * 0.95 * 0.05 / 0.02**2, 1.96**2 * 0.25 / 0.02**2
    if near(answer, exact, within=0.02) or rounded(answer, exact):
        ours = len(split.read_split(given["report"].path("splits"))["test"])
        margin = 1.96 * (0.95 * 0.05 / ours) ** 0.5
        return True, (
            f"About {exact:.0f}. Our {ours:,} test texts pin an accuracy of 0.95 down to "
            f"± {100 * margin:.1f} points."
        )
    slips = [
        (
            worst,
            "That is for an accuracy of one half, the worst case. "
            "Near 0.95 the results vary less: p (1 - p) is smaller.",
        ),
        (
            exact / 1.96**2,
            "That makes one standard error two points wide. 95 % of the time means 1.96 of them.",
        ),
        (exact / 4, "That is for ± 4 points: the margin goes to either side."),
        (exact**0.5, "Square it: the margin shrinks with the *root* of the number of texts."),
    ]
    told = "The margin is 1.96 × √(p (1 - p) / n), with p = 0.95 and a margin of 0.02. Solve for n."
    return False, next((why for value, why in slips if near(answer, value, within=0.02)), told)
