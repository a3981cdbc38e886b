"""Run the five notebooks in order with papermill, and turn what they leave into pages."""

from gpt2news.reports.fingerprints import code_behind, fingerprint
from gpt2news.reports.pages import render
from gpt2news.reports.profiles import CHAPTERS, NOTEBOOKS, ReportError, load_profile, parameters_of
from gpt2news.reports.running import main, run_report
from gpt2news.runs import Run, reports_root

__all__ = [
    "CHAPTERS",
    "NOTEBOOKS",
    "ReportError",
    "Run",
    "code_behind",
    "fingerprint",
    "load_profile",
    "main",
    "parameters_of",
    "render",
    "reports_root",
    "run_report",
]
