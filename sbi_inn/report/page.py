"""The report: a verdict and its evidence as one page that any browser shows, offline too."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from string import Template

import pandas as pd
from matplotlib.figure import Figure

import sbi_inn
from sbi_inn.checks.record import Record, Verdict
from sbi_inn.plots.style import DOUBLE_COLUMN_MM, SINGLE_COLUMN_MM
from sbi_inn.report.check import MEANING, Check

DPI = 200  # sharp on a screen of two dots a pixel

MARKS: Mapping[Verdict, str] = {"trust": "✓", "caution": "!", "do not trust": "✗"}

WHAT_IS_THIS = {
    "calibration": "Over many simulations whose true parameters are known: do intervals hold the "
    "truth as often as they say, and do draws lie around it?",
    "dependence": "Do the draws show how parameters go together, such as one rising while another "
    "falls?",
    "joint coverage": "Do regions of all parameters together hold the truth as often as they say?",
    "recovery": "How close do estimates come to the true parameters, and how much narrower than "
    "the prior is the posterior?",
    "re-simulation": "When parameters that were drawn are simulated again, does the outcome land "
    "on the observation that they were drawn for?",
    "re-simulation at y": "When parameters drawn for your observation are simulated again, does "
    "the outcome land on it?",
    "posterior predictive": "Does your observation look like data simulated from its own "
    "posterior, feature by feature?",
    "goodness of fit": "Is your observation one that the simulations could have produced at all?",
    "calibration at y": "Is the posterior calibrated near your observation, and not only on "
    "average over all that were simulated?",
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


def page(check: Check, *, title: str = "", figures: Mapping[str, Figure] | None = None) -> str:
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
    parts = [
        _paragraph(check.advice),
        _facts(check.about),
        _overview(check.records),
        *(_section(name, record) for name, record in check.records.items()),
        *(_gallery(caption, figure) for caption, figure in (figures or {}).items()),
        _notes(check.notes),
        _skipped(check.skipped),
    ]
    meaning = MEANING[check.verdict]
    reasons = check.sentence.removeprefix(meaning).lstrip(":. ")
    template = files("sbi_inn.report").joinpath("page.html").read_text(encoding="utf-8")
    return Template(template).substitute(
        title=escape(title or "Can this posterior be trusted?"),
        kind=_css_class(check.verdict),
        mark=MARKS[check.verdict],
        meaning=meaning + (":" if reasons else ""),
        reasons=escape(reasons),
        body="\n".join(filter(None, parts)),
        version=sbi_inn.__version__,
    )


def write_page(
    check: Check,
    path: str | Path,
    *,
    title: str = "",
    figures: Mapping[str, Figure] | None = None,
) -> None:
    """Write `page` to a file."""
    Path(path).write_text(page(check, title=title, figures=figures), encoding="utf-8")


# -- parts of the page -----------------------------------------------------------------------------


def _facts(about: Mapping[str, str]) -> str:
    """List what is known of the posterior."""
    rows = "".join(f"<dt>{escape(k)}</dt><dd>{escape(str(v))}</dd>" for k, v in about.items())
    return f"<section><h2>The posterior</h2><dl>{rows}</dl></section>" if rows else ""


def _overview(records: Mapping[str, Record]) -> str:
    """Link to every check, with its verdict."""
    lines = "".join(
        f'<li><a href="#{_anchor(name)}">{escape(name)}</a>{_badge(record.verdict)}</li>'
        for name, record in records.items()
    )
    return f'<section><h2>The checks</h2><ul class="list">{lines}</ul></section>' if lines else ""


def _section(name: str, record: Record) -> str:
    """Show one check: its verdict, what it is, what it found, and the evidence."""
    what = WHAT_IS_THIS.get(name, "")
    parts = [
        f"<h2>{escape(name)}{_badge(record.verdict)}</h2>",
        f'<p class="what">{escape(what)}</p>' if what else "",
        _paragraph(record.sentence),
        _paragraph(record.advice),
        *_figures(name, record),
        _table(name, record.table),
    ]
    return f'<section id="{_anchor(name)}">{"".join(parts)}</section>'


def _gallery(caption: str, figure: Figure) -> str:
    """Show a figure of the user's."""
    image = f'<figure class="wide"><img src="{_png(figure)}" alt="{escape(caption)}"></figure>'
    return f"<section><h2>{escape(caption)}</h2>{image}</section>"


def _notes(notes: tuple[str, ...]) -> str:
    """List reasons for caution that are no check."""
    lines = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f"<section><h2>Notes</h2><ul>{lines}</ul></section>" if lines else ""


def _skipped(skipped: Mapping[str, str]) -> str:
    """List the checks that could not run, and why."""
    lines = "".join(f"<li>{escape(name)}: {escape(why)}</li>" for name, why in skipped.items())
    return f"<section><h2>Skipped</h2><ul>{lines}</ul></section>" if lines else ""


# -- elements --------------------------------------------------------------------------------------


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>" if text else ""


def _badge(verdict: Verdict) -> str:
    return f'<span class="badge {_css_class(verdict)}">{MARKS[verdict]} {verdict}</span>'


def _css_class(verdict: Verdict) -> str:
    return verdict.replace(" ", "-")


def _anchor(name: str) -> str:
    return escape(f"check-{name}").replace(" ", "-")


def _table(name: str, table: pd.DataFrame) -> str:
    """Put a table into a box of its own, which can be scrolled by keyboard too."""
    if table.empty:
        return ""
    # The name of the rows stands in the corner, and not in a row of its own.
    cornered = table.rename_axis(index=None, columns=str(table.index.name or ""))
    worded = cornered.rename(
        columns=lambda column: WORDS.get(column, str(column).replace("_", " "))
    )
    rows = worded.to_html(float_format="{:.4g}".format, border=0)
    label = escape(f"table of {name}")
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{label}">{rows}</div>'


def _figures(name: str, record: Record) -> list[str]:
    """Show the figures of a check, each drawn twice: a wide one cannot be read on a telephone."""
    wide, narrow = (
        {"": record.plot(width_mm), **record.more_figures(width_mm)}
        for width_mm in (DOUBLE_COLUMN_MM, SINGLE_COLUMN_MM)
    )
    return [
        _two_sizes(figure, narrow[caption], f"{name}: {caption or record.sentence}", caption)
        for caption, figure in wide.items()
    ]


def _two_sizes(wide: Figure, narrow: Figure, description: str, caption: str) -> str:
    """Let the browser choose between two widths of a figure."""
    said = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return (
        f'<figure>{said}<picture><source media="(max-width: 600px)" srcset="{_png(narrow)}">'
        f'<img src="{_png(wide)}" alt="{escape(description)}"></picture></figure>'
    )


def _png(figure: Figure) -> str:
    """Return a figure as the address of a PNG that is part of the page."""
    png = BytesIO()
    figure.savefig(png, format="png", dpi=DPI, facecolor="white")
    return f"data:image/png;base64,{base64.b64encode(png.getvalue()).decode()}"
