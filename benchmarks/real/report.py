"""Rows of the benchmark of real problems as tables, and as a line while it runs."""

from __future__ import annotations

import pandas as pd
from records import headed

# What was asked of 20,000 simulations, refinement included.
AIM = {"mean shift": 0.2, "worst shift": 0.4, "narrowest": 0.85, "widest": 1.2, "C2ST": 0.65}

NOTE = (
    "Problems in order of their C2ST: .5 where no classifier tells the draws from the reference, 1 "
    "where it always does; the mean over observations and seeds. *Off by*: how far means of draws "
    "are from those of the reference, in standard deviations of the reference, over all parameters "
    "and observations: on average, and at worst in brackets. *Widths*: standard deviations of the "
    "draws as multiples of those of the reference, the smallest and the largest. *Aim*: whether "
    "all are within {mean shift}, {worst shift}, {narrowest} to {widest}, and a C2ST of {C2ST}. "
    "*Verdicts* are those of `check(y)`, one for each observation, where they were asked for. "
    "Seconds are of the processor, beside other work: for the fit, and for the refinement of one "
    "observation where there is one."
).format(**AIM)


def summed(rows):
    """Sum up rows of a problem, as numbers."""
    shift = rows["shift"].abs()
    return {
        "C2ST": rows.groupby(["seed", "observation"])["c2st"].first().mean(),
        "mean shift": shift.mean(),
        "worst shift": shift.max(),
        "narrowest": rows["width"].min(),
        "widest": rows["width"].max(),
        "seconds": (rows["fit [s]"] + rows["refining [s]"]).mean(),
    }


def reached(found):
    """Say whether all numbers of a problem are within the aim."""
    upper = all(found[name] <= AIM[name] for name in AIM if name != "narrowest")
    return upper and found["narrowest"] >= AIM["narrowest"]


def line(rows):
    """Say in a line what was found at some observations of a problem."""
    found = summed(pd.DataFrame(rows).assign(seed=0))
    return "  " + ", ".join(f"{name} {value:.3g}" for name, value in found.items())


def table(rows, names, simulations):
    """Make tables of some problems: one for each label and number near y, the newest first."""
    if rows.empty:
        return ""
    rows = rows[rows["problem"].isin(list(names)) & (rows["simulations"] == simulations)]
    written = [NOTE]
    by_age = rows.groupby(["label", "refine"])["date"].max().sort_values(ascending=False)
    for label, refine in by_age.index:
        here = rows[(rows["label"] == label) & (rows["refine"] == refine)]
        each = [(name, one, summed(one)) for name, one in here.groupby("problem")]
        each.sort(key=lambda one: one[2]["C2ST"])
        lines = pd.DataFrame([_line(*one) for one in each])
        near = f", {refine:,} of them near each observation" if refine else ""
        title = f"### {label}: {simulations:,} simulations{near}"
        written += [title, headed(here.drop(columns="commit"), lines)]
    return "\n\n".join(written)


def _line(name, rows, found):
    """Write what was found at one problem, as text."""
    observations = sorted(set(rows["observation"]))
    return {
        "problem": name,
        "observations": ", ".join(map(str, observations)),
        "C2ST": f"{found['C2ST']:.2f}",
        "off by [sd]": f"{found['mean shift']:.2g} ({found['worst shift']:.2g})",
        "widths": f"{found['narrowest']:.3g} to {found['widest']:.3g}",
        "aim": "yes" if reached(found) else "no",
        "verdicts": _verdicts(rows),
        "seconds": f"{found['seconds']:.0f}",
        "commit": ", ".join(f"`{commit}`" for commit in rows["commit"].unique()),
    }


def _verdicts(rows):
    """Count the verdicts, where they were asked for."""
    if "verdict" not in rows or rows["verdict"].isna().all():
        return "-"
    each = rows.groupby(["seed", "observation"])["verdict"].first()
    return ", ".join(f"{verdict}: {n}" for verdict, n in each.value_counts().items())
