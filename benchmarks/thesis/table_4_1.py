"""Table 4.1 of L. Ardizzone's dissertation, with seven methods on the same simulations.

    python benchmarks/thesis/table_4_1.py                       three seeds, 120 s for each training
    python benchmarks/thesis/table_4_1.py --seconds 600 --only cINN cVAE
    python benchmarks/thesis/table_4_1.py --table               the table of the results page

Inverse kinematics: re-simulation error |s(x) - y| over all draws of all test observations, and the
calibration error (sec. 4.2.2), for rejection ABC, the bidirectional INN by mean discrepancies and
by likelihood, the cINN, cVAE, cVAE-IAF and a dropout network. All train on the same simulations
with default settings, one after the other, and each has all cores for the same time. Of the INNs
also the network's own draws, as in the dissertation, at exactly the observation.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from competitors import CVAE, Dropout
from scipy.spatial import KDTree
from shared import (
    SPREAD,
    Benchmark,
    Records,
    drawn,
    fitted,
    headed,
    landed,
    main,
    spread,
    with_fitted,
)

import sbi_inn as si
from sbi_inn.diagnostics.calibration import calibration_error, calibration_floor

PROBLEM = "inverse_kinematics"
DRAWS = 200  # for each test
QUANTILE = 0.005  # of the simulations, that ABC keeps
METHODS = {
    "ABC": None,
    "INN by MMD": si.INN(loss="mmd"),
    "INN by likelihood": si.INN(loss="likelihood"),
    "cINN": si.CINN(),
    "cVAE": CVAE(),
    "cVAE-IAF": CVAE(iaf=True),
    "dropout": Dropout(),
}


def run_one(options):
    """Train one method and measure its draws, a row for each way to draw."""
    method = METHODS[options.part]
    if method is None:
        return [{"draws": "nearest simulations"} | measured(abc(options), options)]
    training = si.Training(epochs=10**6, max_seconds=options.seconds, early_stopping=False)
    posterior = si.fit_posterior(
        PROBLEM,
        n_simulations=options.simulations,
        method=method,
        training=training,
        seed=options.seed,
        progress=False,
    )
    about = {
        "training [s]": posterior.history.seconds,
        "steps": posterior.history.steps,
        "network": fitted(posterior).describe(),
    }
    ways = {"as drawn": posterior}
    if isinstance(method, si.INN):
        about["forward error [sd]"] = float(posterior.emulation.errors["relative"].max())
        ways = {
            "weighed by the prior, at y": posterior.at_tolerance(0.0),
            "weighed by the prior": posterior,
            "the network's own, at y": own_draws(posterior),
        }
    return [{"draws": name} | measured(p, options) | about for name, p in ways.items()]


def own_draws(posterior):
    """Give the posterior whose draws are the network's own, at exactly the observation."""
    settings = replace(posterior.settings, candidates=1, tolerance=0.0)
    plain = replace(fitted(posterior), settings=settings)
    return with_fitted(posterior, plain)


def abc(options):
    """Draw by rejection: the closest .005 of the simulations, each observable over its spread."""
    table = si.simulate(PROBLEM, n=options.simulations, seed=options.seed, progress=False)
    flat, rows = table.prior.flatten(table.parameters()), table.observations().vector
    scale = 1.4826 * np.median(np.abs(rows - np.median(rows, axis=0)), axis=0)
    tree, keep = KDTree(rows / scale), round(QUANTILE * len(rows))

    def draw(observations, n, rng):
        _, nearest = tree.query(observations.vector / scale, keep)
        chosen = rng.permuted(nearest, axis=1)[:, :n]
        return flat[chosen]

    return draw


def measured(source, options):
    """Measure re-simulation and calibration error over the test observations."""
    # Other simulations than any method has seen: a seed of their own.
    tests = si.simulate(PROBLEM, n=options.tests, seed=options.seed + 10_000, progress=False)
    problem, rng = si.get(PROBLEM), np.random.default_rng(options.seed)
    truth, observations = problem.prior.flatten(tests.parameters()), tests.observations()
    places, errors = [], []
    for here, draws, placed in drawn(source, truth, observations, DRAWS, rng):
        places.append(placed)
        errors.append(landed(problem, draws, observations[here]).ravel())
    found, errors = calibration_error(np.concatenate(places)), np.concatenate(errors)
    return {
        "mean": float(errors.mean()),
        "median": float(np.median(errors)),
        "calibration": found.pooled,
        "worst parameter": float(found.per_parameter.max()),
    }


def table(rows):
    """Make the table of the page: medians over seeds, with the smallest and the largest."""
    if rows.empty:
        return ""
    lines = []
    order = dict.fromkeys(zip(rows["method"], rows["draws"], strict=True))
    known = list(METHODS)
    for method, draws in sorted(order, key=lambda pair: known.index(pair[0])):
        here = rows[(rows["method"] == method) & (rows["draws"] == draws)]
        lines.append(
            {
                "method": method,
                "draws": draws,
                "re-simulation error, mean [m]": spread(here["mean"], "{:.4f}"),
                "median [m]": spread(here["median"], "{:.4f}"),
                "calibration error": spread(here["calibration"], "{:.2%}"),
                "worst parameter": spread(here["worst parameter"], "{:.2%}"),
                "steps": spread(here["steps"], "{:,.0f}"),
            }
        )
    floor = calibration_floor(int(rows["tests"].max()), 4, rng=np.random.default_rng(0)).pooled[0]
    trained = f"{rows['seconds'].max():g} s of training for each method."
    exact = f"An exact posterior shows a calibration error of {floor:.2%} by chance."
    return headed(rows, pd.DataFrame(lines), trained, SPREAD, exact)


BENCHMARK = Benchmark(
    Records("thesis-table-4-1", ("method", "simulations", "seconds", "tests", "draws")),
    parts=list(METHODS),
    measure=run_one,
    table=table,
    settings={"simulations": 100_000, "seconds": 120.0, "tests": 5_000},
)

if __name__ == "__main__":
    main(BENCHMARK, __doc__)
