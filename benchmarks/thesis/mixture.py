"""Figures 4.2, 4.4 and 4.5 of L. Ardizzone's dissertation as numbers and as figures.

    python benchmarks/thesis/mixture.py                         three seeds, 120 s for each training
    python benchmarks/thesis/mixture.py --table                 the table of the results page
    python benchmarks/thesis/mixture.py --figures docs/results/thesis       draw figures of the rows

All methods train on the same simulations, one after the other, and each has all cores for the same
time. Eight modes, of which only a label is seen (sec. 4.2.1). For each method and label: by how
much the share of a mode misses the truth, and which share of the draws is further than 4 sigma from
any mode of the label. The ablations leave out losses of the INN trained by discrepancies.

All methods see parameters on the N(0, I) side of the prior, where the empty regions between the
modes have no width. So that the ablation without L_x can put draws there, as in the dissertation,
it is also trained on plainly scaled parameters ("in x").
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import scipy.stats as st
from competitors import CGAN, CVAE, Dropout, MMDGenerator
from sbi_inn.simulators.mixture_of_eight import LABELS, MODES, SIGMA, posterior
from shared import Benchmark, Records, fitted, headed, main, spread

import sbi_inn as si
from sbi_inn.draws import Column
from sbi_inn.plots.latent import plot_latent
from sbi_inn.plots.style import COLOURS, DOUBLE_COLUMN_MM, new_figure, style

PROBLEM = "mixture_of_eight"
DRAWS = 20_000  # for each label
SHOWN = 300  # of them in the figures
METHODS = {
    "INN by MMD": si.INN(loss="mmd"),
    "only L_y and L_z": si.INN(loss="mmd", terms=("y", "z")),
    "only L_y and L_z, in x": si.INN(loss="mmd", terms=("y", "z")),
    "only L_x": si.INN(loss="mmd", terms=("x",)),
    "INN by likelihood": si.INN(loss="likelihood"),
    "cINN": si.CINN(),
    "cVAE": CVAE(reconstruction=50.0),
    "cVAE-IAF": CVAE(iaf=True, reconstruction=50.0),
    "cGAN": CGAN(),
    "cGAN, larger": CGAN.larger(),
    "generator with MMD": MMDGenerator(),
    "dropout": Dropout(),
}
FIGURE_4_2 = ("truth", *list(METHODS)[:4])
FIGURE_4_4 = ("truth", "INN by MMD", *list(METHODS)[4:])
GRID = np.linspace(-3, 3, 121)
POINTS = Records("thesis-mixture-draws", ("method", "simulations", "seconds", "label", "of"))
LATENT = Records("thesis-mixture-latent", ("label", "of", "row"))


def run_one(options):
    """Train one method and look at its draws for every label."""
    table = si.simulate(PROBLEM, n=options.simulations, seed=options.seed, progress=False)
    if options.part.endswith("in x"):
        spread = np.cov(table.dataset["x"].values, rowvar=False)
        scaled = si.Prior(x=st.multivariate_normal(np.zeros(2), spread))  # a map, not the prior
        table = replace(table, prior=scaled)
    trained = si.fit_posterior(
        table,
        method=METHODS[options.part],
        training=si.Training(epochs=10**6, max_seconds=options.seconds, early_stopping=False),
        seed=options.seed,
        progress=False,
    )
    if isinstance(METHODS[options.part], si.INN):
        trained = trained.at_tolerance(0.0)  # a label has no error
    labels = [{"label": row} for row in np.eye(max(LABELS) + 1)]
    draws = [trained.sample(y, DRAWS)["x"].values for y in labels]
    about = {
        "training [s]": trained.history.seconds,
        "steps": trained.history.steps,
        "network": fitted(trained).describe(),
    }
    rows = [{"label": label} | judged(x, label) | about for label, x in enumerate(draws)]
    if options.seed == options.seeds[0]:
        keep_figures(options, draws, trained, labels)
    return rows


def keep_figures(options, draws, trained, labels):
    """Keep what the figures show: some draws, and of one method the latent plane."""
    of = {"method": options.part, "simulations": options.simulations, "seconds": options.seconds}
    points = [
        of | {"label": label, "of": name} | numbered(column.round(3).tolist())
        for label, x in enumerate(draws)
        for name, column in zip(("x1", "x2"), x[:SHOWN].T, strict=True)
    ]
    where = {"seed": options.seed, "threads": options.threads}
    replace(POINTS, folder=options.out).add(points, **where)
    if options.part == "INN by MMD":
        rows = latent_rows(trained, labels)
        replace(LATENT, folder=options.out).add(rows, **where)


def numbered(values):
    """Name numbers by their places, as the files do that are read back."""
    return {str(place): value for place, value in enumerate(values)}


def latent_rows(trained, labels):
    """Say to which mode each point of the latent plane leads, and how close (fig. 4.5)."""
    rows = []
    for label, y in zip((0, 1), labels, strict=False):
        x = trained.latent_grid(y, GRID)["x"].values
        distance = np.linalg.norm(x[:, None] - MODES, axis=2)
        close = np.exp(-0.5 * (distance.min(axis=1) / (2 * SIGMA)) ** 2).round(2)
        for name, values in {"nearest mode": distance.argmin(axis=1), "closeness": close}.items():
            for i, line in enumerate(values.reshape(len(GRID), len(GRID)).tolist()):
                rows.append({"label": label, "of": name, "row": i} | numbered(line))
    return rows


def judged(x, label):
    """Measure shares and outliers among draws of one label."""
    distance = np.linalg.norm(x[:, None] - MODES, axis=2)
    mine = np.flatnonzero(np.array(LABELS) == label)
    shares = np.bincount(distance.argmin(axis=1), minlength=len(MODES))[mine] / len(x)
    return {
        "share off by": float(np.abs(shares - 1 / len(mine)).max()),
        "beyond 4 sigma": float((distance[:, mine].min(axis=1) > 4 * SIGMA).mean()),
    }


def table(rows):
    """Make the table of the page: medians over seeds of both numbers, for each label."""
    if rows.empty:
        return ""
    lines = []
    for method in METHODS:
        here = rows[rows["method"] == method]
        if here.empty:
            continue
        cells = {"method": method}
        for label, part in here.groupby("label"):
            off = part["share off by"].median()
            cells[f"label {label}"] = f"{off:.3f}, {part['beyond 4 sigma'].median():.2%}"
        lines.append(cells | {"steps": spread(here.groupby("seed")["steps"].first(), "{:,.0f}")})
    trained = f"{rows['seconds'].max():g} s of training for each method, {DRAWS:,} draws a label."
    cells = (
        "By how much the share of a mode is off, and the share of draws beyond 4 sigma from any "
        "mode of the label; medians over seeds."
    )
    return headed(rows, pd.DataFrame(lines), trained, cells)


def figures(records, folder):
    """Draw figures 4.2, 4.4 and 4.5 from the rows that are kept."""
    points = replace(POINTS, folder=records.folder).read()
    rng = np.random.default_rng(0)
    shown = {method: clouds(here) for method, here in points.groupby("method")}
    shown["truth"] = [posterior(label).rvs(SHOWN, rng) for label in range(max(LABELS) + 1)]
    for name, panels in (("fig_4_2", FIGURE_4_2), ("fig_4_4", FIGURE_4_4)):
        scatter([panel for panel in panels if panel in shown], shown, folder, name)
    latent_figure(replace(LATENT, folder=records.folder).read(), folder)


def clouds(points):
    """Give the points of each label, shape (SHOWN, 2)."""
    columns = [str(i) for i in range(SHOWN)]
    each = points.set_index("of").groupby("label")
    return [part.loc[["x1", "x2"], columns].to_numpy(float).T for _, part in each]


def scatter(panels, shown, folder, name):
    """Draw the draws of several methods, a panel each, a colour a label."""
    rows = -(-len(panels) // 5)
    across = -(-len(panels) // rows)
    with style():
        figure = new_figure(DOUBLE_COLUMN_MM, DOUBLE_COLUMN_MM / across * rows + 8 * rows + 6)
        axes = np.atleast_1d(figure.subplots(rows, across, sharex=True, sharey=True)).ravel()
        for ax, panel in zip(axes, panels, strict=False):
            for label, points in enumerate(shown[panel]):
                ax.plot(*points.T, ".", color=COLOURS[label], ms=1.5, mew=0)
            title = re.sub(r"(L_\w)", r"$\1$", panel)
            ax.set(title=title, xlim=(-3.6, 3.6), ylim=(-3.6, 3.6), aspect="equal")
        for ax in axes[len(panels) :]:
            ax.set_axis_off()
        figure.supxlabel("$x_1$", fontsize="medium")
        figure.supylabel("$x_2$", fontsize="medium")
    save(figure, folder, name)


def latent_figure(rows, folder):
    """Draw which mode each point of the latent plane leads to, and how close to it (fig. 4.5)."""
    for label, name in enumerate(("four_modes", "two_modes")):
        here = rows[rows["label"] == label].set_index("of")
        if here.empty:
            continue
        columns = [str(i) for i in range(len(GRID))]
        nearest, close = (here.loc[n, columns].to_numpy() for n in ("nearest mode", "closeness"))
        column = Column("mode", "mode", "mode closest to $x$", "", np.nan)
        figure = plot_latent(
            GRID, nearest[None].astype(int), [column], closeness=close.astype(float), width_mm=85
        )
        save(figure, folder, f"fig_4_5_{name}")


def save(figure, folder, name):
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / f"{name}.png")


BENCHMARK = Benchmark(
    Records("thesis-mixture", ("method", "simulations", "seconds", "label")),
    parts=list(METHODS),
    measure=run_one,
    table=table,
    settings={"simulations": 100_000, "seconds": 120.0},
)

if __name__ == "__main__":
    main(BENCHMARK, __doc__, figures=figures)
