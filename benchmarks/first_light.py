"""Accuracy, time and memory of the defaults on four problems with known answers.

    python benchmarks/first_light.py [--only NAME ...] [--json FILE]

Each section runs in a process of its own, so that its peak memory is its own too. Targets stand
beside what was measured. METHODS: re-simulation error and calibration error as in L. Ardizzone's
dissertation, sec. 4.2.2; C2ST as in Lueckmann et al. 2021.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np

SEED = 1


def arm(n_simulations):
    """Robot arm: 5,000 test observations, 1,000 draws each."""
    import sbi_inn as si
    from sbi_inn.checks import Calibration
    from sbi_inn.diagnostics.calibration import ranks

    posterior = si.fit_posterior(
        "inverse_kinematics", n_simulations=n_simulations, seed=SEED, progress=False
    )
    memory = peak_gigabytes()
    tests, rng = posterior._subject().tests, np.random.default_rng(SEED)
    places, errors = [], []
    for start in range(0, len(tests), 50):  # one pass serves both errors
        here = slice(start, start + 50)
        truth, observations = tests.truth[here], tests.observations[here]
        draws = posterior.core.draw(observations, 1000, rng)
        places.append(ranks(truth, draws, rng))
        flat = draws.reshape(-1, truth.shape[1])
        repeated = observations[np.repeat(np.arange(len(truth)), 1000)]
        again = posterior._subject().simulate(flat, repeated)
        errors.append(np.linalg.norm(again - repeated.vector, axis=1))
    calibration = Calibration(np.concatenate(places), posterior.prior.columns)
    errors = np.concatenate(errors)
    each = calibration.table["calibration_error"]
    return {
        "test observations": len(tests),
        "re-simulation error, mean": errors.mean(),
        "re-simulation error, median": np.median(errors),
        "calibration error": calibration.value,
        **{
            f"calibration error of {n}": e
            for n, e in zip(posterior.prior.columns, each, strict=True)
        },
        "calibration error of an exact posterior, median": calibration.floor.pooled[0],
        "training [s]": posterior.history.seconds,
        "steps": posterior.history.steps,
        "peak memory [GB]": memory,
    }


def gaussian_linear():
    """C2ST against the analytic posterior, 5,000 draws a side, mean over 5 observations."""
    from sbi_inn.simulators.gaussian_linear import posterior as exact

    import sbi_inn as si
    from sbi_inn.diagnostics.two_samples import c2st

    started = perf_counter()
    posterior = si.fit_posterior("gaussian_linear", n_simulations=10_000, seed=SEED, progress=False)
    seconds = perf_counter() - started
    rng = np.random.default_rng(SEED)
    tests = posterior._subject().tests.head(5)
    found = []
    for row in range(5):
        y = posterior.schema.unstack(tests.observations, row)
        mean, covariance = exact(y["y"])
        draws = posterior.sample(y, 5000)["theta"].values
        found.append(c2st(rng.multivariate_normal(mean, covariance, 5000), draws, rng=rng))
    return {
        "C2ST, mean of 5": np.mean(found),
        "C2ST, largest": np.max(found),
        "simulation and training [s]": seconds,
        "training [s]": posterior.history.seconds,
    }


def normal_sample():
    """One network for sets of 5, 50 and 500: 200 observations each, 10,000 draws."""
    from sbi_inn.simulators.normal_sample import posterior as exact

    import sbi_inn as si

    posterior = si.fit_posterior("normal_sample", n_simulations=100_000, seed=SEED, progress=False)
    found = {"training [s]": posterior.history.seconds, "peak memory [GB]": peak_gigabytes()}
    rng = np.random.default_rng(SEED)
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


def two_moons():
    """Normalisation and support of the density; density against a histogram of draws."""
    import sbi_inn as si

    posterior = si.fit_posterior("two_moons", n_simulations=10_000, seed=SEED, progress=False)
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


def speed():
    """Drawing 10,000, and importing: medians of 5, warm."""
    import sbi_inn as si

    posterior = si.fit_posterior(
        "inverse_kinematics",
        n_simulations=100_000,
        training=si.Training(epochs=1),
        seed=SEED,
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
    "arm_100k": lambda: arm(100_000),
    "arm_10k": lambda: arm(10_000),
    "gaussian_linear": gaussian_linear,
    "normal_sample": normal_sample,
    "two_moons": two_moons,
    "speed": speed,
}
TARGETS = {
    ("arm_100k", "re-simulation error, mean"): "<= 0.0107",
    ("arm_100k", "re-simulation error, median"): "<= 0.0032",
    ("arm_100k", "calibration error"): "<= 0.008",
    ("arm_100k", "training [s]"): "<= 120",
    ("arm_100k", "peak memory [GB]"): "<= 2",
    ("arm_10k", "re-simulation error, mean"): "< 0.208",
    ("arm_10k", "re-simulation error, median"): "< 0.131",
    ("arm_10k", "calibration error"): "< 0.016",
    ("arm_10k", "training [s]"): "< 55",
    ("gaussian_linear", "C2ST, mean of 5"): "<= 0.56",
    ("gaussian_linear", "simulation and training [s]"): "<= 20",
    **{
        ("normal_sample", f"n = {n}: |error of the mean of mu| [sd]"): "<= 0.10"
        for n in (5, 50, 500)
    },
    **{("normal_sample", f"n = {n}: sd ratio of mu"): "0.95 to 1.05" for n in (5, 50, 500)},
    ("two_moons", "integral of the density over the box"): "0.99 to 1.01",
    ("two_moons", "log density outside"): "-inf",
    ("two_moons", "of 1,000,000 draws, outside"): "0",
    ("speed", "sample(y, 10_000) [s]"): "<= 0.1",
    ("speed", "import sbi_inn, without torch [s]"): "<= 1",
}


def timed(call):
    started = perf_counter()
    call()
    return perf_counter() - started


def peak_gigabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def in_a_process(section):
    """Run one section in a process of its own and return what it found."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "found.json"
        command = [sys.executable, __file__, "--section", section, "--json", str(file)]
        subprocess.run(command, check=True)
        return json.loads(file.read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--section", choices=SECTIONS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.section:
        found = {name: float(value) for name, value in SECTIONS[options.section]().items()}
        options.json.write_text(json.dumps(found))
        return
    everything = {}
    print(f"{'problem':16} {'measured':52} {'value':>10}  asked")
    for section in options.only:
        everything[section] = in_a_process(section)
        for name, value in everything[section].items():
            asked = TARGETS.get((section, name), "")
            print(f"{section:16} {name:52} {value:10.4g}  {asked}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(everything, indent=2))


if __name__ == "__main__":
    main()
