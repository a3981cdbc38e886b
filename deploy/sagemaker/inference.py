"""The hooks of AWS's ready inference images: load, read, answer, write.

Predictor and messages are those of our own server. `context` is what newer containers hand over as
well; nothing here needs it.
"""

from newsserve import messages
from newsserve.predictor import Answer, Predictor


def model_fn(model_dir: str, context=None) -> Predictor:
    """The predictor of the unpacked model.tar.gz.

    Raises:
        ModelFolderError: the folder cannot be served.
    """
    return Predictor(model_dir)


def input_fn(body: bytes | str, content_type: str, context=None) -> tuple[list[str], bool, str]:
    """Texts, whether one answer is wanted for them, and the content type that they came in.

    Raises:
        BadRequestError: the body cannot be read.
    """
    texts, single = messages.read(body, content_type)
    return texts, single, content_type


def predict_fn(
    asked: tuple[list[str], bool, str], model: Predictor, context=None
) -> tuple[list[Answer], bool, str]:
    """One answer a text: topic, probability, and `{topic: probability}` sorted, likeliest first."""
    texts, *rest = asked
    return model(texts), *rest


def output_fn(answered: tuple[list[Answer], bool, str], accept: str, context=None) -> bytes:
    """The response body. Only that: the Hugging Face image takes no content type beside it."""
    answers, single, content_type = answered
    return messages.write(answers, single, accept, content_type)[0]
