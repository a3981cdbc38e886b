"""Run the five notebooks in order with papermill, and turn what they leave into pages."""

from newsreport.fingerprints import code_behind, fingerprint
from newsreport.pages import render
from newsreport.profiles import CHAPTERS, NOTEBOOKS, ReportError, load_profile, parameters_of
from newsreport.running import main, run_report
from gpt2news.run import Run, reports_root

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
