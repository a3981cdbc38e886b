"""The command `gpt2news`. Each part imports what it needs when it is called, so that answering never loads torch."""

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


def _model_folder() -> Path:
    """SageMaker's, where it has put one; else what GPT2NEWS_MODEL names; else the shipped one."""
    if SAGEMAKER.is_dir() and any(SAGEMAKER.iterdir()):
        return SAGEMAKER
    return Path(os.environ.get("GPT2NEWS_MODEL") or SHIPPED)


def _report(args: argparse.Namespace) -> int:
    import newsreport as reports

    return reports.main(args)


def _new_profile(args: argparse.Namespace) -> int:
    from newsreport import newprofile

    return newprofile.main(args)


def _compare(args: argparse.Namespace) -> int:
    from newsreport import gallery

    return gallery.main(args)


def _evaluate(args: argparse.Namespace) -> int:
    from gpt2news.evaluate import studies
    from gpt2news.run import Run

    chosen = [study for study in studies.STUDIES if getattr(args, study) is not None] or list(
        studies.STUDIES
    )
    options = {
        key: value for key in ("max_length", "epochs") if (value := getattr(args, key)) is not None
    }
    try:
        for study in chosen:
            studies.run_study(
                Run(args.name or args.profile), study, folds=args.folds or 5, seeds=args.seeds, rows=tuple(args.ablation or ()),
                fresh=args.fresh, say=lambda line: print(line, flush=True), **options,
            )  # fmt: skip
    except (FileNotFoundError, ValueError) as error:
        print(f"gpt2news evaluate: {error}", file=sys.stderr)
        return 2
    return 0


def _classify(args: argparse.Namespace) -> int:
    from newsserve.predictor import ModelFolderError, Predictor
    from newsserve.tables import BatchError

    try:
        if args.input or args.output:
            return _classify_file(args)
        predictor = Predictor(args.model)
        texts = (
            iter(args.text) if args.text else (line.strip() for line in sys.stdin if line.strip())
        )
        several, count = len(args.text) != 1, 0
        while portion := list(islice(texts, 256 if args.text or not sys.stdin.isatty() else 1)):
            for text, answer in zip(portion, predictor(portion), strict=True):
                _show(text if several else None, answer, args.json)
            count += len(portion)
    except (ModelFolderError, BatchError) as error:
        print(f"gpt2news classify: {error}", file=sys.stderr)
        return 2
    if not count:
        print(
            "gpt2news classify: no text; give it as an argument or on standard input, one a line",
            file=sys.stderr,
        )
        return 2
    return 0


def _show(text: str | None, answer, as_json: bool) -> None:
    if as_json:
        print(json.dumps(vars(answer)), flush=True)
        return
    if text is not None:
        print(f"{text[:70]}{'…' if len(text) > 70 else ''}")
    print(answer.topic if answer.answered else f"not sure (best guess: {answer.topic})")
    for topic, probability in answer.probabilities.items():
        print(f"  {topic:<16}{probability:6.1%}  {'█' * round(30 * probability)}".rstrip())
    if answer.truncated:
        print(f"  (read the first {answer.tokens} tokens)")


def _classify_file(args: argparse.Namespace) -> int:
    from newsserve import batch

    if args.text or not (args.input and args.output):
        raise batch.BatchError("--input and --output go together, without texts as arguments")
    if args.engine == "ray":
        count = batch.classify_with_ray(
            args.model, args.input, args.output, args.text_column, args.workers
        )
    else:
        count = batch.classify_file(
            args.model, args.input, args.output, args.text_column, args.resume
        )
    print(f"{args.output}: {count:,} rows", file=sys.stderr)
    return 0


def _serve(args: argparse.Namespace) -> int:
    from newsserve.predictor import ModelFolderError
    from newsserve.server import serve

    try:
        serve(args.model, args.host, args.port)
    except ModelFolderError as error:
        print(f"gpt2news serve: {error}", file=sys.stderr)
        return 2
    return 0


def _app(args: argparse.Namespace) -> int:
    from newsserve.app.models import EndpointModel, ModelError
    from newsserve.predictor import ModelFolderError, Predictor

    if importlib.util.find_spec("streamlit") is None:
        print(
            "gpt2news app: streamlit is not installed: pip install 'gpt2-news[app]'",
            file=sys.stderr,
        )
        return 2
    endpoint = os.environ.get("GPT2NEWS_ENDPOINT")
    try:
        EndpointModel(endpoint) if endpoint else Predictor(args.model)
    except (ModelError, ModelFolderError) as error:
        print(f"gpt2news app: {error}", file=sys.stderr)
        return 2
    from streamlit.web import cli as streamlit

    page = Path(__file__).parent / "serving" / "app" / "page.py"
    options = ["--server.address", args.host, "--server.port", str(args.port)]
    return (
        streamlit.main(
            ["run", str(page), *options, "--", str(args.model.resolve())],
            prog_name="gpt2news app",
            standalone_mode=False,
        )
        or 0
    )


def _sagemaker(args: argparse.Namespace) -> int:
    from newscloud import console

    return console.main(args)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    main_parser = argparse.ArgumentParser(
        prog="gpt2news", description="Sort news articles into topics with GPT-2."
    )
    commands = main_parser.add_subparsers(dest="command", required=True)

    report = commands.add_parser("report", help="run the five notebooks and make the report")
    report.add_argument(
        "--profile", default="quick", help="a file of notebooks/profiles (default: %(default)s)"
    )
    report.add_argument("--name", help="folder under reports/ (default: the profile's name)")
    report.add_argument("--fresh", action="store_true", help="run every chapter, changed or not")
    report.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="CHAPTER.PARAMETER=VALUE",
        help="change one value; can be repeated",
    )
    report.set_defaults(run=_report)

    own = commands.add_parser("new-profile", help="write a profile for a corpus of your own")
    own.add_argument("name", help="of the profile, and of its folder under reports/")
    own.add_argument(
        "--data", required=True, metavar="FILE", help="a .csv, .jsonl or .parquet file"
    )
    own.add_argument(
        "--text",
        default="text",
        metavar="COLUMN",
        help="column of the texts (default: %(default)s)",
    )
    own.add_argument(
        "--label",
        default="topic",
        metavar="COLUMN",
        help="column of the topics (default: %(default)s)",
    )
    own.set_defaults(run=_new_profile)

    compare = commands.add_parser("compare", help="one page of what changed between two runs")
    compare.add_argument("a", type=Path, help="folder of a run, such as reports/quick")
    compare.add_argument("b", type=Path, help="folder of the run to set beside it")
    compare.add_argument("--out", type=Path, help="the page (default: reports/compare-A-B.html)")
    compare.set_defaults(run=_compare)

    evaluate = commands.add_parser(
        "evaluate",
        help="train again and again: folds, ablation, learning curve; all three when none is named",
    )
    evaluate.add_argument(
        "--profile",
        default="quick",
        help="whose model: a run that has made chapters 01 to 03 (default: %(default)s)",
    )
    evaluate.add_argument("--name", help="its folder under reports/ (default: the profile's name)")
    evaluate.add_argument(
        "--folds",
        type=int,
        nargs="?",
        const=5,
        help="cross-validation over all texts, in so many parts (default: 5)",
    )
    evaluate.add_argument(
        "--ablation",
        nargs="*",
        metavar="ROW",
        help="the whole table, or rows such as last@128 mean@256+scratch article",
    )
    evaluate.add_argument(
        "--curve",
        action="store_const",
        const=True,
        help="accuracy against the number of training texts",
    )
    evaluate.add_argument(
        "--seeds", type=int, default=3, help="of each training (default: %(default)s)"
    )
    evaluate.add_argument("--max-length", type=int, help="tokens read of a text (default: 128)")
    evaluate.add_argument("--epochs", type=int, help="passes over the training texts (default: 2)")
    evaluate.add_argument(
        "--fresh", action="store_true", help="forget the trainings that are recorded"
    )
    evaluate.set_defaults(run=_evaluate)

    classify = commands.add_parser("classify", help="say which topic a text has")
    classify.add_argument("text", nargs="*", help="texts; without any, lines of standard input")
    classify.add_argument("--json", action="store_true", help="one JSON object a text")
    classify.add_argument(
        "--input", type=Path, help="a CSV, JSON Lines or Parquet file, or a folder of Parquet files"
    )
    classify.add_argument(
        "--output",
        type=Path,
        help="the same rows with topics; CSV, JSON Lines or Parquet by its name",
    )
    classify.add_argument("--text-column", default="text", help="default: %(default)s")
    classify.add_argument(
        "--resume", action="store_true", help="go on with a run over the same input that was ended"
    )
    classify.add_argument(
        "--engine",
        choices=["local", "ray"],
        default="local",
        help="ray: Parquet, over a cluster or several processes",
    )
    classify.add_argument(
        "--workers", type=int, default=2, help="processes of --engine ray (default: %(default)s)"
    )
    classify.set_defaults(run=_classify)

    serve = commands.add_parser("serve", help="answer over HTTP: GET /ping, POST /invocations")
    serve.add_argument(
        "--port",
        type=int,
        default=os.environ.get("SAGEMAKER_BIND_TO_PORT", 8080),
        help="default: %(default)s",
    )
    serve.set_defaults(run=_serve)

    app = commands.add_parser(
        "app",
        help="the web app (Streamlit); GPT2NEWS_ENDPOINT names an endpoint that answers in the model's place",
    )
    app.add_argument("--port", type=int, default=8501, help="default: %(default)s")
    app.set_defaults(run=_app)
    for command in (serve, app):
        command.add_argument(
            "--host",
            default=os.environ.get("GPT2NEWS_HOST", "127.0.0.1"),
            help="address to listen on (default: %(default)s)",
        )
    for command in (classify, serve, app):
        command.add_argument(
            "--model",
            type=Path,
            default=_model_folder(),
            help="a folder that chapter 05 made (default: GPT2NEWS_MODEL, or models/gpt2-mini-bbc)",
        )
    sagemaker = commands.add_parser(
        "sagemaker",
        help="what this project has running at AWS, its removal, the app's address there",
    )
    parts = sagemaker.add_subparsers(dest="part", required=True)
    parts.add_parser("status", help="list what exists and what it costs an hour")
    cleanup = parts.add_parser("cleanup", help="remove it, after asking")
    cleanup.add_argument("--yes", action="store_true", help="do not ask")
    cleanup.add_argument(
        "--files",
        action="store_true",
        help="delete this project's objects in SAGEMAKER_BUCKET as well",
    )
    url = parts.add_parser(
        "app-url", help="the app's address on a SageMaker notebook instance or in Studio"
    )
    url.add_argument("--port", type=int, default=8501, help="default: %(default)s")
    sagemaker.set_defaults(run=_sagemaker)
    return main_parser


def main(argv: list[str] | None = None) -> int:
    """Entry point of the console script; returns the exit code."""
    args = parser().parse_args(argv)
    return args.run(args)


if __name__ == "__main__":
    sys.exit(main())
