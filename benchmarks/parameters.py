"""Posterior probabilities of discrete parameters against exact enumeration.

    python benchmarks/parameters.py [--only NAME ...] [--simulations N] [--tests N]
    python benchmarks/parameters.py --table              the table of the results page

Three models with a discrete and a continuous parameter, fitted with default settings. At each of
many test observations, drawn from the prior predictive distribution, the posterior probability of
every value of the discrete parameter is compared with the exact one: the continuous parameter is
integrated out on a grid. Of the differences at an observation the largest counts. What the draws
show has the noise of 10,000 draws (.005) on top of what `log_prob` says; both are given.
"""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import scipy.stats as st
from parts import Benchmark, main
from records import SPREAD, Records, headed, spread
from scipy.special import logsumexp

import sbi_inn as si

DRAWS = 10_000
GRID = 400  # points of the continuous parameter
RATES = np.array([1.0, 3.0, 6.0, 10.0])


@si.simulator(batched=True)
def counts(k, scale, rng):
    """Count three times at one of four rates, times a scale."""
    return {"n": rng.poisson((scale * RATES[k])[:, None], (len(k), 3)).astype(float)}


@si.simulator(batched=True)
def tosses(n, p, rng):
    """Toss a coin n times; see heads, and a noisy hint of n."""
    return {"heads": rng.binomial(n, p).astype(float), "hint": n + rng.normal(0, 1.0, len(n))}


@si.simulator(batched=True)
def total(k, scale, rng):
    """Count once at one of four rates, times a scale, three times as long."""
    return {"n": rng.poisson(3 * scale * RATES[k]).astype(float)}


def total_likelihood(y, k, scale):
    """Log likelihood of one count, shape (values, grid)."""
    return st.poisson(3 * RATES[k][:, None] * scale).logpmf(y["n"])


def counts_likelihood(y, k, scale):
    """Log likelihood of three counts, shape (values, grid)."""
    rates = RATES[k][:, None] * scale
    return st.poisson(rates[..., None]).logpmf(y["n"]).sum(axis=-1)


def tosses_likelihood(y, n, p):
    """Log likelihood of heads and the hint, shape (values, grid)."""
    n = n[:, None]
    return st.binom(n, p).logpmf(y["heads"]) + st.norm(n, 1.0).logpdf(y["hint"])


FOUR = si.Prior(k=st.randint(0, 4), scale=st.gamma(20, scale=1 / 20))
MODELS = {
    "which of four rates, one count": (si.Problem(total, FOUR), total_likelihood),
    "which of four rates, three counts": (si.Problem(counts, FOUR), counts_likelihood),
    "how many tosses": (
        si.Problem(tosses, si.Prior(n=st.binom(8, 0.5), p=st.beta(2, 2))),
        tosses_likelihood,
    ),
}


def exact(problem, likelihood, y, values, grid):
    """Probability of each value, by enumeration and a grid."""
    discrete, smooth = problem.prior.names
    pairs = {discrete: np.repeat(values, len(grid)), smooth: np.tile(grid, len(values))}
    log_prior = problem.prior.log_prob(pairs).reshape(len(values), len(grid))
    joint = log_prior + np.log(np.gradient(grid)) + likelihood(y, values, grid)
    mass = logsumexp(joint, axis=1)
    return np.exp(mass - logsumexp(mass))


def measure(name, n_simulations, n_tests, seed):
    """Fit one model and compare its probabilities at test observations."""
    problem, likelihood = MODELS[name]
    started = time.perf_counter()
    posterior = si.fit_posterior(problem, n_simulations=n_simulations, seed=seed, progress=False)
    seconds = time.perf_counter() - started
    discrete, smooth = problem.prior.names
    # Both ends of the grid leave out 1e-6 of the prior.
    ends = problem.prior.marginal(smooth).from_latent([[-4.75], [4.75]])[smooth]
    grid = np.linspace(*ends, GRID)
    seen = problem.prior.sample(20_000, np.random.default_rng(0))[discrete]
    values = np.arange(seen.min(), seen.max() + 1)
    tests = si.simulate(problem, n=n_tests, seed=seed + 1, progress=False).dataset
    by_density, by_draws, totals = [], [], []
    for row in range(n_tests):
        y = {key: tests[key].values[row] for key in posterior.schema.observables}
        truth = exact(problem, likelihood, y, values, grid)
        pairs = {discrete: np.repeat(values, GRID), smooth: np.tile(grid, len(values))}
        density = np.exp(posterior.log_prob(pairs, y).values).reshape(len(values), GRID)
        mass = np.trapezoid(density, grid, axis=1)
        draws = posterior.sample(y, DRAWS)[discrete].values
        found = (draws[:, None] == values).mean(axis=0)
        totals.append(mass.sum())
        by_density.append(np.abs(mass - truth).max())
        by_draws.append(np.abs(found - truth).max())
    return {
        "model": name,
        "simulations": n_simulations,
        "values": len(values),
        "tests": n_tests,
        "mean": float(np.mean(by_density)),
        "median": float(np.median(by_density)),
        "90 %": float(np.quantile(by_density, 0.9)),
        "mean, of draws": float(np.mean(by_draws)),
        "total probability, furthest from 1": float(np.abs(np.array(totals) - 1).max()),
        "seconds": seconds,
    }


def table(rows):
    """Make the table of the page: medians over seeds, with the smallest and the largest."""
    if rows.empty:
        return ""
    forms = dict.fromkeys(("mean", "median", "90 %", "mean, of draws"), "{:.4f}")
    forms |= {"total probability, furthest from 1": "{:.0e}", "seconds": "{:.0f}"}
    lines = [
        {"model": model, "values": f"{here['values'].iloc[0]}"}
        | {name: spread(here[name], form) for name, form in forms.items()}
        for model, here in rows.groupby("model", sort=False)
    ]
    return headed(rows, pd.DataFrame(lines), SPREAD)


BENCHMARK = Benchmark(
    Records("parameters", ("model", "simulations", "tests")),
    parts=list(MODELS),
    measure=lambda options: [
        measure(options.part, options.simulations, options.tests, options.seed)
    ],
    table=table,
    settings={"simulations": 10_000, "tests": 100},
)

if __name__ == "__main__":
    main(BENCHMARK, __doc__)
