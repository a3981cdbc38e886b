"""`python -m newsserve classify | serve | app`, also under the command `gpt2news`.

Each command imports what it needs when called, so that answering loads no web framework.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

SHIPPED = Path(__file__).resolve().parents[2] / "models" / "gpt2-mini-bbc"
SAGEMAKER = Path("/opt/ml/model")


def model_folder() -> Path:
    """SageMaker's, where it has put one; else what GPT2NEWS_MODEL names; else the shipped one."""
    if SAGEMAKER.is_dir() and any(SAGEMAKER.iterdir()):
        return SAGEMAKER
    return Path(os.environ.get("GPT2NEWS_MODEL") or SHIPPED)


def classify(args: argparse.Namespace) -> int | str:
    """Texts of the command line or of standard input, or a whole file."""
    if args.input or args.output:
        if args.text or not (args.input and args.output):
            return "--input and --output go together, without texts as arguments"
        from newsserve import batch

        files = (args.input, args.output)
        count = batch.classify_file(args.model, *files, args.text_column, args.resume)
        print(f"{args.output}: {count:,} rows", file=sys.stderr)
        return 0
    from newsserve.predictor import Predictor

    predictor = Predictor(args.model)
    result = "no text; give it as an argument or on standard input, one a line"
    for text in args.text or (line.strip() for line in sys.stdin if line.strip()):
        (answer,) = predictor([text])
        if args.json:
            print(json.dumps(vars(answer)), flush=True)
        else:
            show(answer, "" if len(args.text) == 1 else text)
        result = 0
    return result


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

    server.serve(args.model, args.host, args.port)
    return 0


def app(args: argparse.Namespace) -> int | str:
    """Have Streamlit run the app's page, once it is sure that something will answer."""
    from newsserve.endpoint import Endpoint
    from newsserve.predictor import Predictor

    endpoint = os.environ.get("GPT2NEWS_ENDPOINT")
    Endpoint(endpoint) if endpoint else Predictor(args.model)
    try:
        from streamlit.web import cli as streamlit
    except ImportError:
        return "streamlit is not installed: pip install 'gpt2-news[app]'"
    page = str(Path(__file__).parent / "app" / "page.py")
    address = ["--server.address", args.host, "--server.port", str(args.port)]
    command = ["run", page, *address, "--", str(args.model.resolve())]
    return streamlit.main(command, prog_name="gpt2news app", standalone_mode=False) or 0


def run(args: argparse.Namespace) -> int:
    """Run a command; a mistake in what was asked is one line on standard error and code 2."""
    from newsserve.endpoint import EndpointError
    from newsserve.predictor import ModelFolderError
    from newsserve.tables import TableError

    try:
        result = args.call(args)
    except (EndpointError, ModelFolderError, TableError) as error:
        result = error
    if isinstance(result, int):
        return result
    print(f"gpt2news {args.call.__name__}: {result}", file=sys.stderr)
    return 2


def add_commands(commands) -> None:
    """Put the three commands into what `add_subparsers` of argparse gave."""
    default = {"help": "default: %(default)s"}
    model = argparse.ArgumentParser(add_help=False)
    model.add_argument("--model", type=Path, default=model_folder(), **default)
    web = argparse.ArgumentParser(add_help=False, parents=[model])
    web.add_argument("--host", default=os.environ.get("GPT2NEWS_HOST", "127.0.0.1"), **default)

    sort = commands.add_parser("classify", parents=[model], help="say which topic a text has")
    sort.add_argument("text", nargs="*", help="texts; without any, lines of standard input")
    sort.add_argument("--json", action="store_true", help="one JSON object a text")
    sort.add_argument("--input", type=Path, help="CSV, JSON Lines, Parquet, or a folder of that")
    sort.add_argument("--output", type=Path, help="the same rows with topics, in one of the three")
    sort.add_argument("--text-column", default="text", **default)
    sort.add_argument("--resume", action="store_true", help="go on with a run that was ended")

    http = commands.add_parser("serve", parents=[web], help="answer POST /invocations over HTTP")
    # SageMaker says in a variable on which port it will ask.
    port = os.environ.get("SAGEMAKER_BIND_TO_PORT", 8080)
    http.add_argument("--port", type=int, default=port, **default)
    page = commands.add_parser("app", parents=[web], help="the web app")
    page.add_argument("--port", type=int, default=8501, **default)
    for command, call in ((sort, classify), (http, serve), (page, app)):
        command.set_defaults(run=run, call=call)


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="newsserve", description="Sort articles into topics.")
    add_commands(parser.add_subparsers(dest="command", required=True))
    args = parser.parse_args(argv)
    return args.run(args)


if __name__ == "__main__":
    sys.exit(main())
