"""The pictures that chapters draw; how all of them look is in `gpt2news.show`."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import signature

import seaborn as sns
from IPython import get_ipython

from gpt2news.run import Run
from gpt2news.show import COLOURS, show


def colour_of(topics: list[str]) -> dict[str, tuple]:
    """A colour a topic, the same in every figure of a run; over eight topics a wider palette."""
    palette = COLOURS if len(topics) <= len(COLOURS) else sns.husl_palette(len(topics))
    return dict(zip(sorted(topics), palette, strict=False))


def play(draw: Callable, run: Run, name: str, /, **controls) -> None:
    """A figure with controls in a live notebook; elsewhere the figure with its first values.

    Args:
        draw: returns (figure, text alternative); its defaults are the first values.
        run, name: as in `show`; only the first figure is saved.
        controls: one a parameter, as `ipywidgets.interact` takes them; any text is a field.
    """
    # JupyterLab, VS Code and Colab allow the kernel to ask for input; papermill does not.
    if not getattr(getattr(get_ipython(), "kernel", None), "_allow_stdin", False):
        figure, alt = draw()
        show(figure, run, name, alt)
        return
    from ipywidgets import Text, interact

    # interact starts a slider at the function's default, but a field at the text it is given.
    for parameter, control in controls.items():
        if isinstance(control, str):
            controls[parameter] = signature(draw).parameters[parameter].default
    saved = iter([run])  # the first drawing only

    @wraps(draw)
    def redraw(**values):
        figure, alt = draw(**values)
        show(figure, next(saved, None), name, alt)

    for control in interact(redraw, **controls).widget.children:
        if isinstance(control, Text):
            control.layout.width = "44rem"
