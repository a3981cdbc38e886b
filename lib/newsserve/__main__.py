"""`python -m newsserve classify | serve | app`, also under the command `gpt2news`.

Each command imports what it needs when called, so that answering loads no web framework.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
SHIPPED = HERE.parents[1] / "models" / "gpt2-mini-bbc"
NOTHING_ANSWERED = 4  # exit code; 1 to 3 are those of `gpt2news report`
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
        how = {"resume": args.resume, "safe": args.safe_cells}
        how |= {"columns": args.columns, "encoding": args.encoding}
        counts = batch.classify_file(args.model, *files, args.text_column, **how)
        print(f"{args.output}: {batch.counted(counts)}", file=sys.stderr)
        return 0 if counts["answered"] else NOTHING_ANSWERED
    from newsserve.predictor import Predictor
    from newsserve.tables import fault_of

    predictor = Predictor(args.model)
    sys.stdout.reconfigure(errors="replace")  # not every terminal can draw a bar
    result = "no text; give it as an argument or on standard input, one a line"
    for text in args.text or standard_input():
        fault = fault_of(text)
        if fault:
            print(json.dumps({"error": fault}) if args.json else f"not read: {fault}", flush=True)
            result = 0 if result == 0 else NOTHING_ANSWERED
            continue
        (answer,) = predictor([text])
        if args.json:
            print(json.dumps(vars(answer)), flush=True)
        else:
            show(answer, "" if len(args.text) == 1 else text)
        result = 0
    return result


def standard_input() -> Iterator[str]:
    """Its lines that are not empty, in the encoding of its first bytes."""
    from newsserve.tables import encoding_of

    encoding = encoding_of(io.BytesIO(sys.stdin.buffer.peek()))
    broken = "surrogateescape" if encoding.startswith("utf-8") else "replace"
    for line in io.TextIOWrapper(sys.stdin.buffer, encoding, broken):
        if line.strip():
            yield line.strip()


def show(answer, text: str) -> None:
    """Print one answer for people, under the beginning of its text."""
    if text:
        print(f"{text[:70]}{'…' if len(text) > 70 else ''}")
    not_sure = f"not this model's kind of text: {answer.reason}" if answer.reason else "not sure"
    print(answer.topic if answer.answered else f"{not_sure} (best guess: {answer.topic})")
    for topic, probability in answer.probabilities.items():
        print(f"  {topic:<16}{probability:6.1%}  {'█' * round(30 * probability)}".rstrip())
    if answer.truncated:
        print(f"  (read the first {answer.tokens} tokens)")


def serve(args: argparse.Namespace) -> int | str:
    """Answer over HTTP until told to stop."""
    token = os.environ.get("GPT2NEWS_TOKEN")
    if token is not None and not token.strip():
        return "GPT2NEWS_TOKEN is empty; write a token into it, or unset it to answer anybody"
    from newsserve import server

    server.serve(args.model, args.host, args.port, token and token.strip())
    return 0


def verify(args: argparse.Namespace) -> int:
    """Hold a report or a model folder against its list of files; 1 when one has changed."""
    from newsserve.files import damage

    changed = damage(args.folder)
    print("\n".join(f"{args.folder / name}: changed or gone" for name in changed) or "whole")
    return 1 if changed else 0


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
    page = str(HERE / "app" / "page.py")
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


def add_options(commands, file: Path, calls: dict) -> dict[str, argparse.ArgumentParser]:
    """Put the commands of a JSON file into what argparse's `add_subparsers` gave; their parsers."""
    types, parsers = {"Path": Path, "int": int, "float": float}, {}
    for name, about in json.loads(file.read_text(encoding="utf-8")).items():
        parsers[name] = commands.add_parser(name, help=about["help"])
        for option, takes in about["options"].items():
            kind = {"type": types[takes["type"]]} if "type" in takes else {}
            parsers[name].add_argument(option, **{**takes, **kind})
        parsers[name].set_defaults(**calls[name])
    return parsers


def add_commands(commands) -> None:
    """Put the four commands into what `add_subparsers` of argparse gave."""
    names = ("classify", "serve", "app", "verify")
    calls = {name: {"run": run, "call": globals()[name]} for name in names}
    for name, parser in add_options(commands, HERE / "commands.json", calls).items():
        host = os.environ.get("GPT2NEWS_HOST", "127.0.0.1")
        # SageMaker says in a variable on which port it will ask.
        port = 8501 if name == "app" else os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080")
        parser.set_defaults(model=model_folder(), host=host, port=port)


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="newsserve", description="Sort articles into topics.")
    add_commands(parser.add_subparsers(dest="command", required=True))
    args = parser.parse_args(argv)
    return args.run(args)


if __name__ == "__main__":
    sys.exit(main())
