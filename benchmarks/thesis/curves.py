"""What recovery gains from simulations, beside the published figures: a figure.

    python benchmarks/thesis/curves.py --figure docs/results/thesis/recovery.png

The rows are those that `ricker.py`, `sir_stochastic.py` and `levy_flight.py` keep.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import levy_flight
import numpy as np
import ricker
import sir_stochastic
from recovery import EXACT, RECORDS
from shared import RESULTS

from sbi_inn.plots.style import COLOURS, DOUBLE_COLUMN_MM, SMALL_PT, new_figure, style

STUDIES = [part.STUDY for part in (ricker, sir_stochastic, levy_flight)]
MARKS = "os^vDP"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the rows")
    parser.add_argument("--figure", type=Path, required=True, help="write the figure to this file")
    options = parser.parse_args()
    draw(replace(RECORDS, folder=options.out).read(), options.figure)


def draw(rows, file):
    """Draw 1 - R2 against the number of simulations, a panel for each length."""
    known = set(rows["problem"])
    studies = [study for study in STUDIES if study.problem in known]
    panels = [(study, name) for study in studies for name in study.lengths]
    with style():
        figure = new_figure(DOUBLE_COLUMN_MM, 80)
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for ax, (study, name) in zip(axes, panels, strict=True):
            here = rows[(rows["problem"] == study.problem) & (rows["length"] == name)]
            draw_length(ax, study, name, here)
        axes[0].set_ylabel("1 - R²")
        figure.savefig(file)


def draw_length(ax, study, name, rows):
    """Draw the parameters of one length; dashes: published, dots: the exact posterior."""
    length, exact = study.lengths[name], rows["network"] == EXACT
    simulations = sorted(rows["simulations"].dropna().astype(int).unique())
    for parameter, colour, mark in zip(length.r2, COLOURS, MARKS, strict=False):
        mine = rows["parameter"] == parameter
        missing = 1 - rows[mine & ~exact].groupby("simulations")["R2"].median()
        ax.loglog(missing, color=colour, marker=mark, ms=3.5, lw=1, label=parameter)
        ax.axhline(1 - length.r2[parameter], color=colour, ls="--", lw=0.7)
        for r2 in rows[mine & exact]["R2"]:
            ax.axhline(1 - r2, color=colour, ls=":", lw=0.9)
    ax.set_title(f"{study.problem}\n{name}")
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
