"""Star clusters in a cloud (dissertation, sec. 3.8.1, fig. 3.19), against exact enumeration.

    python benchmarks/thesis/star_counts.py [--seconds S] [--simulations N] [--saved FILE]
                                            [--json FILE] [--figures FOLDER]

At each of many test observations, drawn from the prior predictive distribution, the probability of
1, 2 and 3 clusters in 10,000 draws is compared with the exact one; of the three differences the
largest counts. Of the other parameters, for the cloud as a whole and given the number of clusters
that is most probable, the largest difference between the distribution functions of our draws and of
exact ones is given, and what other exact draws show by chance. And of clouds of which 1 and 2
clusters are both probable: how far the two modes in age are off.
"""

from __future__ import annotations

import json
import time

import matplotlib.pyplot as plt
import numpy as np
import scipy.stats as st
from kept import parser, trained
from sbi_inn.simulators import star_counts

import sbi_inn as si

PROBLEM = "star_counts"
TESTS, DRAWS, TARGET = 300, 10_000, 0.02
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


def show(found):
    """Print what was found."""
    print(
        f"largest error of a probability: mean {found['largest error of a probability, mean']:.4f}"
        f", median {found['median']:.4f}, 90 % {found['90 %']:.4f} (target: {TARGET})"
    )
    print(f"by number of clusters: {rounded(found['error by number'])}")
    print(
        f"largest difference of distribution functions: {rounded(found['distribution functions'])}"
    )
    print(f"  of other exact draws: {rounded(found['of exact draws'])}")
    print(f"  given the number:     {rounded(found['given the number'])}")
    young, old = found["modes of age, off by [sd]"]
    print(
        f"{found['ambiguous']} clouds with both 1 and 2 clusters probable: the medians of their "
        f"two ages are off by {young:.3f} and {old:.3f} sd"
    )
    print(f"{found['seconds a posterior']:.2f} s for {DRAWS:,} draws")


def rounded(values):
    """Write a dict of numbers."""
    return ", ".join(f"{name} {value:.4f}" for name, value in values.items())


def draw_figure(posterior, folder, seed):
    """Draw marginals, and split by the number of clusters, of three clouds, as in fig. 3.19."""
    folder.mkdir(parents=True, exist_ok=True)
    problem = si.get(PROBLEM)
    rng = np.random.default_rng(seed)
    figure, axes = plt.subplots(4, 3, figsize=(9, 8.5), layout="constrained", sharex="row")
    for column, (title, cloud) in zip(axes.T, SHOWN.items(), strict=True):
        light = star_counts.log_luminosities(**cloud)[0]
        draws = posterior.sample({"luminosity": light, "error": SHOWN_ERROR}, 20_000)
        exact = star_counts.posterior(light, SHOWN_ERROR).sample(200_000, rng)
        column[0].set_title(title)
        number = draws["clusters"].values
        for ax, name in zip(column, SMOOTH, strict=False):
            values, true = draws[name].values, exact[name]
            if name == "mass":
                values, true = np.log10(values), np.log10(true)
            bins = np.linspace(*SPANS[name], 61)
            width, n = bins[1] - bins[0], len(values)
            ax.hist(values, bins, weights=np.full(n, 1 / n / width), color="0.85")
            for k, colour in zip((1, 2), ("tab:blue", "tab:red"), strict=True):
                part = values[number == k]
                ax.hist(
                    part,
                    bins,
                    weights=np.full(len(part), 1 / n / width),
                    histtype="step",
                    color=colour,
                    label=f"{k} cluster{'s' * (k > 1)}",
                )
            height, _ = np.histogram(true, bins, density=True)
            ax.stairs(height, bins, color="black", lw=0.7, label="exact, all")
            truth = cloud[name]
            ax.axvline(np.log10(truth) if name == "mass" else truth, color="black", lw=0.8, ls="--")
            ax.set(xlabel=LABELS[name], yticks=[])
        shares = [(number == k).mean() for k in NUMBERS]
        column[3].bar(NUMBERS, shares, 0.8, color=["tab:blue", "tab:red", "0.6"])
        true = star_counts.posterior(light, SHOWN_ERROR).probabilities
        column[3].plot(NUMBERS, true, "k_", ms=25, label="exact")
        column[3].axvline(cloud["clusters"], color="black", lw=0.8, ls="--")
        column[3].set(xlabel=problem.labels["clusters"], xticks=NUMBERS, ylim=(0, 1))
    for ax in axes[:, 0]:
        ax.set_ylabel("probability" if ax is axes[3, 0] else "density")
    axes[0, 0].legend(fontsize="small")
    axes[3, 0].legend(fontsize="small")
    figure.savefig(folder / "star_counts.png", dpi=150)


def main():
    """Train, measure and print."""
    made = parser(__doc__.splitlines()[0], seconds=900, simulations=200_000, tests=TESTS)
    options = made.parse_args()
    posterior = trained(PROBLEM, options)
    found = measured(posterior, options)
    show(found)
    if options.figures:
        draw_figure(posterior, options.figures, options.seed)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
