"""Sections `core` and `spline`: our networks beside those of other libraries, in turns."""

import sys
from contextlib import ExitStack

import pandas as pd
from environments import python

from speed_parts.processes import BENCHMARKS, Section, Served

TASKS = {
    "step of 256": ("step", 256),
    "step of 1,024": ("step", 1_024),
    "density of 10,000": ("density", 10_000),
    "sampling 10,000": ("sample", 10_000),
}
AFFINE = {
    "ours": ["ours", "matrix products"],
    "peers": ["FrEIA", "FrEIA, ReLU", "FrEIA, fused AdamW", "nflows", "zuko"],
}
SPLINE = {"ours": ["ours, spline", "ours"], "peers": ["nflows, spline", "zuko, spline"]}


def core(options):
    """Affine couplings."""
    return compared(*in_turns(AFFINE, options), "ours")


def spline(options):
    """Spline couplings, and our affine one beside them."""
    return compared(*in_turns(SPLINE, options), "ours, spline")


def in_turns(networks, options):
    """Time all networks in turns, each task of each round.

    Returns
    -------
    times : DataFrame
        Columns round, network, task, seconds.
    weights : dict
        Network to how many it has.
    """
    scripts = {
        "ours": [sys.executable, str(BENCHMARKS / "speed_parts" / "ours.py")],
        "peers": [str(python("networks")), str(BENCHMARKS / "peers" / "networks_flows.py")],
    }
    with ExitStack() as stack:
        where = {}
        for side, names in networks.items():
            served = stack.enter_context(Served(scripts[side], options.threads))
            where |= dict.fromkeys(names, served)
        weights = {name: served.ask(name, "weights") for name, served in where.items()}
        return rounds(where, options.rounds, options.seconds), weights


def rounds(where, n, seconds):
    """Ask for every task of every network `n` times; every other round goes backwards."""
    rows = []
    for turn in range(n):
        for task, (kind, size) in TASKS.items():
            for name in list(where)[:: 1 - 2 * (turn % 2)]:
                found = where[name].ask(name, kind, size, seconds)
                rows.append({"round": turn, "network": name, "task": task, "seconds": found})
    return pd.DataFrame(rows)


def compared(times, weights, base):
    """Give medians, and the ratio of one network's to each other's with its spread."""
    rows = []
    of_base = times[times.network == base].set_index(["task", "round"]).seconds
    for (name, task), group in times.groupby(["network", "task"], sort=False):
        seconds = group.set_index("round").seconds
        ratios = of_base[task] / seconds
        rows.append(
            {
                "network": name,
                "weights": weights[name],
                "task": task,
                "milliseconds": 1e3 * seconds.median(),
                "ratio": of_base[task].median() / seconds.median(),
                "low": ratios.quantile(0.1),
                "high": ratios.quantile(0.9),
            }
        )
    order = list(weights)
    return pd.DataFrame(rows).sort_values(
        "network", key=lambda names: names.map(order.index), kind="stable"
    )


def side_by_side(rows):
    """Put the tasks beside each other, one row a network."""
    table = []
    for name, group in rows.groupby("network", sort=False):
        cells = {"network": name, "weights": f"{group.weights.iloc[0]:,}"}
        for one in group.itertuples():
            cells[f"{one.task} [ms]"] = f"{one.milliseconds:.1f}"
            if table:
                cells[f"{one.task} [ms]"] += f" ({one.ratio:.2f}: {one.low:.2f} to {one.high:.2f})"
        table.append(cells)
    return pd.DataFrame(table)


ABOUT = (
    "Milliseconds, medians over rounds. In brackets: the first row's over this one's, and the 10th "
    "to the 90th percentile of that over rounds."
)
CORE = Section(ABOUT, core, side_by_side)
SPLINES = Section(ABOUT, spline, side_by_side)
