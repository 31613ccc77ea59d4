"""The report: a verdict and its evidence as one page that any browser shows, offline too."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from importlib.resources import files
from io import BytesIO
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

import sbi_inn
from sbi_inn.checks.compared import COMPARISON_CHECKS
from sbi_inn.checks.record import Record, Verdict
from sbi_inn.checks.run import CHECKS
from sbi_inn.plots.style import DOUBLE_COLUMN_MM, SINGLE_COLUMN_MM, kept_from_pyplot

DPI = 200  # dots an inch: sharp on a screen of two dots a pixel

MARKS: Mapping[Verdict, str] = {
    "trust": "✓",
    "cannot tell": "?",
    "caution": "!",
    "do not trust": "✗",
}

# Columns of tables in words; of others the underscores become blanks.
WORDS = {
    "held68": "truth within 68 %",
    "held95": "truth within 95 %",
    "too_high_by_sd": "too high by [sd]",
    "p_value": "p-value",
    "R2": "R²",
    "median_abs_z": "median |z|",
    "low95": "2.5 % quantile",
    "high95": "97.5 % quantile",
}


def page(check: Any, *, title: str = "", figures: Mapping[str, Figure] | None = None) -> str:
    """Write a verdict and its evidence as one self-contained HTML page.

    Parameters
    ----------
    check : Check
    title : str
        Of the page.
    figures : mapping of str to Figure, optional
        More to show, by caption, such as `{"Posterior": posterior.corner(y)}`.

    Returns
    -------
    str
        HTML without scripts or links to elsewhere; figures are PNG inside it.
    """
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"png": _png, "table": _table, "drawn": _drawn}
    checks = COMPARISON_CHECKS if check.of == "comparison" else CHECKS
    template = files("sbi_inn.report").joinpath("page.html").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        check=check,
        title=title or f"Can this {check.of} be trusted?",
        kinds={kind.name: kind for kind in (checks)},
        figures=figures or {},
        marks=MARKS,
        version=sbi_inn.__version__,
    )


def _drawn(record: Record) -> Iterator[tuple[str, Figure, Figure]]:
    """Give every figure of a check as caption, wide, narrow: telephones cannot show a wide one."""
    with kept_from_pyplot():
        wide, narrow = (
            {"": record.plot(width_mm), **record.more_figures(width_mm)}
            for width_mm in (DOUBLE_COLUMN_MM, SINGLE_COLUMN_MM)
        )
    return ((caption, figure, narrow[caption]) for caption, figure in wide.items())


def _table(table: pd.DataFrame) -> Markup:
    """Write a table as HTML; the name of its rows stands in the corner, not in a row of its own."""
    cornered = table.rename_axis(index=None, columns=str(table.index.name or ""))
    worded = cornered.rename(columns=lambda name: WORDS.get(name, str(name).replace("_", " ")))
    return Markup(worded.to_html(float_format="{:.4g}".format, border=0))


def _png(figure: Figure) -> str:
    """Return a figure as the address of a PNG that is part of the page."""
    png = BytesIO()
    figure.savefig(png, format="png", dpi=DPI, facecolor="white")
    return f"data:image/png;base64,{base64.b64encode(png.getvalue()).decode()}"
