"""Accuracy, time and memory of the defaults on four problems with known answers.

    python benchmarks/first_light.py            three seeds, all problems
    python benchmarks/first_light.py --only arm_10k two_moons --seeds 1
    python benchmarks/first_light.py --table    the table of the results page

Each problem and seed runs in a process of its own, so that its peak memory is its own too.
Re-simulation error and calibration error as in L. Ardizzone's dissertation, sec. 4.2.2; C2ST as in
Lueckmann et al. 2021.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from functools import partial
from time import perf_counter

import numpy as np
import pandas as pd
from parts import Benchmark, main
from records import SPREAD, Records, headed, spread

OF_TESTS = 10_000  # added to the seed: simulations that no training has seen


def arm(n_simulations, seed):
    """Robot arm: 5,000 test observations, 1,000 draws each."""
    from batches import drawn, landed

    import sbi_inn as si
    from sbi_inn.checks import Calibration

    posterior = si.fit_posterior(
        "inverse_kinematics", n_simulations=n_simulations, seed=seed, progress=False
    )
    memory, problem = peak_gigabytes(), si.get("inverse_kinematics")
    tests = si.simulate(problem, n=5_000, seed=seed + OF_TESTS, progress=False)
    truth, observations = tests.prior.flatten(tests.parameters()), tests.observations()
    places, errors = [], []
    rng = np.random.default_rng(seed)
    for here, draws, placed in drawn(posterior, truth, observations, 1_000, rng):
        places.append(placed)
        errors.append(landed(problem, draws, observations[here]).ravel())
    calibration = Calibration(np.concatenate(places), posterior.prior.columns)
    errors = np.concatenate(errors)
    each = calibration.table["calibration_error"]
    return {
        "re-simulation error, mean [m]": errors.mean(),
        "re-simulation error, median [m]": np.median(errors),
        "calibration error": calibration.found.pooled,
        **{
            f"calibration error of {n}": e
            for n, e in zip(posterior.prior.columns, each, strict=True)
        },
        "calibration error of an exact posterior, median": calibration.floor.pooled[0],
        "training [s]": posterior.history.seconds,
        "steps": posterior.history.steps,
        "peak memory [GB]": memory,
    }


def gaussian_linear(seed):
    """C2ST against the analytic posterior, 5,000 draws a side, mean over 5 observations."""
    from sbi_inn.simulators.gaussian_linear import posterior as exact

    import sbi_inn as si
    from sbi_inn.diagnostics.two_samples import c2st

    started = perf_counter()
    posterior = si.fit_posterior("gaussian_linear", n_simulations=10_000, seed=seed, progress=False)
    seconds = perf_counter() - started
    rng = np.random.default_rng(seed)
    tests = si.simulate("gaussian_linear", n=5, seed=seed + OF_TESTS, progress=False)
    observations = tests.observations()
    found = []
    for row in range(5):
        y = posterior.schema.unstack(observations, row)
        mean, covariance = exact(y["y"])
        draws = posterior.sample(y, 5000)["theta"].values
        found.append(c2st(rng.multivariate_normal(mean, covariance, 5000), draws, rng=rng))
    return {
        "C2ST, mean of 5": np.mean(found),
        "C2ST, largest": np.max(found),
        "simulation and training [s]": seconds,
        "training [s]": posterior.history.seconds,
    }


def normal_sample(seed):
    """One network for sets of 5, 50 and 500: 200 observations each, 10,000 draws."""
    from sbi_inn.simulators.normal_sample import posterior as exact

    import sbi_inn as si

    posterior = si.fit_posterior("normal_sample", n_simulations=100_000, seed=seed, progress=False)
    found = {"training [s]": posterior.history.seconds, "peak memory [GB]": peak_gigabytes()}
    rng = np.random.default_rng(seed)
    for n in (5, 50, 500):
        parameters = posterior.prior.sample(200, rng)
        shifts, ratios, sigmas = [], [], []
        for mu, sigma in zip(parameters["mu"], parameters["sigma"], strict=True):
            y = rng.normal(mu, sigma, n)
            laws, draws = exact(y), posterior.sample(y, 10_000)
            shifts.append(abs(draws["mu"].values.mean() - laws["mu"].mean()) / laws["mu"].std())
            ratios.append(draws["mu"].values.std() / laws["mu"].std())
            sigmas.append(draws["sigma"].values.std() / laws["sigma"].std())
        found[f"n = {n}: |error of the mean of mu| [sd]"] = np.mean(shifts)
        found[f"n = {n}: sd ratio of mu"] = np.mean(ratios)
        found[f"n = {n}: sd ratio of sigma"] = np.median(sigmas)
    return found


def two_moons(seed):
    """Normalisation and support of the density; density against a histogram of draws."""
    import sbi_inn as si

    posterior = si.fit_posterior("two_moons", n_simulations=10_000, seed=seed, progress=False)
    y = np.zeros(2)
    edges = np.linspace(-1, 1, 1001)
    centres = (edges[1:] + edges[:-1]) / 2
    one, two = (g.ravel() for g in np.meshgrid(centres, centres, indexing="ij"))
    density = np.exp(posterior.log_prob({"theta1": one, "theta2": two}, y).values)
    outside = posterior.log_prob({"theta1": [1.0001, 0.0], "theta2": [0.0, -1.5]}, y).values
    draws = posterior.sample(y, 1_000_000)
    points = [draws[name].values for name in ("theta1", "theta2")]
    left = sum(int((np.abs(p) > 1).sum()) for p in points)
    share = np.histogram2d(*points, bins=40, range=[(-1, 1)] * 2)[0] / 1e6
    mass = density.reshape(40, 25, 40, 25).sum(axis=(1, 3)) * 4e-6
    return {
        "integral of the density over the box": density.sum() * 4e-6,
        "log density outside": outside.max(),
        "of 1,000,000 draws, outside": left,
        "largest gap between mass and histogram, 40 x 40 cells": np.abs(share - mass).max(),
        "training [s]": posterior.history.seconds,
    }


def speed(seed):
    """Drawing 10,000, and importing: medians of 5, warm."""
    import sbi_inn as si

    posterior = si.fit_posterior(
        "inverse_kinematics",
        n_simulations=100_000,
        training=si.Training(epochs=1),
        seed=seed,
        progress=False,
    )
    y = {"across": 1.6, "up": 0.1}
    posterior.sample(y, 10_000)
    drawing = [timed(lambda: posterior.sample(y, 10_000)) for _ in range(5)]
    check = "import sbi_inn, sys; assert 'torch' not in sys.modules"
    command = [sys.executable, "-c", check]
    bare = [sys.executable, "-c", "pass"]
    importing = [timed(lambda: subprocess.run(command, check=True)) for _ in range(5)]
    starting = [timed(lambda: subprocess.run(bare, check=True)) for _ in range(5)]
    fitting = "from sbi_inn import fit_posterior"
    loading = [
        timed(lambda: subprocess.run([sys.executable, "-c", fitting], check=True)) for _ in range(5)
    ]
    return {
        "sample(y, 10_000) [s]": np.median(drawing),
        "import sbi_inn, without torch [s]": np.median(importing) - np.median(starting),
        "from sbi_inn import fit_posterior [s]": np.median(loading) - np.median(starting),
    }


SECTIONS = {
    "arm_100k": partial(arm, 100_000),
    "arm_10k": partial(arm, 10_000),
    "gaussian_linear": gaussian_linear,
    "normal_sample": normal_sample,
    "two_moons": two_moons,
    "speed": speed,
}


def timed(call):
    started = perf_counter()
    call()
    return perf_counter() - started


def peak_gigabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def measure(options):
    """Run one section: a row of each number."""
    found = SECTIONS[options.part](options.seed)
    return [{"measured": name, "value": float(value)} for name, value in found.items()]


def table(rows):
    """Make the table of the page: medians over seeds, with the smallest and the largest."""
    if rows.empty:
        return ""
    lines = []
    for (problem, measured), here in rows.groupby(["problem", "measured"], sort=False):
        form = "{:.2%}" if measured.startswith("calibration") else "{:.4g}"
        cells = {"problem": problem, "measured": measured, "value": spread(here["value"], form)}
        lines.append(cells)
    return headed(rows, pd.DataFrame(lines), SPREAD)


BENCHMARK = Benchmark(
    Records("first-light", ("problem", "measured")),
    parts=list(SECTIONS),
    measure=measure,
    table=table,
)

if __name__ == "__main__":
    main(BENCHMARK, __doc__)
