"""Exercises of chapter 05."""

from exercises import check, exercise, number
from gpt2news import deploy

__all__ = ["check"]  # what the chapter takes from here


@exercise("05.integer", float)
def _integer(answer, given):
    return number(
        answer,
        -124,
        "−0.31 / 0.0025 = −124. Read back it is −124 × 0.0025 = −0.31; what lies between two steps "
        "is rounded away.",
        (124, "The sign belongs to the integer: int8 goes from −128 to 127."),
        (
            -0.31 * 0.0025,
            "You multiplied; that is the way back. To store, divide by the scale and round.",
        ),
        otherwise="Divide the weight by the scale, and round to a whole number.",
        exact=True,
    )


@exercise("05.size", float)
def _size(answer, given):
    folder = given["report"].path("onnx")
    large, small = ((folder / name).stat().st_size for name in (deploy.FP32, deploy.INT8))
    return number(
        answer,
        large / small,
        f"{large / 1e6:.1f} MB became {small / 1e6:.1f} MB. Not quite 4: scales and what was left "
        "in fp32 need room too.",
        (small / large, "The other way up: how many times *smaller*?"),
        (
            4,
            "That would be so if every number became one byte. Look at the sizes: what else is in "
            "the file?",
        ),
        (1 - small / large, "That is the share that was saved. Divide the one size by the other."),
        otherwise="Divide the size of the fp32 file by that of the int8 file.",
    )


@exercise("05.post", str)
def _post(answer, given):
    kind = answer.partition(";")[0].strip().lower()
    if kind == "application/jsonlines":
        return True, "Two lines in, two lines out: the reply takes the form of the question."
    if kind == "application/json":
        return (
            False,
            "That is the reply to a JSON body. Send the lines with `content=` and the header "
            '`{"content-type": "application/jsonlines"}`; `json=` makes JSON of them.',
        )
    return False, 'Look at `response.headers["content-type"]`.'


@exercise("05.bad", float)
def _bad(answer, given):
    return number(
        answer,
        422,
        "422, unprocessable: the body is JSON, but what it holds is not a text. The answer names "
        "which one.",
        (200, "200 would mean an answer. What topic has a number?"),
        (500, "500 is the server's own fault. This one is the caller's, and the caller is told."),
        (
            400,
            "Nearly: 400 is a request that cannot be read at all. This one is read, and its "
            "content is refused.",
        ),
        otherwise='Send `{"texts": [3]}` while `server.running_server(folder)` is open, and look '
        "at `.status_code`.",
        exact=True,
    )


@exercise("05.byte", str)
def _byte(answer, given):
    if answer == "ModelFolderError":
        return (
            True,
            "A changed tokenizer cuts texts into other pieces than the model learned. Without the "
            "hash every answer would be a little wrong, and nobody would be told.",
        )
    if answer in ("", "None"):
        return (
            False,
            "Nothing is raised? Then the byte was changed in another folder than the one that was "
            "loaded.",
        )
    return (
        False,
        "Load the changed folder in a `try` block and look at `type(error).__name__`.",
    )


@exercise("05.temperature", float)
def _temperature(answer, given):
    return number(
        answer,
        0,
        "None: dividing all logits of a text by the same number keeps their order. But their "
        "probabilities move towards one another, so most answers fall under the threshold.",
        (len(given["test"]), "That many may be *not sure* now. Compare `topic`, not `answered`."),
        otherwise="Compare `.topic` of both answers, text by text. Does the copy's `serving.json` "
        "hold the new temperature, and the topics in their old order?",
        exact=True,
    )


@exercise("05.padding", float)
def _padding(answer, given):
    return number(
        answer,
        3.2,
        "128 / 40 = 3.2 times, for an answer that is the same. Sorting texts by length before they "
        "are put into batches saves most of it.",
        (40 / 128, "The other way up: how many times *as much* work?"),
        (
            3.2**2,
            "Attention alone grows with the square, but most of the work here grows with the "
            "number of tokens.",
        ),
        (88, "That is the padding in tokens. How many times 40 is 128?"),
        otherwise="128 tokens are computed where 40 would do.",
    )
