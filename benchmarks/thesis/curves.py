"""What recovery gains from simulations, beside the published figures: a table and a figure.

    python benchmarks/thesis/curves.py FILE ... [--figure FILE]

The files are those that `ricker.py`, `sir_stochastic.py` and `levy_flight.py` write with `--json`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import levy_flight
import numpy as np
import ricker
import sir_stochastic

from sbi_inn.plots.style import COLOURS, DOUBLE_COLUMN_MM, SMALL_PT, new_figure, style

STUDIES = {part.STUDY.problem: part.STUDY for part in (ricker, sir_stochastic, levy_flight)}
MARKS = "os^vDP"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--figure", type=Path, help="write the figure to this file")
    options = parser.parse_args()
    found = [json.loads(file.read_text()) for file in options.files]
    for one in found:
        show(one)
    if options.figure:
        draw(found, options.figure)


def show(one):
    """Print R2 of each parameter for each number of simulations, a table for each length."""
    for name, length in STUDIES[one["problem"]].lengths.items():
        print(f"\n{one['problem']}, {name}: R2")
        print(f"{'simulations':>12}{'steps':>8}{'s':>7}" + "".join(f"{p:>8}" for p in length.r2))
        for fit in one["fits"]:
            start = f"{fit['simulations']:12,}{fit['steps']:8,}{fit['training [s]']:7.0f}"
            print(start + row(fit["lengths"][name]["R2"]))
        if name in one.get("exact", {}):
            print(f"{'exact':>27}" + row(one["exact"][name]))
        print(f"{'published':>27}" + row(length.r2))


def row(values):
    return "".join(f"{value:8.3f}" for value in values.values())


def draw(found, file):
    """Draw 1 - R2 against the number of simulations, a panel for each length."""
    panels = [(one, name) for one in found for name in STUDIES[one["problem"]].lengths]
    with style():
        figure = new_figure(DOUBLE_COLUMN_MM, 80)
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for ax, (one, name) in zip(axes, panels, strict=True):
            draw_length(ax, one, name)
        axes[0].set_ylabel("1 - R²")
        figure.savefig(file)


def draw_length(ax, one, name):
    """Draw the parameters of one length, and as dashes what was published."""
    simulations = [fit["simulations"] for fit in one["fits"]]
    for parameter, colour, mark in zip(
        STUDIES[one["problem"]].lengths[name].r2, COLOURS, MARKS, strict=False
    ):
        missing = [1 - fit["lengths"][name]["R2"][parameter] for fit in one["fits"]]
        ax.loglog(simulations, missing, color=colour, marker=mark, ms=3.5, lw=1, label=parameter)
        published = STUDIES[one["problem"]].lengths[name].r2[parameter]
        ax.axhline(1 - published, color=colour, ls="--", lw=0.7)
        if name in one.get("exact", {}):
            ax.axhline(1 - one["exact"][name][parameter], color=colour, ls=":", lw=0.9)
    ax.set_title(f"{one['problem']}\n{name}")
    ax.set_xlim(min(simulations) / 1.5, max(simulations) * 1.5)
    ax.set_xticks(simulations, [f"{n / 1000:g}k" for n in simulations])
    ax.set_xticks([], minor=True)
    ticks = np.array([0.003, 0.01, 0.03, 0.1, 0.3])
    ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.set_yticks([], minor=True)
    ax.set_xlabel("simulations")
    below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.2), "ncols": 3}
    ax.legend(**below, fontsize=SMALL_PT, handlelength=1, columnspacing=0.8, frameon=False)


if __name__ == "__main__":
    main()
