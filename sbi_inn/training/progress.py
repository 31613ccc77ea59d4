"""Reports of a training: a progress bar, or calls to a training of several networks."""

from __future__ import annotations

import io
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NoReturn

from tqdm import tqdm

Watch = Callable[[float, float], bool]
"""Told at every step the share that is over and the last validation loss (NaN before the first).

False ends the training as Ctrl-C does, with the best weights so far.
"""

_WATCH: ContextVar[Watch | None] = ContextVar("watch", default=None)

_BAR = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"


def bar(
    total: int | None,
    description: str,
    *,
    show: bool,
    unit: str = "it",
    delay: float = 0.0,
    bar_format: str | None = None,
) -> tqdm[NoReturn]:
    """Make the one kind of progress bar: a line of text, which goes away when it is over.

    Nothing is shown unless `show`, nor before `delay` seconds. In a notebook, too, it is text: what
    a widget leaves behind says nothing where the notebook is exported.
    """
    return tqdm(
        file=_Output() if _in_notebook() else None,
        total=total,
        desc=description,
        unit=unit,
        unit_scale=True,
        disable=not show,
        delay=delay,
        leave=False,
        bar_format=bar_format,
    )


class _Output(io.TextIOBase):
    """One output of a cell, which holds the line as it is; none where nothing was ever written.

    Of what goes to the standard error each state of the line stays in the notebook's file.
    """

    def __init__(self) -> None:
        self.handle: Any = None

    def write(self, text: str) -> int:
        """Show a line in place of the one before."""
        line = {"text/plain": text.strip()}
        if self.handle is not None:
            self.handle.update(line, raw=True)
        elif line["text/plain"]:
            from IPython.display import display  # a notebook has it

            self.handle = display(line, raw=True, display_id=True)
        return len(text)


def _in_notebook() -> bool:
    """Whether this is a Jupyter kernel."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


@contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """Have what is trained in this block tell `watch`, in place of a progress bar of its own.

    >>> import torch
    >>> from sbi_inn.training.loop import Training, fit
    >>> def stop_at_once(done, loss):
    ...     return False
    >>> line, rows = torch.nn.Linear(1, 1), torch.zeros(8, 1)
    >>> with watched(stop_at_once):
    ...     history = fit(line, lambda x: line(x)[:, 0], rows, rows, Training(epochs=9), seed=1)
    >>> history.steps, history.stopped
    (1, 'interrupted')
    """
    token = _WATCH.set(watch)
    try:
        yield
    finally:
        _WATCH.reset(token)


@contextmanager
def watching(progress: bool) -> Iterator[Watch]:
    """Give whoever watches this block, or else a progress bar."""
    watch = _WATCH.get()
    if watch is not None:
        yield watch
        return
    with progress_bar(progress, "training") as watch:
        yield watch


@contextmanager
def progress_bar(show: bool, description: str) -> Iterator[Watch]:
    """Show the share that is over and the last validation loss, if `show`."""
    shown = math.nan
    with bar(100, description, show=show, bar_format=_BAR) as shown_bar:

        def watch(done: float, loss: float) -> bool:
            nonlocal shown
            if loss != shown and not math.isnan(loss):
                shown = loss
                shown_bar.set_postfix_str(f"validation loss {loss:.3f}")
            shown_bar.update(int(100 * done) - shown_bar.n)
            return True

        yield watch
