"""Table 4.1 of L. Ardizzone's dissertation, with seven methods on the same simulations.

    python benchmarks/thesis/table_4_1.py [--only NAME ...] [--seconds S] [--json FILE]

Inverse kinematics: re-simulation error |s(x) - y| over all draws of all test observations, and the
calibration error (sec. 4.2.2), for rejection ABC, the bidirectional INN by mean discrepancies and
by likelihood, the cINN, cVAE, cVAE-IAF and a dropout network. All train on the same simulations,
for the same time, on one thread each, two at a time. Of the INNs also the draws as in the
dissertation: the network's own, at exactly the observation.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from batches import drawn
from competitors import CVAE, Dropout
from jobs import parser, run_all
from scipy.spatial import KDTree

import sbi_inn as si
from sbi_inn.diagnostics.calibration import calibration_error, calibration_floor

PROBLEM = "inverse_kinematics"
TESTS, DRAWS = 5_000, 200
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
    """Train one method and measure its draws."""
    method = METHODS[options.part]
    if method is None:
        return {"draws": measured(abc(options), options)}
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
        "describe": posterior.core.fitted.describe(),
        "training [s]": posterior.history.seconds,
        "steps": posterior.history.steps,
    }
    if not isinstance(method, si.INN):
        return {"about": about, "draws": measured(posterior.core.draw, options)}
    error = posterior.emulation.errors["relative"].max()
    return {
        "about": about | {"emulator, largest error [sd of the observable]": float(error)},
        "own draws at y": measured(own_draws(posterior).draw, options),
        "weighted draws at y": measured(posterior.at_tolerance(0.0).draw, options),
        "weighted draws": measured(posterior.core.draw, options),
    }


def own_draws(posterior):
    """Give the posterior whose draws are the network's own, at exactly the observation."""
    settings = replace(posterior.settings, candidates=1, tolerance=0.0)
    fitted = replace(posterior.core.fitted, settings=settings)
    return si.Posterior(replace(posterior.core, fitted=fitted))


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


def measured(draw, options):
    """Measure re-simulation and calibration error over the test observations."""
    # Other simulations than any method has seen: a seed of their own.
    tests = si.simulate(PROBLEM, n=TESTS, seed=options.seed + 10_000, progress=False)
    problem, rng = si.get(PROBLEM), np.random.default_rng(options.seed)
    truth, observations = problem.prior.flatten(tests.parameters()), tests.observations()
    places, errors = [], []
    for here, draws, placed in drawn(draw, truth, observations, DRAWS, rng):
        places.append(placed)
        again = problem.simulator(**problem.prior.unflatten(draws.reshape(-1, draws.shape[2])))
        again = np.stack(list(again.values()), axis=1).reshape(*draws.shape[:2], -1)
        gap = again - observations.vector[here, None]
        errors.append(np.linalg.norm(gap, axis=2).ravel())
    found, errors = calibration_error(np.concatenate(places)), np.concatenate(errors)
    return {
        "mean": float(errors.mean()),
        "median": float(np.median(errors)),
        "calibration": found.pooled,
        "worst parameter": float(found.per_parameter.max()),
    }


def show(part, found):
    """Print the rows of one method."""
    about = found.pop("about", {})
    for how, row in found.items():
        name = part if how == "draws" else f"{part}, {how}"
        print(
            f"{name:40} {row['mean']:8.4f} {row['median']:8.4f} {row['calibration']:8.2%} "
            f"{row['worst parameter']:8.2%}  {about.get('training [s]', 0):6.0f} s "
            f"{about.get('steps', 0):7,} steps",
            flush=True,
        )
    if about:
        print(f"    {about}", flush=True)
    found["about"] = about


def main():
    options = parser(
        __doc__.splitlines()[0], METHODS, seconds=600, simulations=100_000
    ).parse_args()
    if not options.part:
        floor = calibration_floor(TESTS, 4, rng=np.random.default_rng(0)).pooled
        print(f"{TESTS:,} observations, {DRAWS} draws each; an exact posterior: {floor[0]:.2%}")
        print(f"{'method':40} {'mean':>8} {'median':>8} {'calibr.':>8} {'worst':>8}")
    run_all(options, run_one, show)


if __name__ == "__main__":
    main()
