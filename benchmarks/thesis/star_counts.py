"""Star clusters in a cloud (dissertation, sec. 3.8.1, fig. 3.19), against exact enumeration.

    python benchmarks/thesis/star_counts.py [--seconds S] [--simulations N] [--saved FILE]
    python benchmarks/thesis/star_counts.py --table          the table of the results page
    python benchmarks/thesis/star_counts.py --figures docs/results/thesis     figure of the rows

At each of many test observations, drawn from the prior predictive distribution, the probability of
1, 2 and 3 clusters in 10,000 draws is compared with the exact one; of the three differences the
largest counts. Of the other parameters, for the cloud as a whole and given the number of clusters
that is most probable, the largest difference between the distribution functions of our draws and of
exact ones is given, and what other exact draws show by chance. And of clouds of which 1 and 2
clusters are both probable: how far the two modes in age are off.
"""

from __future__ import annotations

import time
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import scipy.stats as st
import torch
from kept import parser, trained
from sbi_inn.simulators import star_counts
from shared import Records, flat, headed

import sbi_inn as si

PROBLEM = "star_counts"
TESTS = 300  # clouds
DRAWS = 10_000  # of each
RECORDS = Records("thesis-star-counts", ("simulations", "seconds"))
EXAMPLE = Records("thesis-star-counts-example", ("cloud", "of", "clusters"))  # of the figure
BINS = 60  # of a histogram of the figure
NUMBERS = np.arange(1, star_counts.MOST + 1)
SMOOTH = ("mass", "sfe", "age")
SPANS = {"mass": (5.5, 6.5), "sfe": star_counts.SFE, "age": star_counts.AGE}
LABELS = {
    "mass": r"mass of the cloud [log $M_\odot$]",
    "sfe": "star formation efficiency",
    "age": "age of the first cluster [Myr]",
}
AMBIGUOUS = 0.25  # least probability of 1 and of 2 clusters
# Three clouds of the figure: their light without noise, with error bars of .06.
SHOWN = {
    "one young cluster": {"mass": 1e6, "sfe": 0.08, "age": 1.5, "clusters": 1},
    "one cluster of 7 Myr": {"mass": 1e6, "sfe": 0.1, "age": 7.0, "clusters": 1},
    "two clusters, 24 and 12 Myr": {"mass": 1e6, "sfe": 0.06, "age": 24.0, "clusters": 2},
}
SHOWN_ERROR = 0.06


def measured(posterior, options):
    """Compare draws with exact ones at test observations."""
    tests = si.simulate(PROBLEM, n=options.tests, seed=options.seed + 1, progress=False).dataset
    rng = np.random.default_rng(options.seed)
    wrong, gaps, floors, given_number, modes, ambiguous = [], [], [], [], [], 0
    seconds = 0.0
    for row in range(options.tests):
        y = {"luminosity": tests["luminosity"].values[row], "error": float(tests["error"][row])}
        started = time.perf_counter()
        found = {n: v.values for n, v in posterior.sample(y, DRAWS).data_vars.items()}
        seconds += time.perf_counter() - started
        exact = star_counts.posterior(y["luminosity"], y["error"])
        truth, other = exact.sample(DRAWS, rng), exact.sample(DRAWS, rng)
        shares = (found["clusters"][:, None] == NUMBERS).mean(axis=0)
        wrong.append(np.abs(shares - exact.probabilities))
        gaps.append([st.ks_2samp(found[n], truth[n]).statistic for n in SMOOTH])
        floors.append([st.ks_2samp(other[n], truth[n]).statistic for n in SMOOTH])
        best = NUMBERS[exact.probabilities.argmax()]
        ours, theirs = ({n: d[n][d["clusters"] == best] for n in SMOOTH} for d in (found, truth))
        given_number.append([st.ks_2samp(ours[n], theirs[n]).statistic for n in SMOOTH])
        if exact.probabilities[:2].min() > AMBIGUOUS:
            ambiguous += 1
            modes.append([mode_error(found, truth, number) for number in (1, 2)])
    largest = np.max(wrong, axis=1)
    return {
        "steps": posterior.history.steps,
        "training [s]": posterior.history.seconds,
        "tests": options.tests,
        "largest error of a probability, mean": float(largest.mean()),
        "median": float(np.median(largest)),
        "90 %": float(np.quantile(largest, 0.9)),
        "error by number": dict(
            zip(map(str, NUMBERS), np.mean(wrong, axis=0).tolist(), strict=True)
        ),
        "distribution functions": by_name(gaps),
        "of exact draws": by_name(floors),
        "given the number": by_name(given_number),
        "ambiguous": ambiguous,
        "modes of age, off by [sd]": np.mean(modes, axis=0).tolist(),
        "seconds a posterior": seconds / options.tests,
    }


def mode_error(found, truth, number):
    """Say by how many of its standard deviations the median age given a number is off."""
    ours, theirs = (d["age"][d["clusters"] == number] for d in (found, truth))
    return abs(np.median(ours) - np.median(theirs)) / theirs.std()


def by_name(rows):
    """Average over observations, by parameter."""
    return dict(zip(SMOOTH, np.mean(rows, axis=0).tolist(), strict=True))


def table(rows):
    """Make the table of the page, a column for each run."""
    if rows.empty:
        return ""
    numbers = rows.select_dtypes("number").drop(columns=["cores", "threads", "seed"])
    lines = [
        {"": name} | {f"seed {s}": f"{v:.4g}" for s, v in zip(rows["seed"], values, strict=True)}
        for name, values in numbers.items()
    ]
    return headed(rows, pd.DataFrame(lines), f"{DRAWS:,} draws of each cloud.")


def example(posterior, seed):
    """Sum up marginals, and parts by the number of clusters, of three clouds: a row a histogram."""
    rng, rows = np.random.default_rng(seed), []
    for title, cloud in SHOWN.items():
        light = star_counts.log_luminosities(**cloud)[0]
        draws = posterior.sample({"luminosity": light, "error": SHOWN_ERROR}, 20_000)
        exact = star_counts.posterior(light, SHOWN_ERROR)
        known = exact.sample(200_000, rng)
        number = draws["clusters"].values
        for name in SMOOTH:
            values = on_axis(name, draws[name].values)
            for clusters in (0, 1, 2):  # 0: whatever their number
                part = values[number == clusters] if clusters else values
                rows.append(histogram(title, name, clusters, part, len(values)))
            rows.append(histogram(title, f"exact {name}", 0, on_axis(name, known[name]), None))
        shares = {str(k): float((number == k).mean()) for k in NUMBERS}
        rows.append({"cloud": title, "of": "number", "clusters": 0} | shares)
        true = dict(zip(map(str, NUMBERS), exact.probabilities.tolist(), strict=True))
        rows.append({"cloud": title, "of": "exact number", "clusters": 0} | true)
    return rows


def on_axis(name, values):
    return np.log10(values) if name == "mass" else values


def histogram(cloud, name, clusters, values, of):
    """Give the density of a part of the draws in the bins of the figure."""
    span = SPANS[name.removeprefix("exact ")]
    counts, edges = np.histogram(values, BINS, span)
    heights = counts / (of or len(values)) / (edges[1] - edges[0])
    cells = {str(i): round(float(h), 5) for i, h in enumerate(heights)}
    return {"cloud": cloud, "of": name, "clusters": clusters} | cells


def draw_figure(rows, folder):
    """Draw marginals, and split by the number of clusters, of three clouds, as in fig. 3.19."""
    folder.mkdir(parents=True, exist_ok=True)
    problem = si.get(PROBLEM)
    rows = rows.set_index(["cloud", "of", "clusters"]).sort_index()
    bins, numbers = [str(i) for i in range(BINS)], [str(k) for k in NUMBERS]
    figure, axes = plt.subplots(4, 3, figsize=(9, 8.5), layout="constrained", sharex="row")
    for column, (title, cloud) in zip(axes.T, SHOWN.items(), strict=True):
        column[0].set_title(title)
        for ax, name in zip(column, SMOOTH, strict=False):
            edges = np.linspace(*SPANS[name], BINS + 1)
            heights = [rows.loc[(title, name, k), bins].to_numpy(float) for k in (0, 1, 2)]
            ax.stairs(heights[0], edges, fill=True, color="0.85")
            for k, colour in zip((1, 2), ("tab:blue", "tab:red"), strict=True):
                label = f"{k} cluster{'s' * (k > 1)}"
                ax.stairs(heights[k], edges, color=colour, label=label)
            exact = rows.loc[(title, f"exact {name}", 0), bins].to_numpy(float)
            ax.stairs(exact, edges, color="black", lw=0.7, label="exact, all")
            ax.axvline(on_axis(name, cloud[name]), color="black", lw=0.8, ls="--")
            ax.set(xlabel=LABELS[name], yticks=[])
        shares, true = (rows.loc[(title, n, 0), numbers] for n in ("number", "exact number"))
        column[3].bar(NUMBERS, shares, 0.8, color=["tab:blue", "tab:red", "0.6"])
        column[3].plot(NUMBERS, true, "k_", ms=25, label="exact")
        column[3].axvline(cloud["clusters"], color="black", lw=0.8, ls="--")
        column[3].set(xlabel=problem.labels["clusters"], xticks=NUMBERS, ylim=(0, 1))
    for ax in axes[:, 0]:
        ax.set_ylabel("probability" if ax is axes[3, 0] else "density")
    axes[0, 0].legend(fontsize="small")
    axes[3, 0].legend(fontsize="small")
    figure.savefig(folder / "star_counts.png", dpi=150)


def main():
    """Train, measure, keep the rows and print."""
    made = parser(__doc__, seconds=900.0, simulations=200_000, tests=TESTS)
    options = made.parse_args()
    records, shown = (replace(r, folder=options.out) for r in (RECORDS, EXAMPLE))
    if options.figures:
        draw_figure(shown.read(), options.figures)
        return
    if not options.table:
        posterior = trained(PROBLEM, options)
        where = {"seed": options.seed, "threads": torch.get_num_threads()}
        about = {"simulations": options.simulations, "seconds": options.seconds}
        records.add([about | flat(measured(posterior, options))], **where)
        shown.add(example(posterior, options.seed), **where)
    print(table(records.read()))


if __name__ == "__main__":
    main()
