"""Posteriors of real problems beside reference posteriors: vague priors, few simulations.

    python benchmarks/real/run.py                               all problems, 20,000 simulations
    python benchmarks/real/run.py cubic line --seeds 1 2
    python benchmarks/real/run.py cubic --refine 10000          10,000 and 10,000 more near y
    python benchmarks/real/run.py --checkout DIR --label before     with the package of DIR
    python benchmarks/real/run.py --table                       the table of the results page

A network is trained with default settings, once for each problem and seed, and asked at three fixed
observations. A row is about one parameter there: how far the mean of the draws is off and how wide
they are, in standard deviations of the reference; the same by median and interquartile range, which
tails do not move; and the C2ST of all parameters together. Seconds are of the processor. What has a
row of the present code is not measured again.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

import records
from records import Records, add_options

from real import report
from real.problems import NAMES, load
from real.scores import compare, told_apart

KEY = ("label", "problem", "simulations", "refine", "observation", "parameter")
RECORDS = Records("real", KEY)


@dataclass(frozen=True)
class Asked:
    """What a command measures of each problem and seed.

    Attributes
    ----------
    simulations : int
        In all.
    refine : int
        How many of them are simulated near each observation.
    draws, c2st : int
        Draws, and how many of them the C2ST reads.
    check : bool
        Whether to ask for the verdict at each observation.
    """

    simulations: int = 20_000
    refine: int = 0
    draws: int = 5_000
    c2st: int = 2_000
    check: bool = False


def parser():
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add, usual = made.add_argument, Asked()
    add("problems", nargs="*", metavar="PROBLEM", help=f"of {', '.join(NAMES)}; by default all")
    add("--seeds", nargs="+", type=int, default=[1], metavar="SEED")
    add("--observations", nargs="+", type=int, choices=(1, 2, 3), default=[1, 2, 3])
    add("--simulations", type=int, default=usual.simulations, metavar="N", help="in all")
    add("--refine", type=int, default=0, metavar="N", help="of them, near each observation")
    add("--draws", type=int, default=usual.draws, metavar="N")
    add("--c2st", type=int, default=usual.c2st, metavar="N", help="draws that the C2ST reads")
    add("--check", action="store_true", help="ask for the verdict at each observation, too")
    add("--threads", type=int, default=1)
    add("--label", default="now", help="name of what is measured, in the rows")
    add("--checkout", type=Path, metavar="DIR", help="measure the package in this folder")
    add("--again", action="store_true", help="measure again what has a row")
    add_options(made)
    return made


def fit(real, asked, seed):
    """Train on what is not kept for the observations."""
    import sbi_inn as si

    n = asked.simulations - asked.refine
    return si.fit_posterior(real.problem, n_simulations=n, n_jobs=1, seed=seed, progress=False)


def judged(real, posterior, observation, asked, seed):
    """Compare a posterior with the reference at an observation (from 1): a row a parameter."""
    y, reference = real.observations[observation - 1], real.reference(observation - 1)
    started = time.process_time()
    if asked.refine:
        posterior = posterior.refine(
            y, n_simulations=asked.refine, seed=seed, n_jobs=1, progress=False
        )
    about = {"refining [s]": time.process_time() - started}
    draws = posterior.sample(y, asked.draws, seed=seed)
    flat = real.prior.flatten({name: draws[name].values for name in real.prior.names})
    about["c2st"] = told_apart(reference, flat, asked.c2st, seed)
    if asked.check:
        about["verdict"] = posterior.check(y, progress=False).verdict
    rows = compare(reference, flat, real.prior.columns)
    return [{"observation": observation} | row | about for row in rows]


def measure(real, observations, asked, seed):
    """Fit a problem with a seed, and give the rows of one observation after the other."""
    started = time.process_time()
    posterior = fit(real, asked, seed)
    shared = {
        "problem": real.name,
        "simulations": asked.simulations,
        "refine": asked.refine,
        "fit [s]": time.process_time() - started,
        "training [s]": posterior.history.seconds,
        "c2st draws": asked.c2st,
    }
    for i in observations:
        yield [shared | row for row in judged(real, posterior, i, asked, seed)]


def missing(kept, real, asked, seed, commit, options):
    """List the observations that have no row of this code."""
    rows = kept.read()
    about = {"label": options.label, "problem": real.name, "seed": seed, "commit": commit}
    for name, value in (about | {"simulations": asked.simulations, "refine": asked.refine}).items():
        rows = rows[rows[name] == value] if len(rows) else rows
    done = set() if options.again or rows.empty else set(rows["observation"])
    return [i for i in options.observations if i not in done]


def commit_of(checkout):
    """Name the commit of another checkout as rows name that of this one."""
    if checkout is None:
        return records.commit()
    told = ["git", "-C", str(checkout), "log", "-1", "--format=%h", "--abbrev=7", "--"]
    return subprocess.run(
        [*told, *records.MEASURED], capture_output=True, text=True, check=True
    ).stdout.strip()


def main(arguments=None):
    made = parser()
    options = made.parse_args(arguments)
    names = options.problems or NAMES
    if unknown := set(names) - set(NAMES):
        made.error(f"expected problems of {', '.join(NAMES)}; got {', '.join(sorted(unknown))}")
    kept = replace(RECORDS, folder=options.out)
    if not options.table:
        os.environ.update({name: str(options.threads) for name in THREADS})
        if options.checkout:
            sys.path.insert(0, str(options.checkout.resolve()))
        run(names, kept, options)
    print(report.table(kept.read(), names, options.simulations))


THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def run(names, kept, options):
    """Measure what is missing, and keep the rows of each observation as they come."""
    asked = Asked(options.simulations, options.refine, options.draws, options.c2st, options.check)
    commit = commit_of(options.checkout)
    for seed in options.seeds:
        for real in map(load, names):
            observations = missing(kept, real, asked, seed, commit, options)
            if not observations:
                continue
            print(f"{real.name}, seed {seed} ...", file=sys.stderr, flush=True)
            for found in measure(real, observations, asked, seed):
                rows = [{"label": options.label} | row for row in found]
                kept.add(rows, seed=seed, threads=options.threads, commit=commit)
                print(report.line(rows), file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
