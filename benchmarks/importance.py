"""Weighting to the exact posterior: C2ST and evidence where both are known.

    python benchmarks/importance.py                      three seeds
    python benchmarks/importance.py --only decay --seeds 1
    python benchmarks/importance.py --table              the table of the results page

Problems
    ten means   gaussian_linear: a Gaussian posterior of ten parameters
    counts      two rates under gamma priors, twenty Poisson counts of each: conjugate
    two moons   two crescents; evidence and exact draws from a grid
    decay       a deterministic simulator, A exp(-t / tau), with noise of known size; from a grid

Each is fitted with default settings twice: with 2,000 simulations, and with 300, which leave a
network that is far off. C2ST of 2,000 draws against as many exact ones (noise .008), before and
after weighting.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
import scipy.stats as st
from parts import Benchmark, main
from records import SPREAD, Records, headed, spread
from sbi_inn.simulators.gaussian_linear import VARIANCE
from sbi_inn.simulators.gaussian_linear import posterior as exact_means
from scipy.special import gammaln, logsumexp

import sbi_inn as si
from sbi_inn.diagnostics.two_samples import c2st
from sbi_inn.diagnostics.weighted import systematic
from sbi_inn.draws import flat

DRAWS = 2_000  # for C2ST
WEIGHTED = 20_000
SIMULATIONS = (2_000, 300)
GRID = 1_500  # cells of each parameter


@dataclass(frozen=True)
class Known:
    """A problem whose posterior and evidence at one observation are known.

    Attributes
    ----------
    problem : Problem
    log_likelihood : callable
        Of rows of parameters.
    y : array
        The observation.
    log_evidence : float
    draws : callable
        Number and generator to exact draws, shape (n, d).
    """

    problem: Any
    log_likelihood: Callable[..., Any]
    y: Any
    log_evidence: float
    draws: Callable[[int, np.random.Generator], Any]


# -- ten means -------------------------------------------------------------------------------------


def ten_means():
    y = np.linspace(-0.6, 0.9, 10)
    mean, covariance = exact_means(y)
    return Known(
        si.get("gaussian_linear"),
        lambda theta, y: st.norm(theta, np.sqrt(VARIANCE)).logpdf(y).sum(axis=1),
        y,
        float(st.norm(0, np.sqrt(2 * VARIANCE)).logpdf(y).sum()),
        lambda n, rng: rng.multivariate_normal(mean, covariance, n),
    )


# -- counts ----------------------------------------------------------------------------------------

SHAPE, RATE, COUNTS = np.array([2.0, 4.0]), np.array([1.0, 0.5]), 20


@si.simulator(batched=True)
def count(a, b, rng):
    """Count twenty times at each of two rates."""
    return rng.poisson(np.column_stack([a, b])[:, :, None], (len(a), 2, COUNTS)).astype(float)


def counts():
    a, b = (st.gamma(shape, scale=1 / rate) for shape, rate in zip(SHAPE, RATE, strict=True))
    y = np.random.default_rng(5).poisson(np.array([[2.5], [7.0]]), (2, COUNTS)).astype(float)
    total, shape, rate = y.sum(axis=1), SHAPE + y.sum(axis=1), RATE + COUNTS
    log_evidence = SHAPE * np.log(RATE) - gammaln(SHAPE) + gammaln(shape) - shape * np.log(rate)
    factorials = gammaln(y + 1).sum()
    return Known(
        si.Problem(count, si.Prior(a=a, b=b)),
        lambda a, b: total[0] * np.log(a) + total[1] * np.log(b) - COUNTS * (a + b) - factorials,
        y,
        float(log_evidence.sum() - factorials),
        lambda n, rng: rng.gamma(shape, 1 / rate, (n, 2)),
    )


# -- two moons -------------------------------------------------------------------------------------


def moons_likelihood(theta1, theta2, y):
    """Log density of a point on the half circle, after undoing the shift."""
    across = y[0] - 0.25 + np.abs(theta1 + theta2) / np.sqrt(2)
    along = y[1] - (theta2 - theta1) / np.sqrt(2)
    radius = np.hypot(across, along)
    log_prob = st.norm(0.1, 0.01).logpdf(radius) - np.log(np.pi * radius)
    return np.where(across > 0, log_prob, -np.inf)


def two_moons():
    y = np.array([0.05, -0.1])
    return on_a_grid(si.get("two_moons"), moons_likelihood, y, [(-1, 1), (-1, 1)])


# -- decay -----------------------------------------------------------------------------------------

TIMES, SIGMA = np.linspace(0.2, 6, 25), 0.1


def curve(amplitude, lifetime):
    return amplitude[..., None] * np.exp(-TIMES / lifetime[..., None])


@si.simulator(batched=True)
def decay(amplitude, lifetime):
    """Give the exact curve."""
    return curve(amplitude, lifetime)


@si.simulator(batched=True)
def read_out(y, rng):
    """Add the noise of the detector."""
    return y + SIGMA * rng.normal(size=y.shape)


def decay_likelihood(amplitude, lifetime, y):
    """Compute the curve again, and compare."""
    return st.norm(curve(amplitude, lifetime), SIGMA).logpdf(y).sum(axis=-1)


def decaying():
    prior = si.Prior(amplitude=st.uniform(0.2, 1.8), lifetime=st.gamma(3, scale=0.7))
    problem = si.Problem(decay, prior, noise=read_out)
    truth = curve(np.array(0.6), np.array(1.2))
    y = truth + SIGMA * np.random.default_rng(7).normal(size=truth.shape)
    return on_a_grid(problem, decay_likelihood, y, [(0.2, 2.0), (0.05, 6.0)])


# -- known by a grid -------------------------------------------------------------------------------


def on_a_grid(problem, log_likelihood, y, ends):
    """Integrate over the cells of a grid of two parameters, and draw from them."""
    edges = [np.linspace(*pair, GRID + 1) for pair in ends]
    widths = [edge[1] - edge[0] for edge in edges]
    middles = np.meshgrid(*[(edge[1:] + edge[:-1]) / 2 for edge in edges], indexing="ij")
    cells = np.column_stack([middle.ravel() for middle in middles])
    named = dict(zip(problem.prior.names, cells.T, strict=True))
    parts = [
        log_likelihood(**{name: values[rows] for name, values in named.items()}, y=y)
        for rows in np.array_split(np.arange(len(cells)), 100)
    ]
    log_mass = problem.prior.log_prob(named) + np.concatenate(parts) + np.log(widths).sum()
    chances = np.exp(log_mass - logsumexp(log_mass))

    def draws(n, rng):
        chosen = rng.choice(len(cells), n, p=chances)
        return cells[chosen] + (rng.random((n, 2)) - 0.5) * widths

    return Known(problem, log_likelihood, y, float(logsumexp(log_mass)), draws)


PROBLEMS = {"ten means": ten_means, "counts": counts, "two moons": two_moons, "decay": decaying}


def weighted_draws(found, rng):
    """Resample so few of the weighted draws that none comes twice: a classifier learns those."""
    return found.raw.isel(draw=systematic(found.weights, rng, DRAWS))


def measure(known, simulations, seed):
    """Fit, weight and compare."""
    started = perf_counter()
    posterior = si.fit_posterior(
        known.problem, n_simulations=simulations, seed=seed, progress=False
    )
    fitted = perf_counter()
    found = posterior.importance(known.y, known.log_likelihood, WEIGHTED, batched=True)
    weighted = perf_counter()
    rng = np.random.default_rng(seed)
    exact = known.draws(DRAWS, rng)

    def compare(draws):
        return c2st(exact, flat(draws)[1][:DRAWS], rng=rng)

    return {
        "simulations": simulations,
        "C2ST of the network": compare(posterior.sample(known.y, DRAWS)),
        "C2ST": compare(weighted_draws(found, rng)),
        "ln evidence": known.log_evidence,
        "ln evidence off by": found.log_evidence - known.log_evidence,
        "its error": found.log_evidence_error,
        "share of the network": found.network_share,
        "share": found.effective_share,
        "Pareto k": found.pareto_k,
        "verdict": found.verdict,
        "evaluations": found.evaluations,
        "fit [s]": fitted - started,
        "weighting [s]": weighted - fitted,
    }


def table(rows):
    """Make the table of the page: medians over seeds, with the smallest and the largest."""
    if rows.empty:
        return ""
    forms = {
        "C2ST of the network": "{:.3f}",
        "C2ST": "{:.3f}",
        "ln evidence off by": "{:+.3f}",
        "its error": "{:.3f}",
        "share of the network": "{:.1%}",
        "share": "{:.0%}",
        "Pareto k": "{:.2f}",
        "evaluations": "{:,.0f}",
        "weighting [s]": "{:.1f}",
    }
    lines = [
        {"problem": problem, "simulations": f"{simulations:,}"}
        | {name: spread(here[name], form) for name, form in forms.items()}
        | {"verdict": ", ".join(here["verdict"].unique())}
        for (problem, simulations), here in rows.groupby(["problem", "simulations"], sort=False)
    ]
    return headed(rows, pd.DataFrame(lines), SPREAD)


BENCHMARK = Benchmark(
    Records("importance", ("problem", "simulations")),
    parts=list(PROBLEMS),
    measure=lambda options: [
        measure(PROBLEMS[options.part](), simulations, options.seed) for simulations in SIMULATIONS
    ],
    table=table,
)

if __name__ == "__main__":
    main(BENCHMARK, __doc__)
