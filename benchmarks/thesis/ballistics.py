"""Inverse ballistics (Kruse et al. 2021): posteriors against rejection ABC, and re-simulation.

    python benchmarks/thesis/ballistics.py                      three seeds, 60 s for each training
    python benchmarks/thesis/ballistics.py --table              the table of the results page

All methods train on the same simulations with default settings, one after the other, and each has
all cores for the same time. For each the squared MMD (unbiased, inverse multiquadratic kernel of
widths .2, 1 and 5, on the prior's N(0, I) side) between its draws and those of rejection ABC with a
quantile of 1e-4 of two million simulations, averaged over test observations; and the re-simulation
error. What ABC reaches against other ABC draws is the floor. Draws of the INNs are weighed by the
prior.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from competitors import CVAE
from shared import SPREAD, Benchmark, Records, draw, fitted, headed, main, spread

import sbi_inn as si
from sbi_inn.diagnostics.two_samples import mmd

PROBLEM = "inverse_ballistics"
SIMULATIONS = 2_000_000  # of ABC
KEPT = 200  # of them, the nearest
TESTS = 100  # observations
WIDTHS = (0.2, 1.0, 5.0)  # of the kernel
METHODS = {
    "ABC": None,
    "INN by MMD": si.INN(loss="mmd"),
    "INN by likelihood": si.INN(loss="likelihood"),
    "cINN": si.CINN(),
    "cVAE": CVAE(),
}


def run_one(options):
    """Train one method and compare its draws with those of ABC."""
    table = si.simulate(PROBLEM, n=SIMULATIONS, seed=options.seed + 1, progress=False)
    tests = si.simulate(PROBLEM, n=TESTS, seed=options.seed + 2, progress=False)
    reference = Rejection(table)
    if METHODS[options.part] is None:
        again = si.simulate(PROBLEM, n=SIMULATIONS, seed=options.seed + 3, progress=False)
        return [measured(Rejection(again).draw, reference, tests)]
    training = si.Training(epochs=10**6, max_seconds=options.seconds, early_stopping=False)
    posterior = si.fit_posterior(
        PROBLEM,
        n_simulations=options.simulations,
        method=METHODS[options.part],
        training=training,
        seed=options.seed,
        progress=False,
    )
    rng = np.random.default_rng(options.seed)

    def drawn(observation):
        return draw(posterior, observation, KEPT, rng)[0]

    found = measured(drawn, reference, tests)
    history = posterior.history
    about = {"training [s]": history.seconds, "steps": history.steps}
    return [found | about | {"network": fitted(posterior).describe()}]


class Rejection:
    """Rejection ABC: the nearest of a table of simulations, in order of what was observed."""

    def __init__(self, table):
        seen = table.observations().vector[:, 0]
        order = np.argsort(seen)
        self.seen, self.flat = seen[order], table.prior.flatten(table.parameters())[order]

    def draw(self, observation):
        """Give the nearest `KEPT` parameters, shape (KEPT, 4)."""
        y = observation.vector[0, 0]
        middle = int(np.clip(np.searchsorted(self.seen, y), KEPT, len(self.seen) - KEPT))
        around = np.arange(middle - KEPT, middle + KEPT)
        nearest = around[np.argsort(np.abs(self.seen[around] - y))[:KEPT]]
        return self.flat[nearest]


def measured(drawn, reference, tests):
    """Measure MMD and re-simulation error over the test observations."""
    problem, observations = si.get(PROBLEM), tests.observations()
    found, errors = [], []

    def latent(flat):
        return problem.prior.to_latent(problem.prior.unflatten(flat))

    for row in range(TESTS):
        observation = observations[[row]]
        flat = drawn(observation)
        exact = latent(reference.draw(observation))
        found.append(mmd(exact, latent(flat), widths=WIDTHS))
        again = problem.simulator(**problem.prior.unflatten(flat))["impact"]
        errors.append(np.abs(again - observation.vector[0, 0]))
    return {
        "mmd": float(np.mean(found)),
        "mmd error": float(np.std(found) / np.sqrt(TESTS)),
        "mean": float(np.mean(errors)),
        "median": float(np.median(errors)),
    }


def table(rows):
    """Make the table of the page: medians over seeds, with the smallest and the largest."""
    if rows.empty:
        return ""
    lines = [
        {
            "method": method,
            "MMD^2 from ABC, times 1,000": spread(here["mmd"] * 1e3, "{:.2f}"),
            "its standard error": f"{here['mmd error'].median() * 1e3:.2f}",
            "re-simulation error, mean [m]": spread(here["mean"], "{:.4f}"),
            "median [m]": spread(here["median"], "{:.4f}"),
            "steps": spread(here.get("steps", []), "{:,.0f}"),
        }
        for method in METHODS
        if len(here := rows[rows["method"] == method])
    ]
    trained = f"{rows['seconds'].max():g} s of training for each method."
    tests = f"{TESTS} observations, {KEPT} draws each."
    return headed(rows, pd.DataFrame(lines), trained, tests, SPREAD)


BENCHMARK = Benchmark(
    Records("thesis-ballistics", ("method", "simulations", "seconds")),
    parts=list(METHODS),
    measure=run_one,
    table=table,
    settings={"simulations": 100_000, "seconds": 60.0},
)

if __name__ == "__main__":
    main(BENCHMARK, __doc__)
