"""Exercises of chapter 05."""

from gpt2news import deploy
from exercises import check, exercise, number


@exercise("05.integer", float)
def _integer(answer, given):
    return number(
        answer, -124,
        "−0.31 / 0.0025 = −124. Read back it is −124 × 0.0025 = −0.31; what lies between two steps is rounded away.",
        (124, "The sign belongs to the integer: int8 goes from −128 to 127."),
        (-0.31 * 0.0025, "You multiplied; that is the way back. To store, divide by the scale and round."),
        otherwise="Divide the weight by the scale, and round to a whole number.",
        exact=True,
    )  # fmt: skip


@exercise("05.size", float)
def _size(answer, given):
    folder = given["record"].path("onnx")
    large, small = ((folder / name).stat().st_size for name in (deploy.FP32, deploy.INT8))
    return number(
        answer, large / small,
        f"{large / 1e6:.1f} MB became {small / 1e6:.1f} MB. Not quite 4: scales and what was left in fp32 need room too.",
        (small / large, "The other way up: how many times *smaller*?"),
        (4, "That would be so if every number became one byte. Look at the sizes: what else is in the file?"),
        (1 - small / large, "That is the share that was saved. Divide the one size by the other."),
        otherwise='Divide the size of the fp32 file by that of the int8 file; `megabytes` holds them.',
    )  # fmt: skip


@exercise("05.bad", float)
def _bad(answer, given):
    return number(
        answer, 422,
        "422, unprocessable: the body is JSON, but what it holds is not a text. The answer names which one.",
        (200, "200 would mean an answer. What topic has a number?"),
        (500, "500 is the server's own fault. This one is the caller's, and the caller is told."),
        (400, "Nearly: 400 is a request that cannot be read at all. This one is read, and its content is refused."),
        otherwise="Send `{\"texts\": [3]}` within `with deploy.running_server(folder) as address:` and look at `.status_code`.",
        exact=True,
    )  # fmt: skip


@exercise("05.byte", str)
def _byte(answer, given):
    if answer == "ModelFolderError":
        return (
            True,
            "A changed tokenizer cuts texts into other pieces than the model learned: every answer a little wrong, and no word of it.",
        )
    hint = (
        "Nothing is raised? Then the byte was changed in another folder than the one that was loaded."
        if answer in ("", "None")
        else ""
    )
    return (
        False,
        hint or "Load the changed folder in a `try` block and look at `type(error).__name__`.",
    )


@exercise("05.padding", float)
def _padding(answer, given):
    return number(
        answer, 3.2,
        "128 / 40 = 3.2 times, for an answer that is the same. Sorting texts by length before batching saves most of it.",
        (40 / 128, "The other way up: how many times *as much* work?"),
        (3.2**2, "Attention alone grows with the square, but most of the work here grows with the number of tokens."),
        (88, "That is the filling in tokens. How many times 40 is 128?"),
        otherwise="128 tokens are computed where 40 would do.",
    )  # fmt: skip
