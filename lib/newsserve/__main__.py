"""`python -m newsserve classify | serve | app`, also under the command `gpt2news`.

Each command imports what it needs when it is called, so that answering loads no web framework.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
from itertools import islice
from pathlib import Path

SHIPPED = Path(__file__).resolve().parents[2] / "models" / "gpt2-mini-bbc"
SAGEMAKER = Path("/opt/ml/model")


def model_folder() -> Path:
    """SageMaker's, where it has put one; else what GPT2NEWS_MODEL names; else the shipped one."""
    if SAGEMAKER.is_dir() and any(SAGEMAKER.iterdir()):
        return SAGEMAKER
    return Path(os.environ.get("GPT2NEWS_MODEL") or SHIPPED)


def failed(command: str, why: object) -> int:
    """One line on standard error; the exit code of a mistake in what was asked."""
    print(f"gpt2news {command}: {why}", file=sys.stderr)
    return 2


def classify(args: argparse.Namespace) -> int:
    """Texts of the command line or of standard input, or a whole file."""
    from newsserve.predictor import ModelFolderError
    from newsserve.tables import TableError

    try:
        if args.input or args.output:
            return _classify_file(args)
        return _classify_texts(args)
    except (ModelFolderError, TableError) as error:
        return failed("classify", error)


def _classify_file(args: argparse.Namespace) -> int:
    if args.text or not (args.input and args.output):
        return failed("classify", "--input and --output go together, without texts as arguments")
    job = (args.model, args.input, args.output, args.text_column)
    if args.engine == "ray":
        from newsserve.cluster import classify_with_ray

        count = classify_with_ray(*job, args.workers)
    else:
        from newsserve.batch import classify_file

        count = classify_file(*job, args.resume)
    print(f"{args.output}: {count:,} rows", file=sys.stderr)
    return 0


def _classify_texts(args: argparse.Namespace) -> int:
    from newsserve.predictor import Predictor

    predictor = Predictor(args.model)
    texts, together = iter(args.text), 256
    if not args.text:
        texts = (line.strip() for line in sys.stdin if line.strip())
        together = 1 if sys.stdin.isatty() else 256  # lines that are typed are answered at once
    count = 0
    while portion := list(islice(texts, together)):
        for text, answer in zip(portion, predictor(portion), strict=True):
            if args.json:
                print(json.dumps(vars(answer)), flush=True)
            else:
                show(answer, "" if len(args.text) == 1 else text)
        count += len(portion)
    if count:
        return 0
    return failed("classify", "no text; give it as an argument or on standard input, one a line")


def show(answer, text: str) -> None:
    """Print one answer for people, under the beginning of its text."""
    if text:
        print(f"{text[:70]}{'…' if len(text) > 70 else ''}")
    print(answer.topic if answer.answered else f"not sure (best guess: {answer.topic})")
    for topic, probability in answer.probabilities.items():
        print(f"  {topic:<16}{probability:6.1%}  {'█' * round(30 * probability)}".rstrip())
    if answer.truncated:
        print(f"  (read the first {answer.tokens} tokens)")


def serve(args: argparse.Namespace) -> int:
    """Answer over HTTP until told to stop."""
    from newsserve import server
    from newsserve.predictor import ModelFolderError

    try:
        server.serve(args.model, args.host, args.port)
    except ModelFolderError as error:
        return failed("serve", error)
    return 0


def app(args: argparse.Namespace) -> int:
    """Have Streamlit run the app's page, once it is sure that something will answer."""
    from newsserve.endpoint import Endpoint, EndpointError
    from newsserve.predictor import ModelFolderError, Predictor

    if importlib.util.find_spec("streamlit") is None:
        return failed("app", "streamlit is not installed: pip install 'gpt2-news[app]'")
    endpoint = os.environ.get("GPT2NEWS_ENDPOINT")
    try:
        Endpoint(endpoint) if endpoint else Predictor(args.model)
    except (EndpointError, ModelFolderError) as error:
        return failed("app", error)
    from streamlit.web import cli as streamlit

    page = str(Path(__file__).parent / "app" / "page.py")
    address = ["--server.address", args.host, "--server.port", str(args.port)]
    command = ["run", page, *address, "--", str(args.model.resolve())]
    return streamlit.main(command, prog_name="gpt2news app", standalone_mode=False) or 0


def add_commands(commands) -> None:
    """Put the three commands into what `add_subparsers` of argparse gave."""
    sort = commands.add_parser("classify", help="say which topic a text has")
    http = commands.add_parser("serve", help="answer over HTTP: GET /ping, POST /invocations")
    page = commands.add_parser("app", help="the web app; GPT2NEWS_ENDPOINT: another answers")

    sort.add_argument("text", nargs="*", help="texts; without any, lines of standard input")
    sort.add_argument("--json", action="store_true", help="one JSON object a text")
    sort.add_argument("--input", type=Path, help="CSV, JSON Lines, Parquet, or a folder of that")
    sort.add_argument("--output", type=Path, help="the same rows with topics, in one of the three")
    sort.add_argument("--text-column", default="text", help="default: %(default)s")
    sort.add_argument("--resume", action="store_true", help="go on with a run that was ended")
    sort.add_argument("--engine", choices=["local", "ray"], default="local", help="ray: Parquet")
    sort.add_argument("--workers", type=int, default=2, help="of --engine ray (default: 2)")

    # SageMaker says in a variable on which port it will ask.
    port = os.environ.get("SAGEMAKER_BIND_TO_PORT", 8080)
    http.add_argument("--port", type=int, default=port, help="default: %(default)s")
    page.add_argument("--port", type=int, default=8501, help="default: %(default)s")
    host = os.environ.get("GPT2NEWS_HOST", "127.0.0.1")
    for command in (http, page):
        command.add_argument("--host", default=host, help="default: %(default)s")
    folder = {"type": Path, "default": model_folder()}
    for command, run in ((sort, classify), (http, serve), (page, app)):
        command.add_argument("--model", **folder, help="a folder of chapter 05 (%(default)s)")
        command.set_defaults(run=run)


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="newsserve", description="Sort articles into topics.")
    add_commands(parser.add_subparsers(dest="command", required=True))
    args = parser.parse_args(argv)
    return args.run(args)


if __name__ == "__main__":
    sys.exit(main())
