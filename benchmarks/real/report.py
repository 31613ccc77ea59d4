"""Rows of the benchmark of real problems as tables, and as a line while it runs."""

from __future__ import annotations

import pandas as pd
from records import headed

NOTE = (
    "Shifts and widths are those of the draws beside the reference posterior, in its standard "
    "deviations (0 and 1: no difference): over parameters, observations and seeds. By quartiles: "
    "the same by median and interquartile range. C2ST: .5 where no classifier can tell the draws "
    "from the reference, 1 where it always can; the mean over observations and seeds. Seconds are "
    "of the processor: for the fit, and for the refinement of one observation where there is one."
)


def summed(rows):
    """Sum up rows of a problem, as numbers."""
    shift, middle = rows["shift"].abs(), rows["median shift"].abs()
    return {
        "shift": shift.mean(),
        "worst shift": shift.max(),
        "narrowest": rows["width"].min(),
        "widest": rows["width"].max(),
        "by quartiles: shift": middle.mean(),
        "worst": middle.max(),
        "narrowest iqr": rows["iqr"].min(),
        "widest iqr": rows["iqr"].max(),
        "C2ST": rows.groupby(["seed", "observation"])["c2st"].first().mean(),
        "seconds": (rows["fit [s]"] + rows["refining [s]"]).mean(),
    }


def line(rows):
    """Say in a line what was found at some observations of a problem."""
    found = summed(pd.DataFrame(rows).assign(seed=0))
    return "  " + ", ".join(f"{name} {value:.3g}" for name, value in found.items())


def table(rows, names, simulations):
    """Make a table of the rows of some problems, one for each label and number near y."""
    if rows.empty:
        return ""
    rows = rows[rows["problem"].isin(list(names)) & (rows["simulations"] == simulations)]
    written = []
    for (label, refine), here in rows.groupby(["label", "refine"], sort=False):
        lines = [
            {"problem": name} | {key: f"{v:.3g}" for key, v in summed(one).items()} | _verdicts(one)
            for name, one in here.groupby("problem", sort=False)
        ]
        near = f", {refine:,} of them near each observation" if refine else ""
        title = f"### {label}: {simulations:,} simulations{near}"
        written += [title, headed(here, pd.DataFrame(lines).fillna("-"), NOTE)]
    return "\n\n".join(written)


def _verdicts(rows):
    """Count the verdicts, where they were asked for."""
    if "verdict" not in rows or rows["verdict"].isna().all():
        return {}
    each = rows.groupby(["seed", "observation"])["verdict"].first()
    counts = each.value_counts()
    return {"verdict": ", ".join(f"{verdict}: {n}" for verdict, n in counts.items())}
