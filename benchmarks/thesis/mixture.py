"""Figures 4.2, 4.4 and 4.5 of L. Ardizzone's dissertation as numbers and as figures.

    python benchmarks/thesis/mixture.py [--only NAME ...] [--seconds S] [--figures FOLDER]

Eight modes, of which only a label is seen (sec. 4.2.1). For each method and label: by how much the
share of a mode misses the truth, and which share of the draws is further than 4 sigma from any
mode of the label. The ablations leave out losses of the INN trained by discrepancies.

All methods see parameters on the N(0, I) side of the prior, where the empty regions between the
modes have no width. So that the ablation without L_x can put draws there, as in the dissertation,
it is also trained on plainly scaled parameters ("in x").
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import scipy.stats as st
from competitors import CGAN, CVAE, Dropout, MMDGenerator
from jobs import parser, run_all
from sbi_inn.simulators.mixture_of_eight import LABELS, MODES, SIGMA, posterior

import sbi_inn as si
from sbi_inn.draws import Column
from sbi_inn.plots.latent import plot_latent
from sbi_inn.plots.style import COLOURS, DOUBLE_COLUMN_MM, new_figure, style

PROBLEM = "mixture_of_eight"
DRAWS, SHOWN = 20_000, 1_000
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
GRID = np.linspace(-3, 3, 241)


def run_one(options):
    """Train one method and look at its draws for every label."""
    table = si.simulate(PROBLEM, n=options.simulations, seed=options.seed, progress=False)
    if options.part.endswith("in x"):
        spread = np.cov(table.dataset["x"].values, rowvar=False)
        scaled = si.Prior(x=st.multivariate_normal(np.zeros(2), spread))  # a map, not the prior
        table = replace(table, prior=scaled)
    fitted = si.fit_posterior(
        table,
        method=METHODS[options.part],
        training=si.Training(epochs=10**6, max_seconds=options.seconds, early_stopping=False),
        seed=options.seed,
        progress=False,
    )
    if isinstance(METHODS[options.part], si.INN):
        fitted = fitted.at_tolerance(0.0)  # a label has no error
    labels = [{"label": row} for row in np.eye(max(LABELS) + 1)]
    draws = [fitted.sample(y, DRAWS)["x"].values for y in labels]
    found = {
        "labels": [judged(x, label) for label, x in enumerate(draws)],
        "points": [x[:SHOWN].round(4).tolist() for x in draws],
        "training [s]": fitted.history.seconds,
        "steps": fitted.history.steps,
        "describe": fitted.core.fitted.describe(),
    }
    if options.figures and options.part == "INN by MMD":
        latent_figure(fitted, labels, options.figures)
    return found


def judged(x, label):
    """Measure shares and outliers among draws of one label."""
    distance = np.linalg.norm(x[:, None] - MODES, axis=2)
    mine = np.flatnonzero(np.array(LABELS) == label)
    shares = np.bincount(distance.argmin(axis=1), minlength=len(MODES))[mine] / len(x)
    return {
        "share off by": float(np.abs(shares - 1 / len(mine)).max()),
        "beyond 4 sigma": float((distance[:, mine].min(axis=1) > 4 * SIGMA).mean()),
    }


def show(part, found):
    """Print the row of one method."""
    cells = "  ".join(
        f"{row['share off by']:6.3f} {row['beyond 4 sigma']:7.2%}" for row in found["labels"]
    )
    print(f"{part:20} {cells}  {found['steps']:8,} steps  {found['describe']}", flush=True)


def scatter(panels, everything, folder, name):
    """Draw the draws of several methods, a panel each, a colour a label."""
    rows = -(-len(panels) // 5)
    across = -(-len(panels) // rows)
    with style():
        figure = new_figure(DOUBLE_COLUMN_MM, DOUBLE_COLUMN_MM / across * rows + 8 * rows + 6)
        axes = np.atleast_1d(figure.subplots(rows, across, sharex=True, sharey=True)).ravel()
        for ax, panel in zip(axes, panels, strict=False):
            for label, points in enumerate(everything[panel]["points"]):
                ax.plot(*np.transpose(points), ".", color=COLOURS[label], ms=1.0, mew=0)
            title = re.sub(r"(L_\w)", r"$\1$", panel)
            ax.set(title=title, xlim=(-3.6, 3.6), ylim=(-3.6, 3.6), aspect="equal")
        for ax in axes[len(panels) :]:
            ax.set_axis_off()
        figure.supxlabel("$x_1$", fontsize="medium")
        figure.supylabel("$x_2$", fontsize="medium")
    save(figure, folder, name)


def latent_figure(fitted, labels, folder):
    """Draw which mode each point of the latent plane leads to, and how close to it (fig. 4.5)."""
    for name, y in zip(("four_modes", "two_modes"), labels, strict=False):
        x = fitted.latent_grid(y, GRID)["x"].values
        distance = np.linalg.norm(x[:, None] - MODES, axis=2)
        shape = (len(GRID), len(GRID))
        nearest = distance.argmin(axis=1).reshape(1, *shape)
        close = np.exp(-0.5 * (distance.min(axis=1) / (2 * SIGMA)) ** 2).reshape(shape)
        column = Column("mode", "mode", "mode closest to $x$", "", np.nan)
        figure = plot_latent(GRID, nearest, [column], closeness=close, width_mm=85)
        save(figure, folder, f"fig_4_5_{name}")


def save(figure, folder, name):
    folder.mkdir(parents=True, exist_ok=True)
    for ending in ("png", "pdf"):
        figure.savefig(folder / f"{name}.{ending}")


def main():
    options = parser(
        __doc__.splitlines()[0], METHODS, seconds=300, simulations=100_000
    ).parse_args()
    if not options.part:
        print(f"{DRAWS:,} draws a label; of each label: share of a mode off by, beyond 4 sigma")
    everything = run_all(options, run_one, show)
    if everything is None or not options.figures:
        return
    rng = np.random.default_rng(0)
    truth = [posterior(k).rvs(SHOWN, rng).tolist() for k in range(max(LABELS) + 1)]
    everything["truth"] = {"points": truth}
    for name, panels in (("fig_4_2", FIGURE_4_2), ("fig_4_4", FIGURE_4_4)):
        found = [panel for panel in panels if panel in everything]
        scatter(found, everything, options.figures, name)


if __name__ == "__main__":
    main()
