"""Twenty reference log Bayes factors of two epidemics, by nested sampling on exact likelihoods.

    python benchmarks/comparison_parts/nested.py

Ten observations of `sir` and ten of `seir` are drawn; dynesty, in an environment of its own, gives
the evidence of both models for each. Importance sampling around the peak of the posterior, another
method altogether, stands beside it. Both are written to benchmarks/reference/epidemics.csv.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.stats as st
from sbi_inn.simulators import seir, sir
from scipy.integrate import odeint
from scipy.optimize import minimize
from scipy.special import logsumexp

import sbi_inn as si

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from environments import python  # noqa: E402 (beside this folder)

FILE = Path(__file__).resolve().parents[1] / "reference" / "epidemics.csv"
SEED = 2026
EACH = 10  # observations of each model
LIVE = 500  # points of nested sampling
REMAINS = 0.01  # of the evidence, in its logarithm, where it stops
DRAWS = 5_000  # of importance sampling
TIMES = sir.DAYS * np.arange(sir.TIMES)
MODELS = {
    "sir": (sir.problem, lambda y, p: sir.log_likelihood(y, p["beta"], p["gamma"])),
    "seir": (seir.problem, lambda y, p: seir.log_likelihood(y, p["beta"], p["gamma"], p["sigma"])),
}


def observations():
    """Draw the observations: counts (20, 10), and the model of each."""
    drawn = [
        si.simulate(problem, n=EACH, seed=SEED, n_jobs=1, progress=False).dataset["y"].values
        for problem, _ in MODELS.values()
    ]
    return np.concatenate(drawn), np.repeat(list(MODELS), EACH)


# -- nested sampling: one point at a time, so that an adaptive integrator is the fastest -----------


def sir_change(state, _, beta, gamma):
    """In logarithms of the susceptible and the infected, which stay accurate near zero."""
    return -beta * np.exp(state[1]), beta * np.exp(state[0]) - gamma


def seir_change(state, _, beta, gamma, sigma):
    meet, fall_ill = beta * state[0] * state[2], sigma * state[1]
    return -meet, meet - fall_ill, fall_ill - gamma * state[2]


def share(rates):
    """Give the infected share at the ten times, from two rates (SIR) or three (SEIR)."""
    if len(rates) == 2:
        start = np.log([1 - sir.FIRST, sir.FIRST])
        path = odeint(sir_change, start, TIMES, tuple(rates), rtol=1e-8, atol=1e-8)
        return np.exp(path[:, 1])
    start = [1 - sir.FIRST, sir.FIRST, 0]
    return odeint(seir_change, start, TIMES, tuple(rates), rtol=1e-8, atol=1e-14)[:, 2]


def log_binomial(y, shares):
    """Give the binomial log likelihood without its coefficients."""
    p = np.clip(shares, 1e-300, 1 - 1e-16)
    return float((y * np.log(p) + (sir.TESTS - y) * np.log1p(-p)).sum())


def nested(y, prior, seed):
    """Give the log evidence by nested sampling, and its error."""
    import dynesty

    # All priors are log-normal: the logarithms of two draws give the mean and the spread.
    at_zero, at_one = (
        np.log([*prior.from_latent(np.full((1, len(prior.names)), z)).values()])[:, 0]
        for z in (0.0, 1.0)
    )
    mean, sd = at_zero, at_one - at_zero
    ways = st.binom(sir.TESTS, 0.5).logpmf(y) + sir.TESTS * np.log(2)  # binomial coefficients

    sampler = dynesty.NestedSampler(
        lambda rates: log_binomial(y, share(rates)),
        lambda u: np.exp(mean + sd * st.norm.ppf(u)),
        len(mean),
        nlive=LIVE,
        sample="unif",
        rstate=np.random.default_rng(seed),
    )
    sampler.run_nested(dlogz=REMAINS, print_progress=False)
    found = sampler.results
    return found.logz[-1] + ways.sum(), found.logzerr[-1], int(np.sum(found.ncall))


# -- importance sampling: many points at once -------------------------------------------------------


def importance(y, prior, log_likelihood, seed):
    """Give the log evidence by importance sampling about the peak in latents, and its error."""
    rng = np.random.default_rng(seed)

    def log_joint(latents):
        values = log_likelihood(y, prior.from_latent(latents))
        finite = np.nan_to_num(values, nan=-1e300, neginf=-1e300)
        return finite + st.norm.logpdf(latents).sum(axis=1)

    start = rng.normal(size=(2_000, len(prior.names)))
    best = start[log_joint(start).argmax()]
    found = minimize(lambda z: -log_joint(z[None])[0], best, method="Nelder-Mead").x
    scale = covariance(log_joint, found)
    for _ in range(3):
        proposal = st.multivariate_t(found, 1.5 * scale, df=5, seed=rng)
        z = proposal.rvs(DRAWS)
        log_weight = log_joint(z) - proposal.logpdf(z)
        weight = np.exp(log_weight - log_weight.max())
        found = weight @ z / weight.sum()
        scale = np.cov(z, rowvar=False, aweights=weight)
    error = weight.std() / weight.mean() / np.sqrt(DRAWS)
    return logsumexp(log_weight) - np.log(DRAWS), error


def covariance(log_joint, peak):
    """Guess the posterior's covariance: where the density has fallen by one, along each axis."""
    steps = np.geomspace(1e-4, 2, 60)
    top = log_joint(peak[None])[0]
    widths = []
    for axis in np.eye(len(peak)):
        fallen = top - log_joint(peak + steps[:, None] * axis) > 0.5
        widths.append(steps[fallen.argmax()] if fallen.any() else 1.0)
    return np.diag(np.square(widths))


def main():
    sys.path.append(str(next((python("dynesty").parents[1] / "lib").glob("*/site-packages"))))
    counts, models = observations()
    rows = []
    for i, (y, true) in enumerate(zip(counts, models, strict=True)):
        row = {"model": true} | {f"y{k}": int(count) for k, count in enumerate(y, 1)}
        began = time.perf_counter()
        for name, (problem, log_likelihood) in MODELS.items():
            value, error, calls = nested(y, problem.prior, SEED + i)
            row |= {f"log_evidence_{name}": value, f"error_{name}": error, f"calls_{name}": calls}
            value, error = importance(y, problem.prior, log_likelihood, SEED + i)
            row |= {f"importance_{name}": value, f"importance_error_{name}": error}
        rows.append(row)
        pd.DataFrame(rows).round(4).to_csv(FILE, index=False)
        print(i, f"{time.perf_counter() - began:.0f} s", row, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
