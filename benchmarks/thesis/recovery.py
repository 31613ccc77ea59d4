"""How well parameters are recovered, against the number of simulations: what the commands share.

Each of `ricker.py`, `sir_stochastic.py` and `levy_flight.py` describes a `Study`; `main` simulates
once, fits the first rows of the table and then more of them, and measures each posterior on other
simulations of the lengths that the source reports: R2 of the posterior means, and the calibration
error of each parameter (dissertation, sec. 4.2.2). Each is a row of thesis-recovery.csv.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from shared import Records, add_options, caption, drawn, fitted, markdown

import sbi_inn as si
from sbi_inn.diagnostics.calibration import calibration_error, calibration_floor
from sbi_inn.diagnostics.recovery import r_squared

TESTS = 5_000  # observations of each length
DRAWS = 200  # of each
RECORDS = Records("thesis-recovery", ("problem", "simulations", "length", "parameter"))
EXACT = "exact posterior"  # as network
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
    """

    given: Mapping[str, float]
    r2: Mapping[str, float]
    calibration: Mapping[str, float] = field(default_factory=dict)


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
    add_options(parser)
    options = parser.parse_args()
    records = replace(RECORDS, folder=options.out)
    if not options.table:
        table, seconds = simulated(study.problem, max(options.simulations), options.seed)
        print(f"{len(table):,} simulations in {seconds:.0f} s", flush=True)
        run(study, table, options)
    print(tables(study, records.read()))


def run(study, table, options):
    """Fit ever more rows of a table, and keep what is found after each fit."""
    records = replace(RECORDS, folder=options.out)
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
    where = {"seed": options.seed, "threads": os.cpu_count()}
    if study.exact is not None:
        found = {name: {"R2": exact(study, t)} for name, t in tests.items()}
        records.add(rows(study, found, network=EXACT), **where)
    for n in sorted(options.simulations):
        training = schedule(n, options.steps, options.batch, options.seconds)
        posterior = si.fit_posterior(
            table.take(np.arange(n)), training=training, seed=options.seed, progress=False
        )
        history = posterior.history
        about = {"training [s]": history.seconds, "steps": history.steps, "tests": options.tests}
        about |= {"simulations": n, "network": fitted(posterior).describe()}
        found = {name: measured(posterior, t, options.seed) for name, t in tests.items()}
        records.add(rows(study, found, **about), **where)


def rows(study, found, **about):
    """Make a row of each parameter and length."""
    start = {"problem": study.problem, "simulations": None} | about
    made = []
    for length, columns in found.items():
        shared = {n: v for n, v in columns.items() if not isinstance(v, Mapping)}
        each = {n: v for n, v in columns.items() if isinstance(v, Mapping)}
        for parameter in columns["R2"]:
            own = {name: values[parameter] for name, values in each.items()}
            made.append(start | {"length": length, "parameter": parameter} | own | shared)
    return made


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
    for _, draws, placed in drawn(posterior, truth, observations, DRAWS, rng):
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


def tables(study, rows):
    """Make a table for each length: R2, and in brackets the calibration error."""
    rows = rows[rows["problem"] == study.problem]
    if rows.empty:
        return ""
    ours = rows[rows["network"] != EXACT]
    floor = calibration_floor(int(ours["tests"].max()), 1, rng=np.random.default_rng(0)).worst[0]
    parts = [f"{caption(ours)} R2, and in brackets the calibration error of each parameter.", ""]
    parts[0] += f" An exact posterior shows one of {floor:.1%} by chance."
    for name, length in study.lengths.items():
        here = rows[rows["length"] == name]
        lines = [_line(length, name, fit) for _, fit in here.groupby(["simulations", "seed"])]
        exact = here[here["network"] == EXACT].set_index("parameter")["R2"]
        if len(exact):
            lines.append({name: EXACT} | {p: f"{exact[p]:.3f}" for p in length.r2})
        lines.append(_published(length, name))
        parts += [markdown(pd.DataFrame(lines).fillna("")), ""]
    return "\n".join(parts)


def _line(length, name, fit):
    first = fit.iloc[0]
    line = {name: f"{first['simulations']:,.0f} simulations"}
    line |= {"steps": f"{first['steps']:,.0f}", "training": f"{first['training [s]']:.0f} s"}
    r2, error = (fit.set_index("parameter")[n] for n in ("R2", "calibration error"))
    line |= {p: f"{r2[p]:.3f} ({error[p]:.1%})" for p in length.r2}
    return line | {"mean": f"{r2.mean():.3f}"}


def _published(length, name):
    cells = {parameter: f"{value:.3f}" for parameter, value in length.r2.items()}
    for parameter, error in length.calibration.items():
        cells[parameter] += f" ({error:.1%})"
    return {name: "published"} | cells | {"mean": f"{np.mean(list(length.r2.values())):.3f}"}
