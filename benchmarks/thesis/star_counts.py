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

import time

import numpy as np
import scipy.stats as st
from sbi_inn.simulators import star_counts

import sbi_inn as si

PROBLEM = "star_counts"
TESTS, DRAWS, TARGET = 300, 10_000, 0.02
NUMBERS = np.arange(1, star_counts.MOST + 1)
SMOOTH = ("mass", "sfe", "age")
AMBIGUOUS = 0.25  # least probability of 1 and of 2 clusters


def trained(options):
    """Train the network, or load it where it was saved."""
    if options.saved and options.saved.exists():
        return si.load_posterior(options.saved)
    training = si.Training(epochs=10**6, max_seconds=options.seconds, early_stopping=False)
    posterior = si.fit_posterior(
        PROBLEM,
        n_simulations=options.simulations,
        training=training,
        seed=options.seed,
        progress=False,
    )
    if options.saved:
        posterior.save(options.saved)
    return posterior


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
