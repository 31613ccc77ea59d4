"""Results as tables: rows are tasks, one table for each number of simulations."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pandas as pd

from accuracy_parts.tasks import OURS_ONLY

WON = 0.515  # a C2ST that leaves nothing to gain
PUBLISHED = "published"


def rows(table, jobs, draws, observations, published):
    """Pick the rows of jobs, and sum up their scores.

    Parameters
    ----------
    table : DataFrame
        All rows of the CSV file.
    jobs : list of Job
    draws : int
        On each side of the C2ST.
    observations : list of int
    published : mapping
        (task, budget) to C2ST.

    Returns
    -------
    DataFrame
        With c2st the mean over observations, NaN unless all are scored; training in seconds on the
        wall, or of the processor where something else ran beside one of the jobs; calibration the
        pooled error; nll of the test simulations.
    """
    wanted = pd.DataFrame(
        [asdict(job) for job in jobs], columns=["task", "budget", "seed", "method"]
    )
    found = wanted.merge(table, on=list(wanted), how="inner")
    if found.empty:
        return found
    scores = found.reindex(columns=[f"c2st.{draws}.{o}" for o in observations])
    clock = "wall" if found["timed"].all() else "cpu"
    line = [
        published.get(pair, np.nan) for pair in zip(found["task"], found["budget"], strict=True)
    ]
    return found.assign(
        **{PUBLISHED: line},
        c2st=scores.mean(axis=1, skipna=False),
        calibration=found.get("calibration.pooled", np.nan),
        nll=found["nll_tests"],
        training=found[f"training.{clock}"],
    )


def medians(found, budget):
    """Give the median over seeds of each task and method, one row a task.

    Returns
    -------
    DataFrame
        Columns (quantity, method), and (published, "") for the published C2ST.
    """
    here = found[found.budget == budget]
    tasks, methods = here.task.unique(), here.method.unique()
    quantities = ["c2st", "training", "calibration", "nll"]
    wide = here.pivot_table(
        index="task", columns="method", values=quantities, aggfunc="median", dropna=False
    )
    columns = pd.MultiIndex.from_product([quantities, methods])
    wide = wide.reindex(index=tasks, columns=columns)
    line = here.groupby("task")[PUBLISHED].first().reindex(tasks)
    wide.insert(0, (PUBLISHED, ""), line)
    return wide


def shown(found, budget, ours):
    """Make the table of one budget as text, with the mean over tasks as its last row."""
    wide = medians(found, budget)
    methods = list(dict.fromkeys(wide["c2st"].columns))
    peers = [m for m in methods if m != ours]
    table = pd.DataFrame(index=wide.index)
    table[PUBLISHED] = wide[PUBLISHED, ""]
    for method in methods:
        table[method] = wide["c2st", method]
    scores = [PUBLISHED, *methods]
    for method in methods:
        table[f"{method} [s]"] = wide["training", method]
    ratios = [f"{ours} / {peer}" for peer in peers if ours in methods]
    for peer, ratio in zip(peers, ratios, strict=False):
        table[ratio] = wide["training", ours] / wide["training", peer]
    for name, quantity in {"calibration": "calibration", "NLL": "nll"}.items():
        for method in methods:
            if wide[quantity, method].notna().any():
                table[f"{name} {method}"] = wide[quantity, method]
    full = [task for task in table.index if task not in OURS_ONLY]
    common = table.loc[full, scores].dropna().index
    mean = table.loc[common].mean()
    text = table.apply(lambda column: [_text(column.name, v) for v in column])
    if len(common):
        text.loc[f"mean of {len(common)}"] = [_text(name, v) for name, v in mean.items()]
    return text.rename_axis("task").reset_index()


def _text(column, value):
    if np.isnan(value):
        return "-"
    if column.startswith("calibration"):
        return f"{value:.2%}"
    if column.startswith("NLL"):
        return f"{value:.3f}"
    if column.endswith("[s]"):
        return f"{value:.1f}"
    if " / " in column:
        return f"{value:.2f}"
    return f"{value:.3f}"


def wins(found, budget, ours):
    """Count the tasks on which our C2ST is below the others', or at most .515: one line each."""
    wide = medians(found, budget)
    wide = wide[[task not in OURS_ONLY for task in wide.index]]
    if ("c2st", ours) not in wide:
        return []
    mine, lines = wide["c2st", ours], []
    others = {PUBLISHED: wide[PUBLISHED, ""]}
    others |= {name: wide["c2st", name] for name in wide["c2st"].columns if name != ours}
    for name, other in others.items():
        both = mine.notna() & other.notna()
        if not both.any():
            continue
        gap = (mine - other)[both]
        won = ((gap < 0) | (mine[both] <= WON)).sum()
        lines.append(
            f"{ours} against {name}: won {won} of {both.sum()}, "
            f"mean {gap.mean():+.3f}, worst {gap.max():+.3f} ({gap.idxmax()})"
        )
    return lines


def remarks(found):
    """Say what has to be known about the times."""
    if found.timed.all():
        return []
    other = (~found.timed.astype(bool)).sum()
    return [
        f"Something else ran beside {other} of {len(found)} jobs: [s] is time of the processor."
    ]
