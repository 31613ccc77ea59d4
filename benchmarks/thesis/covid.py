"""An epidemic seen day by day (dissertation, sec. 3.8.6): one network for all days, and forecasts.

    python benchmarks/thesis/covid.py [--seconds S] [--simulations N] [--saved FILE] [--json FILE]
                                      [--figures FOLDER]

One network is trained on epidemics of 1 to 150 days. Others that it has not seen are then followed:
after 20, 60 and 120 days it says what it knows by then. Given are the calibration error, pooled over
the parameters and of the worst one, and the correlation of posterior medians with the truth. And of
forecasts, made on days 20 and 60 for the 60 days that follow, how many of the later counts lie in
the central intervals.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import sbi_inn as si
from sbi_inn.diagnostics.calibration import calibration_error, ranks

PROBLEM = "covid"
DAYS, LAST = (20, 60, 120), 120
TESTS, DRAWS = 2_000, 400
FORECASTS, AHEAD, LEVELS = 200, 60, (0.5, 0.9)
TARGET = 0.015


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


def epidemics(tests, seed):
    """Simulate epidemics of 120 days: parameters, flat, and cases, shape (tests, 120)."""
    problem = si.get(PROBLEM)
    whole = si.Problem(problem.simulator, problem.prior, given={"days": LAST})
    table = si.simulate(whole, n=tests, seed=seed, progress=False)
    return problem.prior.flatten(table.parameters()), table.dataset["cases"].values


def known_by(posterior, day, truth, cases, rng):
    """Measure calibration and recovery of what is known by a day."""
    observations = posterior.schema.read_many([{"cases": row[:day]} for row in cases])
    places, medians = [], []
    for start in range(0, len(truth), 100):
        here = np.arange(start, min(start + 100, len(truth)))
        draws = posterior.draw(observations[here], DRAWS, rng)
        places.append(ranks(truth[here], draws, rng))
        medians.append(np.median(draws, axis=1))
    error = calibration_error(np.concatenate(places))
    median = np.concatenate(medians)
    names = posterior.prior.names
    recovery = [
        float(np.corrcoef(np.log(t), np.log(m))[0, 1])
        for t, m in zip(truth.T, median.T, strict=True)
    ]
    return {
        "day": day,
        "calibration": error.pooled,
        "worst parameter": float(error.per_parameter.max()),
        "per parameter": dict(zip(names, map(float, error.per_parameter), strict=True)),
        "correlation": dict(zip(names, recovery, strict=True)),
    }


def forecast(posterior, day, cases, seed):
    """Say how many of the later counts lie in the central intervals of a forecast."""
    last = day + AHEAD
    inside = {level: [] for level in LEVELS}
    for row in cases[:FORECASTS]:
        again = posterior.resimulate({"cases": row[:day]}, DRAWS, given={"days": last}, seed=seed)
        for level in LEVELS:
            ends = np.quantile(again["cases"], [0.5 - level / 2, 0.5 + level / 2], axis=0)
            later = slice(day, last)
            held = (ends[0] <= row[:last]) & (row[:last] <= ends[1])
            inside[level].append(held[later].mean())
    return {"day": day, **{f"in {level:.0%}": float(np.mean(v)) for level, v in inside.items()}}


def main():
    """Train, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1_200, help="training time")
    parser.add_argument("--simulations", type=int, default=100_000)
    parser.add_argument("--tests", type=int, default=TESTS, help="epidemics to follow")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--saved", type=Path, help="file of the posterior: loaded if it is there")
    parser.add_argument("--json", type=Path, help="write what was found to this file")
    parser.add_argument("--figures", type=Path, help="write figures to this folder")
    options = parser.parse_args()
    posterior = trained(options)


if __name__ == "__main__":
    main()
