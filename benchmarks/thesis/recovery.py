"""How well parameters are recovered, against the number of simulations: what the commands share.

Each of `ricker.py`, `sir_stochastic.py` and `levy_flight.py` describes a `Study`; `main` simulates
once, fits the first rows of the table and then more of them, and measures each posterior on other
simulations of the lengths that the source reports: R2 of the posterior means, and the calibration
error of each parameter (dissertation, sec. 4.2.2). Published figures stand beside ours.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from batches import drawn

import sbi_inn as si
from sbi_inn.diagnostics.calibration import calibration_error, calibration_floor
from sbi_inn.diagnostics.recovery import r_squared

TESTS, DRAWS = 5_000, 200
OF_TESTS = 10_000  # added to the seed: simulations that no training has seen


@dataclass(frozen=True)
class Length:
    """Test observations of one length, and what was published for them.

    Attributes
    ----------
    given : mapping
        The lengths.
    r2, calibration : mapping of str to float
        As published, by parameter.
    least : mapping of str to float
        R2 that is asked of us; "mean" is that over all parameters.
    """

    given: Mapping[str, float]
    r2: Mapping[str, float]
    calibration: Mapping[str, float] = field(default_factory=dict)
    least: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Study:
    """A problem, and how it was measured elsewhere.

    Attributes
    ----------
    problem : str
    simulations : tuple of int
        How many to train on, in turn.
    lengths : mapping of str to Length
    exact : callable or None
        Observations to the means of the exact posteriors, where they are known.
    """

    problem: str
    simulations: tuple[int, ...]
    lengths: Mapping[str, Length]
    exact: Callable[..., np.ndarray] | None = None


def main(study, description):
    """Read the command line, run, print and write what was found."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--simulations", type=int, nargs="+", default=list(study.simulations))
    parser.add_argument("--tests", type=int, default=TESTS, help="observations of each length")
    parser.add_argument("--steps", type=int, help="of training, at most; by default as many as")
    parser.add_argument("--batch", type=int, help="... rows of each, `fit_posterior` chooses")
    parser.add_argument("--seconds", type=float, help="of training, whatever the number of steps")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--json", type=Path, help="write what was found to this file, beside other fits in it"
    )
    options = parser.parse_args()
    table, seconds = simulated(study.problem, max(options.simulations), options.seed)
    print(f"{len(table):,} simulations in {seconds:.0f} s", flush=True)
    run(study, table, options)


def run(study, table, options):
    """Fit ever more rows of a table, and show and write what is found after each fit."""
    tests = {
        name: si.simulate(
            study.problem,
            n=options.tests,
            given=length.given,
            seed=options.seed + OF_TESTS,
            progress=False,
        )
        for name, length in study.lengths.items()
    }
    found = {"problem": study.problem, "seed": options.seed, "fits": earlier_fits(options.json)}
    if study.exact is not None:
        found["exact"] = {name: exact(study, t) for name, t in tests.items()}
    for n in sorted(options.simulations):
        posterior = si.fit_posterior(
            table.take(np.arange(n)),
            training=schedule(n, options.steps, options.batch, options.seconds),
            seed=options.seed,
            progress=False,
        )
        fit = {
            "simulations": n,
            "training [s]": posterior.history.seconds,
            "steps": posterior.history.steps,
            "describe": posterior.core.fitted.describe(),
            "lengths": {name: measured(posterior, t, options.seed) for name, t in tests.items()},
        }
        others = [other for other in found["fits"] if other["simulations"] != n]
        found["fits"] = sorted([*others, fit], key=lambda fit: fit["simulations"])
        show(study, fit, found.get("exact", {}), options.tests)
        if options.json:
            options.json.write_text(json.dumps(found, indent=1))
    return found


def earlier_fits(file):
    """Give the fits that a file holds already."""
    return json.loads(file.read_text())["fits"] if file and file.exists() else []


def schedule(n, most_steps=None, largest_batch=None, seconds=None):
    """Train on n simulations as by default, but in at most so many steps of so many rows.

    Where seconds are given, the training takes them whole.
    """
    rows = n - 2 * (n // 10)
    usual = si.CINN().schedule(si.Training(), rows)
    batch = min(usual.batch_size, largest_batch or rows)
    if seconds:
        return si.Training(
            batch_size=batch, epochs=10**6, max_seconds=seconds, early_stopping=False
        )
    steps = min(usual.epochs * (rows // usual.batch_size), most_steps or 10**9)
    return si.Training(batch_size=batch, epochs=max(1, round(steps * batch / rows)))


def simulated(problem, n, seed):
    """Simulate, and say how long it took."""
    start = time.perf_counter()
    table = si.simulate(problem, n=n, seed=seed, progress=False)
    return table, time.perf_counter() - start


def measured(posterior, tests, seed):
    """Measure R2 and calibration error of each parameter over test observations."""
    rng = np.random.default_rng(seed)
    truth, observations = tests.prior.flatten(tests.parameters()), tests.observations()
    means, places = [], []
    for _, draws, placed in drawn(posterior.core.draw, truth, observations, DRAWS, rng):
        means.append(draws.mean(axis=1))
        places.append(placed)
    error = calibration_error(np.concatenate(places))
    columns = {
        "R2": r_squared(truth, np.concatenate(means)),
        "calibration error": error.per_parameter,
    }
    each = {
        name: dict(zip(tests.prior.names, values.tolist(), strict=True))
        for name, values in columns.items()
    }
    return each | {"pooled calibration error": error.pooled}


def exact(study, tests):
    """Give R2 of the means of the exact posteriors."""
    truth = tests.prior.flatten(tests.parameters())
    found = r_squared(truth, study.exact(tests.observations()))
    return dict(zip(tests.prior.names, found.tolist(), strict=True))


def show(study, fit, exact, tests):
    """Print a table for each length."""
    print(
        f"\n== {study.problem}: {fit['simulations']:,} simulations, {fit['steps']:,} steps, "
        f"{fit['training [s]']:.0f} s of training\n   {fit['describe']}"
    )
    for name, found in fit["lengths"].items():
        length, r2, errors = study.lengths[name], found["R2"], found["calibration error"]
        floor = calibration_floor(tests, len(r2), rng=np.random.default_rng(0)).worst[0]
        print(f"{name}, {tests:,} observations; worst calibration error if exact: {floor:.2%}")
        print(f"   {'':8}{'R2':>7}{'asked':>8}{'publ.':>8}{'exact':>8}{'calibr.':>10}{'publ.':>8}")
        for parameter in r2:
            beside = (
                length.least.get(parameter),
                length.r2.get(parameter),
                exact.get(name, {}).get(parameter),
            )
            cells = "".join(f"{'' if x is None else f'{x:.3f}':>8}" for x in beside)
            published = length.calibration.get(parameter)
            last = "" if published is None else f"{published:.1%}"
            print(f"   {parameter:8}{r2[parameter]:7.4f}{cells}{errors[parameter]:10.2%}{last:>8}")
        mean, least = np.mean(list(r2.values())), length.least.get("mean")
        asked = "" if least is None else f"{least:.3f}"
        print(f"   {'mean':8}{mean:7.4f}{asked:>8}{np.mean(list(length.r2.values())):8.3f}")
    print(flush=True, end="")
