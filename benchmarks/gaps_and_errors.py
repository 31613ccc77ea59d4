"""Gaps and error bars: posteriors of incomplete and noisy data beside the exact ones.

    python benchmarks/gaps_and_errors.py                      three seeds
    python benchmarks/gaps_and_errors.py --only errors --simulations 3000
    python benchmarks/gaps_and_errors.py --table              the table of the results page

Sections
    gaps        normal_sample, of which 30 % of the values are missing at random
    errors      y = a + N(0, sigma), with sigma drawn between .05 and 2 and given
    catalogue   the same on a table without noise, by noise= with the error bars of a catalogue

In units of the exact posterior's standard deviation: how far the posterior mean is off on average;
and the ratio of the standard deviations. Both hold what 2,000 draws leave to chance: .016 and 1 +-
.016. Default settings.
"""

from time import perf_counter

import numpy as np
import pandas as pd
import scipy.stats as st
from parts import Benchmark, main
from records import SPREAD, Records, headed, spread
from sbi_inn.simulators.normal_sample import posterior as exact_of_sample

import sbi_inn as si

DRAWS, OBSERVATIONS = 2_000, 300
MISSING = 0.3
SIGMAS = (0.1, 0.5, 1.5)
LOW, HIGH, OBJECTS = 0.05, 2.0, 5_000
SIZES = ((2, 10), (10, 50), (50, 501))
PRIOR = si.Prior(a=st.norm(0, 1))
ERROR_BARS = st.loguniform(LOW, HIGH)


@si.simulator(batched=True)
def lose(y, rng):
    """Lose some of the measurements."""
    return np.where(rng.random(y.shape) < MISSING, np.nan, y)


@si.simulator(batched=True)
def measure(a, sigma, rng):
    return a + sigma * rng.normal(size=a.shape)


@si.simulator(batched=True)
def truth(a):
    return a


@si.simulator(batched=True)
def blur(y, sigma, rng):
    return y + sigma * rng.normal(size=y.shape)


def gaps(options):
    fitted, seconds = fit("normal_sample", noise=lose, options=options)
    tests = fitted._subject().tests.observations
    sizes = tests.sets["n"].sizes
    rows = []
    for low, high in SIZES:
        chosen = np.flatnonzero((sizes >= low) & (sizes < high))
        samples = [tests.sets["n"].values[r, : sizes[r], 0] for r in chosen]
        known = [s[~np.isnan(s)] for s in samples]
        some = [i for i, k in enumerate(known) if len(k)][:OBSERVATIONS]
        draws = fitted.sample_each([{"y": samples[i]} for i in some], DRAWS)
        laws = [exact_of_sample(known[i]) for i in some]
        for name in fitted.prior.names:
            mean, sd = (
                np.array([getattr(law[name], m)() for law in laws]) for m in ("mean", "std")
            )
            row = {"section": "gaps", "of": f"{name}, {low} to {high - 1} values"}
            rows.append(row | compared(draws[name].values, mean, sd) | {"training [s]": seconds})
    return rows


def errors(options):
    fitted, seconds = fit(measure, PRIOR, given={"sigma": ERROR_BARS}, options=options)
    return at_error_bars("errors", fitted, seconds)


def catalogue(options):
    table = si.simulate(truth, PRIOR, n=options.simulations, seed=1, progress=False)
    bars = ERROR_BARS.rvs(OBJECTS, random_state=np.random.default_rng(2))
    fitted, seconds = fit(table, given={"sigma": bars}, noise=blur, options=options)
    return at_error_bars("catalogue", fitted, seconds)


def at_error_bars(section, fitted, seconds):
    rng, rows = np.random.default_rng(3), []
    for sigma in SIGMAS:
        y = rng.normal(size=OBSERVATIONS) * np.hypot(1, sigma)
        draws = fitted.sample_each([{"y": one, "sigma": sigma} for one in y], DRAWS)
        mean, sd = y / (1 + sigma**2), np.full(OBSERVATIONS, sigma / np.hypot(1, sigma))
        row = {"section": section, "of": f"a, sigma = {sigma}"}
        rows.append(row | compared(draws["a"].values, mean, sd) | {"training [s]": seconds})
    return rows


def mean_of(law):
    return law.mean()


def sd_of(law):
    return law.std()


def compared(draws, mean, sd):
    """Compare draws (observations, n) with exact means and standard deviations."""
    return {
        "mean off by [sd]": float(np.mean(np.abs(draws.mean(axis=1) - mean) / sd)),
        "ratio of sds": float(np.mean(draws.std(axis=1, ddof=1) / sd)),
    }


def fit(study, prior=None, *, options, **settings):
    started = perf_counter()
    if not isinstance(study, si.Simulations):
        settings["n_simulations"] = options.simulations
    fitted = si.fit_posterior(study, prior, seed=options.seed, progress=False, **settings)
    return fitted, perf_counter() - started


SECTIONS = {"gaps": gaps, "errors": errors, "catalogue": catalogue}


def table(rows):
    """Make the table of the page: medians over seeds, with the smallest and the largest."""
    if rows.empty:
        return ""
    lines = [
        {
            "section": section,
            "of": of,
            "mean off by [sd]": spread(here["mean off by [sd]"], "{:.3f}"),
            "ratio of sds": spread(here["ratio of sds"], "{:.3f}"),
            "training [s]": spread(here["training [s]"], "{:.0f}"),
        }
        for (section, of), here in rows.groupby(["section", "of"], sort=False)
    ]
    return headed(rows, pd.DataFrame(lines), SPREAD)


BENCHMARK = Benchmark(
    Records("gaps-and-errors", ("section", "simulations", "of")),
    parts=list(SECTIONS),
    measure=lambda options: SECTIONS[options.part](options),
    table=table,
    settings={"simulations": 10_000},
)

if __name__ == "__main__":
    main(BENCHMARK, __doc__)
