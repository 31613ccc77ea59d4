"""Intervals and regions with a guarantee on the public benchmark, and recalibrated posteriors.

    python benchmarks/intervals.py                                   hours, nearly all of it fits
    python benchmarks/intervals.py --tasks sir --budgets 1000        one task
    python benchmarks/intervals.py --only planted                    posteriors wrong on purpose
    python benchmarks/intervals.py --only planted --table            a table of the results page

coverage     At the public observations, how many reference draws lie in 90 % intervals of one
             parameter and in 90 % regions of all: mean |coverage - .9|. Of the posterior's own
             quantiles and regions of highest density ("naive"), of `intervals` and `regions`
             calibrated by the tenth of the simulations that the fit held out, and by 5,000 tests.
recalibrate  Of a fit of 500 simulations and 1,000 fresh ones: pooled calibration error and log
             density of the truth at 5,000 others, before and after `recalibrate`.
planted      The same for posteriors that are exact, or wrong in one way.

Posteriors are kept in the cache, and read from there.
"""

import argparse
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent / "trust"))

import inside
import numpy as np
import pandas as pd
from accuracy_parts.tasks import REFERENCE, TASKS, observations, reference_file
from planted import Planted, Study, posterior_of
from records import CACHE, Records, add_options, headed

import sbi_inn as si
from sbi_inn.checks import TestSet
from sbi_inn.diagnostics.calibration import calibration_error, ranks
from sbi_inn.posterior import intervals

LEVEL = 0.9
DRAWS = 1_000  # for naive sets
FIT, FRESH, TESTS, TEST_SEED = 500, 1_000, 5_000, 424_242
WRONG = {
    "exact": {},
    "width x .7": {"width": 0.7},
    "width x 1.4": {"width": 1.4},
    "shift of .3 sd": {"shift": 0.3},
    "shift of .6 sd where |y1| < .5": {"shift": 0.6, "near": 0.5},
    "correlation .5, claims 0": {"claims": 0.0},
}
RECORDS = ("part", "case", "budget")


def fitted(task, budget, seed):
    """Fit, or read a fit from the cache."""
    folder = CACHE / "intervals"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{task}-{budget}-{seed}.sbi"
    if not file.exists():
        made = si.fit_posterior(task, n_simulations=budget, seed=seed, n_jobs=1, progress=False)
        made.save(file)
    return si.load_posterior(file)


def coverage(task, budget, seed, reference):
    """Say how far conditional coverage is from the level, on average over the observations."""
    posterior = fitted(task, budget, seed)
    with np.load(reference_file(task, reference)) as file:
        y, exact = observations(task, file["observation"]), file["reference_posterior"]
    found = {"tests": len(posterior.core.test_rows)}
    for name, low, high in _intervals(posterior, y):
        held = ((exact >= low[:, None]) & (exact <= high[:, None])).mean(axis=1)
        found[f"one.{name}"] = float(np.abs(held - LEVEL).mean())
    density = np.stack([_log_density(posterior, e, y[i : i + 1]) for i, e in enumerate(exact)])
    for name, limit in _regions(posterior, y):
        held = (density >= limit[:, None]).mean(axis=1)
        found[f"all.{name}"] = float(np.abs(held - LEVEL).mean())
    return found


def _intervals(posterior, y):
    drawn = inside.draw(posterior, y, DRAWS, np.random.default_rng(1))
    yield "naive", *np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1)
    for name, subject in _subjects(posterior):
        yield name, *intervals.interval_ends(posterior.core, subject, y, LEVEL)


def _regions(posterior, y):
    drawn = inside.draw(posterior, y, DRAWS, np.random.default_rng(1))
    own = [_log_density(posterior, d, y[i : i + 1]) for i, d in enumerate(drawn)]
    yield "naive", np.quantile(np.stack(own), 1 - LEVEL, axis=1)
    for name, subject in _subjects(posterior):
        yield name, intervals.density_limits(posterior.core, subject, y, LEVEL)


def _subjects(posterior):
    """Give what calibrates: the tests held out, and 5,000."""
    bare = si.Posterior(posterior.core.with_problem(None))
    yield "held-out", bare._subject()
    yield "5,000 tests", posterior._subject()


def _log_density(posterior, flat, y):
    return intervals._log_density(posterior.core, flat[None], y)[0]


def recalibrated(posterior, table, tests):
    """Compare a posterior and the recalibrated one at tests."""
    truth, seen = TestSet.of(tests).truth, tests.observations()
    rng, found, scores = np.random.default_rng(1), {}, []
    for name, one in (("before", posterior), ("after", posterior.recalibrate(table))):
        drawn = inside.draw(one, seen, 200, rng)
        found[f"error.{name}"] = calibration_error(ranks(truth, drawn, rng)).pooled
        scores.append(inside.log_ratio(one, truth[:, None], seen)[:, 0])
    gain = scores[1] - scores[0]
    noise = gain.std() / np.sqrt(len(gain))
    return found | {"gain": float(gain.mean()), "noise": float(noise), "said": _said(one)}


def _said(posterior):
    return inside.fitted(posterior).describe().split("(")[-1].rstrip(")")


def recalibrate(task, seed):
    posterior = fitted(task, FIT, seed)
    table, tests = (
        si.simulate(task, n=n, seed=TEST_SEED + k + seed, n_jobs=1, progress=False)
        for k, n in enumerate((FRESH, TESTS))
    )
    return recalibrated(posterior, table, tests)


def planted(case, seed):
    about = dict(WRONG[case])
    study = Study(3, 0.5)
    wrong = Planted(study, about.pop("claims", study.correlation), **about)
    posterior = posterior_of(wrong, seed=seed, tests=100)
    problem = study.problem
    table, tests = (
        si.simulate(problem, n=n, seed=TEST_SEED + k + seed, n_jobs=1, progress=False)
        for k, n in enumerate((FRESH, TESTS))
    )
    return recalibrated(posterior, table, tests)


def measure(part, seed, options):
    """Measure a part, and give a row for each case."""
    if part == "planted":
        for case in WRONG:
            yield {"part": part, "case": case, "budget": FIT} | planted(case, seed)
    elif part == "recalibrate":
        for task in options.tasks:
            yield {"part": part, "case": task, "budget": FIT} | recalibrate(task, seed)
    else:
        for budget in options.budgets:
            for task in options.tasks:
                found = coverage(task, budget, seed, options.reference)
                yield {"part": part, "case": task, "budget": budget} | found


def of(rows, part):
    return rows[rows["part"] == part].dropna(axis=1, how="all")


def table_of_coverage(rows):
    """Make a line of each task and budget, and one of the mean over tasks."""
    shown = [c for c in rows if c.startswith(("one.", "all."))]
    lines = []
    for budget, here in rows.groupby("budget", sort=False):
        whole = [(case, one[shown].mean()) for case, one in here.groupby("case", sort=False)]
        whole.append((f"**mean of {len(whole)}**", pd.DataFrame([m for _, m in whole]).mean()))
        for case, means in whole:
            cells = {_title(c): f"{means[c]:.3f}" for c in shown}
            lines.append({"task": case, "simulations": f"{budget:,}"} | cells)
    return pd.DataFrame(lines)


def _title(column):
    what, name = column.split(".")
    return f"{'one parameter' if what == 'one' else 'all together'}, {name}"


def table_of_recalibrated(rows):
    """Make a line of each case: errors and gain."""
    return pd.DataFrame(
        [
            {
                "case": row.case,
                "calibration error before": f"{100 * row['error.before']:.1f} %",
                "after": f"{100 * row['error.after']:.1f} %",
                "log density gained": f"{row.gain:+.3f} +- {row.noise:.3f}",
                "changed": row.said,
            }
            for _, row in rows.iterrows()
        ]
    )


TABLES = {
    "coverage": table_of_coverage,
    "recalibrate": table_of_recalibrated,
    "planted": table_of_recalibrated,
}


def main():
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(made)
    parts = ("coverage", "recalibrate", "planted")
    made.add_argument("--only", nargs="+", choices=parts, default=parts)
    made.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS, metavar="TASK")
    made.add_argument("--budgets", nargs="+", type=int, default=[1_000, 10_000], metavar="N")
    made.add_argument("--seeds", nargs="+", type=int, default=[1], metavar="SEED")
    made.add_argument("--reference", default=REFERENCE, help="reference posteriors")
    options = made.parse_args()
    records = Records("intervals", RECORDS, options.out)
    if not options.table:
        for seed in options.seeds:
            for part in options.only:
                for row in measure(part, seed, options):
                    records.add([row], seed=seed, threads=1)
                    print(row, flush=True)
    rows = records.read()
    written = [headed(here, TABLES[p](here)) for p in options.only if len(here := of(rows, p))]
    print("\n\n".join(written) or "no results yet")


if __name__ == "__main__":
    main()
