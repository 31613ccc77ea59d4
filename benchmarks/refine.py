"""Refined posteriors on the public benchmark, at a number of simulations in all.

    python benchmarks/refine.py                                     hours
    python benchmarks/refine.py --tasks sir --budgets 1000 --observations 1
    python benchmarks/refine.py --table                             the table of the results page

Of a budget 20 % go into `fit_posterior` and the rest into `refine` at each public observation. The
C2ST is that of accuracy.py, against reference draws, before refining and after. Of the refined
posterior also: the calibration error pooled over parameters on 2,000 fresh simulations from the
truncated prior, and the integral of its density at the observation, by draws of that prior.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np
from accuracy_parts.tasks import REFERENCE, TASKS, observations, reference_file
from records import Records, add_options, headed

import sbi_inn as si
from sbi_inn.diagnostics.two_samples import c2st
from sbi_inn.posterior import checking

FIRST = 0.2  # share of the budget in the first fit
DRAWS = 2_000  # on each side of the C2ST
PLACES = 100_000  # for the integral
TESTS = 2_000  # for the calibration
RECORDS = ("task", "budget", "observation")


def measure(task, budget, seed, numbers, threads, reference):
    """Refine at public observations, and give a row for each."""
    first = round(FIRST * budget)
    broad = si.fit_posterior(task, n_simulations=first, seed=seed, n_jobs=threads, progress=False)
    for number in numbers:
        with np.load(reference_file(task, reference)) as file:
            observed, exact = (file[n][number - 1] for n in ("observation", "reference_posterior"))
        y = broad.schema.unstack(observations(task, observed[None]), 0)
        started = perf_counter()
        sharp = broad.refine(y, budget - first, seed=seed, n_jobs=threads, progress=False)
        seconds = perf_counter() - started
        places = sharp.prior.sample(PLACES, np.random.default_rng(seed))
        weight = np.exp(sharp.log_prob(places, y).values - sharp.prior.log_prob(places))
        yield {
            "task": task,
            "budget": budget,
            "observation": number,
            "before": score(broad, y, exact, number),
            "after": score(sharp, y, exact, number),
            "calibration": calibration(sharp),
            "integral": weight.mean(),
            "integral_error": weight.std() / np.sqrt(PLACES),
            "mass": sharp.prior.box.mass,
            "rounds": sharp.core.refined.rounds,
            "rows": sharp.n_simulations,
            "seconds": seconds,
        }


def calibration(posterior):
    """Give the pooled error on simulations that training has not seen."""
    subject = checking.subject_of(posterior.core)
    return checking.calibration(replace(subject, tests=subject.tests.head(TESTS))).found.pooled


def score(posterior, y, exact, number):
    """Give the C2ST of draws at an observation."""
    drawn = posterior.sample(y, DRAWS)
    flat = posterior.prior.flatten({n: drawn[n].values for n in posterior.prior.names})
    return c2st(exact[:DRAWS], flat, rng=np.random.default_rng(number))


def table(rows):
    """Make a line of each task and budget: means over observations and seeds, and the worst."""
    lines = []
    for (task, budget), here in rows.groupby(["task", "budget"], sort=False):
        lines.append(
            {
                "task": task,
                "simulations": f"{budget:,}",
                "before": f"{here.before.mean():.3f}",
                "after": f"{here.after.mean():.3f}",
                "worst": f"{here.after.max():.3f}",
                "calibration, worst": f"{100 * here.calibration.max():.1f} %",
                "integral": f"{here.integral.min():.3f} to {here.integral.max():.3f}",
                "its error": f"{here.integral_error.max():.3f}",
                "prior mass": f"{here['mass'].median():.1g}",
                "rounds": f"{here.rounds.min()} to {here.rounds.max()}",
                "observations": str(here.observation.nunique()),
                "[s]": f"{here.seconds.median():.0f}",
            }
        )
    return type(rows)(lines)


def main():
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(made)
    made.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS, metavar="TASK")
    made.add_argument("--budgets", nargs="+", type=int, default=[1_000, 10_000], metavar="N")
    made.add_argument("--seeds", nargs="+", type=int, default=[1], metavar="SEED")
    made.add_argument("--observations", nargs="+", type=int, choices=range(1, 6), default=[1, 2, 3])
    made.add_argument("--reference", type=Path, default=REFERENCE, help="reference posteriors")
    made.add_argument("--threads", type=int, default=1, help="processes that train")
    options = made.parse_args()
    records = Records("refine", RECORDS, options.out)
    if not options.table:
        for task in options.tasks:
            for budget in options.budgets:
                for seed in options.seeds:
                    args = options.observations, options.threads, options.reference
                    for row in measure(task, budget, seed, *args):
                        records.add([row], seed=seed, threads=options.threads)
                        print({k: v for k, v in row.items() if k != "rows"}, flush=True)
    rows = records.read()
    print(headed(rows, table(rows)) if len(rows) else "no results yet")


if __name__ == "__main__":
    main()
