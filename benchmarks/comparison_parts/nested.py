"""Twenty reference log Bayes factors of two epidemics, by nested sampling on exact likelihoods.

    python benchmarks/comparison_parts/nested.py

Ten observations of `sir` and ten of `seir` are drawn; dynesty, in an environment of its own, gives
the evidence of both models for each. Importance sampling around the peak of the posterior, another
method altogether, stands beside it. Both are written to benchmarks/reference/epidemics.csv.
"""

from __future__ import annotations

import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.stats as st
from sbi_inn.simulators import seir, sir
from scipy.integrate import odeint
from scipy.special import logsumexp

import sbi_inn as si

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from environments import python  # noqa: E402 (beside this folder)

FILE = Path(__file__).resolve().parents[1] / "reference" / "epidemics.csv"
SEED = 2026
EACH = 10  # observations of each model
LIVE = 300  # points of nested sampling
REMAINS = 0.05  # of the evidence, in its logarithm, where it stops
DRAWS, ROUNDS = 3_000, 8  # of importance sampling
LEAST = 40  # draws that count, before the proposal is fitted to them
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


# -- importance sampling: many points at once ------------------------------------------------------


def importance(y, prior, log_likelihood, seed):
    """Give the log evidence by importance sampling about the peak in latents, and its error.

    The proposal begins as the prior, and is fitted to its own weighted draws again and again.
    """
    rng, d = np.random.default_rng(seed), len(prior.names)

    def log_joint(z):
        values = log_likelihood(y, prior.from_latent(z))
        finite = np.nan_to_num(values, nan=-1e300, neginf=-1e300)
        return finite + st.norm.logpdf(z).sum(axis=1)

    z = rng.normal(size=(DRAWS, d))
    log_weight = log_joint(z)
    for round_ in range(ROUNDS + 1):
        # Early weights are flattened until enough draws count, so that no few of them decide.
        flat = log_weight - log_weight.max()
        while effective(flat) < LEAST:
            flat = 0.7 * flat
        weight = np.exp(flat) / np.exp(flat).sum()
        mean, scale = weight @ z, np.cov(z.T, aweights=weight).reshape(d, d)
        if round_ == ROUNDS:
            break
        proposal = st.multivariate_t(mean, 1.2 * scale + 1e-12 * np.eye(d), df=5, seed=rng)
        z = proposal.rvs(DRAWS).reshape(-1, d)
        log_weight = log_joint(z) - proposal.logpdf(z)
    weight = np.exp(log_weight - log_weight.max())
    error = weight.std() / weight.mean() / np.sqrt(DRAWS)
    return logsumexp(log_weight) - np.log(DRAWS), error


def effective(log_weight):
    """Give the effective number of draws."""
    weight = np.exp(log_weight - log_weight.max())
    return weight.sum() ** 2 / (weight**2).sum()


def main():
    counts, models = observations()
    if not FILE.exists():
        rows = [start(i, y, true) for i, (y, true) in enumerate(zip(counts, models, strict=True))]
        pd.DataFrame(rows).round(4).to_csv(FILE, index=False)
    sys.path.append(str(next((python("dynesty").parents[1] / "lib").glob("*/site-packages"))))
    warnings.filterwarnings("ignore", message="The enlargement factor")
    for i in np.argsort(np.arange(2 * EACH) % EACH, kind="stable"):  # the models take turns
        table = pd.read_csv(FILE)
        if "log_evidence_seir" in table and np.isfinite(table.loc[i, "log_evidence_seir"]):
            continue
        began = time.perf_counter()
        for name, (problem, _) in MODELS.items():
            value, error, calls = nested(counts[i], problem.prior, SEED + i)
            found = {f"log_evidence_{name}": value, f"error_{name}": error, f"calls_{name}": calls}
            for column, number in found.items():
                table.loc[i, column] = number
        table.round(4).to_csv(FILE, index=False)
        print(i, f"{time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)


def start(i, y, true):
    """Make the row of an observation, with importance sampling."""
    row = {"model": true} | {f"y{k}": int(count) for k, count in enumerate(y, 1)}
    for name, (problem, log_likelihood) in MODELS.items():
        value, error = importance(y, problem.prior, log_likelihood, SEED + i)
        row |= {f"importance_{name}": value, f"importance_error_{name}": error}
    print(row, file=sys.stderr, flush=True)
    return row


if __name__ == "__main__":
    main()
