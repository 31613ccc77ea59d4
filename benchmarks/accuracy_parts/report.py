"""Results as tables: rows are tasks, one table for each number of simulations."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from accuracy_parts.scores import scored
from accuracy_parts.tasks import OURS_ONLY

WON = 0.515  # a C2ST that leaves nothing to gain
PUBLISHED = "published"


def rows(jobs, draws, observations, published, settings):
    """Read the results of jobs that are done: one row a job.

    Returns
    -------
    DataFrame
        With c2st the mean over observations, NaN unless all are scored; training in seconds on the
        wall, or of the processor where something else ran beside one of the jobs; calibration the
        pooled error; nll of the test simulations; details the result itself.
    """
    found = []
    for job in jobs:
        file = settings.result_file(job)
        if not file.exists():
            continue
        result, scores = json.loads(file.read_text()), scored(job, draws, settings)
        each = [scores.get(str(o), np.nan) for o in observations]
        found.append(
            {
                "task": job.task,
                "budget": job.budget,
                "seed": job.seed,
                "method": job.method,
                PUBLISHED: published.get((job.task, job.budget), np.nan),
                "c2st": float(np.mean(each)),
                "c2st_each": each,
                "calibration": result.get("calibration", {}).get("pooled", np.nan),
                "nll": result["nll_tests"],
                "timed": result["timed"],
                "source": result["source"],
                "details": result,
            }
        )
    clock = "wall" if all(row["timed"] for row in found) else "cpu"
    for row in found:
        row["training"] = row["details"]["training"][clock]
    return pd.DataFrame(found)


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


def remarks(found, current):
    """Say what has to be known about the results: times, sources."""
    lines = []
    if not found.timed.all():
        other = (~found.timed).sum()
        lines.append(
            f"something else ran beside {other} of {len(found)} jobs: [s] is time of the processor"
        )
    old = [s != current[m] for m, s in zip(found.method, found.source, strict=True)]
    if any(old):
        lines.append(f"{sum(old)} of {len(found)} jobs were run by another state of the source")
    return lines


def markdown(table):
    """Write a table of text as markdown."""
    lines = [list(table.columns), ["---"] * table.shape[1], *table.to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
