"""Inverse ballistics (Kruse et al. 2021): posteriors against rejection ABC, and re-simulation.

    python benchmarks/thesis/ballistics.py [--only NAME ...] [--seconds S] [--json FILE]

For each method the squared MMD (unbiased, inverse multiquadratic kernel of widths .2, 1 and 5, on
the prior's N(0, I) side) between its draws and those of rejection ABC with a quantile of 1e-4 of
two million simulations, averaged over test observations; and the re-simulation error. What ABC
reaches against other ABC draws is the floor.
"""

from __future__ import annotations

import numpy as np
from competitors import CVAE
from jobs import parser, run_all

import sbi_inn as si
from sbi_inn.diagnostics.two_samples import mmd

PROBLEM = "inverse_ballistics"
SIMULATIONS, KEPT = 2_000_000, 200  # of ABC
TESTS, WIDTHS = 100, (0.2, 1.0, 5.0)
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
        return measured(Rejection(again).draw, reference, tests)
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

    def draw(observation):
        return posterior.core.draw(observation, KEPT, rng)[0]

    found = measured(draw, reference, tests)
    return found | {"steps": posterior.history.steps, "describe": posterior.core.fitted.describe()}


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


def measured(draw, reference, tests):
    """Measure MMD and re-simulation error over the test observations."""
    problem, observations = si.get(PROBLEM), tests.observations()
    found, errors = [], []

    def latent(flat):
        return problem.prior.to_latent(problem.prior.unflatten(flat))

    for row in range(TESTS):
        observation = observations[[row]]
        flat = draw(observation)
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


def show(part, found):
    """Print the row of one method."""
    print(
        f"{part:20} {found['mmd']:10.5f} +- {found['mmd error']:.5f} {found['mean']:10.4f} "
        f"{found['median']:10.4f} {found.get('steps', 0):9,}  {found.get('describe', '')}",
        flush=True,
    )


def main():
    options = parser(
        __doc__.splitlines()[0], METHODS, seconds=300, simulations=100_000
    ).parse_args()
    if not options.part:
        print(f"{TESTS} observations, {KEPT} draws each; impact in m")
        print(
            f"{'method':20} {'MMD^2':>10} {'':10} {'re-sim. mean':>10} {'median':>10} {'steps':>9}"
        )
    run_all(options, run_one, show)


if __name__ == "__main__":
    main()
