"""Does check() tell the truth about trained networks, where the exact posterior is known?

    python benchmarks/trust/trained.py              two hours on one core
    python benchmarks/trust/trained.py --table      the tables of the results page

Default fits of eight problems (`known.py`), from 200 to 20,000 simulations. At 300 fresh
observations, draws of the network are compared with exact ones, parameter by parameter:

shift        difference of the means, in exact standard deviations: rms over observations (and
             over most of them: all but the worst 2 %)
width        log of the ratio of standard deviations: median of its size over observations
correlation  difference of the correlations of two parameters: rms over observations

Each is that of the worst parameter or pair; of shift and correlation, what finite numbers of draws
add is subtracted. "Caution" is deserved where shift or width is above the limits in `DESERVED`;
nothing is wrong where all are below those in `NOTHING`. check() knows none of this.

The fits of 500 simulations are recalibrated by 1,000 fresh simulations, and tested at 2,000 others.
"""

import sys
import time
from itertools import combinations
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

import inside
import numpy as np
import pandas as pd
from intervals import recalibrated
from known import KNOWN
from parts import Benchmark, main
from records import CACHE, Records, headed

import sbi_inn as si

BUDGETS = (200, 500, 2_000, 20_000)
RECALIBRATED, ASKED = 500, 0.015  # calibration error afterwards
OBSERVATIONS, DRAWS, EXACT = 300, 2_000, 4_000
FRESH, TESTS = 1_000, 2_000
FAR = 0.6  # a shift that would change a result, in sd
MOST = 0.98  # of observations: checks say that they miss mistakes in fewer than 1 of 50
DESERVED = {"shift": 0.3, "width": np.log(1.15)}
NOTHING = {"shift": 0.1, "width": np.log(1.05), "correlation": 0.05}
CLASSES = ("nothing wrong", "between", "caution deserved")
VERDICTS = ("trust", "cannot tell", "caution", "do not trust")
PARTS = [f"{name}; {n}" for n in BUDGETS for name in KNOWN]


# -- how wrong a posterior is ----------------------------------------------------------------------


def errors(draws, exact, names):
    """Say how far draws are from exact ones, both (observations, n, quantities)."""
    mean, sd = exact.mean(axis=1), exact.std(axis=1)
    ratio = draws.std(axis=1) / sd
    shift = (draws.mean(axis=1) - mean) / sd
    chance = (ratio**2 / draws.shape[1] + 1 / exact.shape[1]).mean(axis=0)
    squares = np.sort(shift**2, axis=0)
    all_of_them, most = (
        np.sqrt(np.maximum(0, squares[: round(share * len(shift))].mean(axis=0) - chance))
        for share in (1.0, MOST)
    )
    width = np.median(np.abs(np.log(ratio)), axis=0)
    return {
        "shift": all_of_them.max(),
        "shift of": names[all_of_them.argmax()],
        "shift of most": most.max(),
        "bias": np.abs(shift.mean(axis=0)).max(),
        "far": (np.abs(shift) > FAR).mean(axis=0).max(),
        "width": width.max(),
        "width of": names[width.argmax()],
        "ratio": np.median(ratio, axis=0)[width.argmax()],
    }


def of_correlation(draws, exact):
    """Give the rms difference of the correlations of the worst pair."""
    found, true = (np.array([np.corrcoef(one.T) for one in x]) for x in (draws, exact))
    chance = (1 - found**2) ** 2 / draws.shape[1] + (1 - true**2) ** 2 / exact.shape[1]
    squares = ((found - true) ** 2 - chance).mean(axis=0)
    pairs = combinations(range(draws.shape[2]), 2)
    return float(np.sqrt(max(0.0, *(squares[pair] for pair in pairs))))


def compared(known, posterior, seed):
    """Compare a posterior with the exact one at fresh observations."""
    fresh = si.simulate(known.problem, n=OBSERVATIONS, seed=seed, n_jobs=1, progress=False)
    seen, rng = fresh.observations(), np.random.default_rng(seed)
    draws, exact = inside.draw(posterior, seen, DRAWS, rng), known.draw(seen, EXACT, rng)
    correlation = of_correlation(draws, exact) if draws.shape[2] > 1 else None
    names = [*known.problem.prior.names, *known.also(exact)]
    draws, exact = (
        np.stack([*np.moveaxis(x, 2, 0), *known.also(x).values()], 2) for x in (draws, exact)
    )
    found = errors(draws, exact, names)
    return {k: v if isinstance(v, str) else float(v) for k, v in found.items()} | {
        "correlation": correlation
    }


# -- one fit ---------------------------------------------------------------------------------------


def fitted(known, name, budget, seed):
    """Fit, or read a fit from the cache."""
    folder = CACHE / "trained"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name.replace(', ', '-').replace(' ', '-')}-{budget}-{seed}.sbi"
    if not file.exists():
        made = si.fit_posterior(
            known.problem, n_simulations=budget, n_jobs=1, seed=seed, progress=False
        )
        made.save(file)
        return made
    return si.load_posterior(file, simulator=known.problem)


def measure(options):
    """Measure one fit: how wrong it is, what check() says, and what recalibrating does."""
    name, budget = options.part.split("; ")
    known, budget, seed = KNOWN[name](), int(budget), options.seed
    posterior = fitted(known, name, budget, seed)
    row = {"problem": name, "budget": budget} | compared(known, posterior, 424_242 + seed)
    started = time.perf_counter()
    check = posterior.check(progress=False)
    row |= {"verdict": check.verdict, "by": _objecting(check), "seconds": _since(started)}
    row |= {f"effect.{one}": value for one, value in check.table["value"].dropna().items()}
    if budget == RECALIBRATED:
        row |= _recalibrated(known, posterior, 525_252 + 2 * seed)
    return [row]


def _objecting(check):
    return ", ".join(n for n, r in check.records.items() if r.verdict in VERDICTS[2:])


def _since(started):
    return round(time.perf_counter() - started, 1)


def _recalibrated(known, posterior, seed):
    table, tests = (
        si.simulate(known.problem, n=n, seed=seed + k, n_jobs=1, progress=False)
        for k, n in enumerate((FRESH, TESTS))
    )
    return recalibrated(posterior, table, tests)


# -- tables ----------------------------------------------------------------------------------------


def class_of(row, shift="shift"):
    """Say whether a fit deserves caution, by how far it is from the exact posterior."""
    row = {**row, "shift": row[shift]}
    if any(row[name] > limit for name, limit in DESERVED.items()):
        return "caution deserved"
    if all(pd.isna(row[name]) or row[name] < limit for name, limit in NOTHING.items()):
        return "nothing wrong"
    return "between"


def table_of_verdicts(rows):
    """Count verdicts by class, for each number of simulations and in all."""
    lines = []
    groups = [(f"{n:,}", one) for n, one in rows.groupby("budget")] + [("all", rows)]
    for budget, here in groups:
        for name in CLASSES:
            mine = here[here["class"] == name]
            counts = {v: (mine["verdict"] == v).sum() for v in VERDICTS}
            lines.append({"simulations": budget, "": name, "fits": len(mine)} | counts)
    return pd.DataFrame(lines)


def table_of_fits(rows):
    """Make a line of each problem and number of simulations: errors, and verdicts by seed."""
    lines = []
    for name in KNOWN:
        for budget, here in rows[rows["problem"] == name].groupby("budget"):
            here = here.sort_values("seed")
            width = np.exp(here["width"])
            lines.append(
                {
                    "problem": name,
                    "simulations": f"{budget:,}",
                    "shift [sd]": _range(here["shift"], "{:.2f}"),
                    "of 98 %": _range(here["shift of most"], "{:.2f}"),
                    "width off by": _range(100 * (width - 1), "{:.0f} %"),
                    "correlation off by": _range(here["correlation"], "{:.2f}"),
                    "deserved": _listed(here["class"]),
                    "verdict": _listed(here["verdict"]),
                    "objecting": _checks(here["by"]),
                }
            )
    return pd.DataFrame(lines)


def _range(values, form):
    ends = [form.format(end) for end in (values.min(), values.max())]
    return "-" if values.isna().all() else " to ".join(dict.fromkeys(ends))


def _checks(values):
    """Name each check that objected to one of the fits."""
    names = [name for value in values.dropna() for name in value.split(", ")]
    return ", ".join(sorted(set(names))) or "-"


def _listed(values):
    counts = values.value_counts(sort=False)
    return "; ".join(f"{n} x {value}" if n > 1 else value for value, n in counts.items())


def table_of_recalibrated(rows):
    """Make a line of each fit that was recalibrated."""
    lines = [
        {
            "problem": row["problem"],
            "seed": row["seed"],
            "calibration error before": f"{100 * row['error.before']:.1f} %",
            "after": f"{100 * row['error.after']:.1f} %",
            "log density gained": f"{row['gain']:+.3f} +- {row['noise']:.3f}",
            "changed": row["said"],
        }
        for name in KNOWN
        for _, row in rows[rows["problem"] == name].sort_values("seed").iterrows()
    ]
    return pd.DataFrame(lines)


def kept(rows):
    """Say in how many recalibrated fits what was asked for holds, in a line."""
    well = (rows["error.after"] <= ASKED).sum()
    lost, clearly = ((rows["gain"] < -k * rows["noise"]).sum() for k in (1, 2))
    return (
        f"An error of at most {100 * ASKED:.1f} % after: {well} of {len(rows)}. A log density that "
        f"is lower by more than its standard error: {lost}; by more than two: {clearly}."
    )


def shares(rows):
    """Say the shares that limits were set for: over all observations, and over most of them."""
    most = rows.assign(**{"class": [class_of(row, "shift of most") for _, row in rows.iterrows()]})
    return f"{_shares(rows)} Where the worst 2 % of observations are left out: {_shares(most)}"


def _shares(rows):
    deserved, fine = (rows[rows["class"] == name] for name in (CLASSES[2], CLASSES[0]))
    missed = (deserved["verdict"] == "trust").sum()
    false = fine["verdict"].isin(VERDICTS[2:]).sum()
    return (
        f'"Trust" where caution was deserved: {missed} of {len(deserved)}. '
        f"An objection where nothing was wrong: {false} of {len(fine)}."
    )


def table(rows):
    """Make the tables of the results page."""
    if rows.empty:
        return ""
    rows = rows.assign(**{"class": [class_of(row) for _, row in rows.iterrows()]})
    written = [
        headed(rows, table_of_verdicts(rows), shares(rows)),
        headed(rows, table_of_fits(rows)),
    ]
    if "error.after" in rows and len(mended := rows[rows["error.after"].notna()]):
        written.append(headed(mended, table_of_recalibrated(mended), kept(mended)))
    return "\n\n".join(written)


BENCHMARK = Benchmark(Records("trained", ("part",)), parts=PARTS, measure=measure, table=table)

if __name__ == "__main__":
    main(BENCHMARK, __doc__)
