"""How figures look: sizes and colours for a paper, without touching matplotlib's settings."""

from __future__ import annotations

import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from io import BytesIO
from typing import Any, cast

import matplotlib
from matplotlib.figure import Figure, SubFigure

# Okabe and Ito (2008), told apart with any colour vision; in an order that keeps neighbours apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#56B4E9", "#E69F00", "#CC79A7")
DASHES = ("-", "--", ":", "-.")
GREY = "#808080"
SINGLE_COLUMN_MM = 85.0  # width of one column of a journal
DOUBLE_COLUMN_MM = 180.0  # width of two
TEXT_PT = 8.0  # of labels and titles
SMALL_PT = 7.0  # of ticks and legends: the least that journals accept

_FOR_PYPLOT: ContextVar[bool] = ContextVar("_FOR_PYPLOT", default=True)

# A figure that a user may bring to be drawn into.
Canvas = Figure | SubFigure

_SETTINGS: Any = {  # Any: matplotlib 3.11 types the keys, earlier releases do not
    "figure.dpi": 150,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,  # TrueType: journals reject the default, Type 3
    "ps.fonttype": 42,
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same everywhere
    "font.size": TEXT_PT,
    "axes.labelsize": TEXT_PT,
    "axes.titlesize": TEXT_PT,
    "figure.titlesize": TEXT_PT,
    "xtick.labelsize": SMALL_PT,
    "ytick.labelsize": SMALL_PT,
    "legend.fontsize": SMALL_PT,
    "legend.frameon": False,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.0,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
}


def style() -> AbstractContextManager[None]:
    """Return the context in which figures are drawn and saved; the settings outside are untouched.

    Examples
    --------
    >>> before = matplotlib.rcParams["font.size"]
    >>> with style():
    ...     inside = matplotlib.rcParams["font.size"]
    >>> inside, matplotlib.rcParams["font.size"] == before
    (8.0, True)
    """
    return matplotlib.rc_context(_SETTINGS)


class PaperFigure(Figure):
    """A matplotlib figure in the size and the fonts of a paper.

    Where pyplot has been imported it is one of pyplot's figures, which `plt.show()` shows; else no
    window or backend owns it. As the last expression of a notebook cell it shows itself, once.
    `savefig` writes 300 dots per inch and TrueType fonts unless told otherwise.
    """

    def savefig(self, fname: Any, **kwargs: Any) -> None:
        """Save the figure; see `matplotlib.figure.Figure.savefig`."""
        with style():
            super().savefig(fname, **kwargs)

    def _repr_png_(self) -> bytes:
        """Return the picture that Jupyter shows; pyplot need not have been loaded for it."""
        png = BytesIO()
        self.savefig(png, format="png", dpi=self.dpi)
        return png.getvalue()

    def _ipython_display_(self) -> None:
        """Show it in a notebook, where pyplot would show it a second time at the cell's end."""
        from IPython.display import display

        png = b64encode(self._repr_png_()).decode()
        display({"image/png": png, "text/plain": repr(self)}, raw=True)
        if (pyplot := _pyplot()) is not None:
            pyplot.close(self)


def new_figure(width_mm: float, height_mm: float) -> PaperFigure:
    """Return an empty figure of this size on paper; to be called inside `style`."""
    check_width(width_mm)
    size: Any = {"figsize": (width_mm / 25.4, height_mm / 25.4), "layout": "constrained"}
    pyplot = _pyplot()
    if pyplot is None or not _FOR_PYPLOT.get():
        return PaperFigure(**size)
    return cast(PaperFigure, pyplot.figure(FigureClass=PaperFigure, **size))


@contextmanager
def kept_from_pyplot() -> Iterator[None]:
    """Make figures that pyplot does not keep: of a report, which nobody would close."""
    token = _FOR_PYPLOT.set(False)
    try:
        yield
    finally:
        _FOR_PYPLOT.reset(token)


def check_width(width_mm: float) -> None:
    """Raise ValueError unless a width is positive."""
    if not width_mm > 0:
        raise ValueError(f"width_mm must be positive; got {width_mm}")


def _pyplot() -> Any:
    """Give pyplot if somebody has imported it: it is slow to load, and chooses a backend."""
    return sys.modules.get("matplotlib.pyplot")


@contextmanager
def canvas(fig: Canvas | None, width_mm: float, height_mm: float) -> Iterator[Figure]:
    """Give the figure to draw into, inside `style`: the one a user brought, or a new one.

    One that has no layout engine gets matplotlib's constrained one: labels take their room from
    the panels.
    """
    with style():
        if fig is None:
            yield new_figure(width_mm, height_mm)
            return
        if fig.figure.get_layout_engine() is None:
            fig.figure.set_layout_engine("constrained")
        yield cast(Figure, fig)  # nothing is called that a SubFigure lacks


def line_style(i: int) -> tuple[str, str]:
    """Return colour and dashes of the i-th line: every pair differs for 24 lines."""
    return COLOURS[i % len(COLOURS)], DASHES[i // len(COLOURS) % len(DASHES)]
