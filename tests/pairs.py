"""Two models whose evidences can be written down, and a comparison of them that takes seconds."""

from functools import cache

import numpy as np
import scipy.stats as st
from scipy.special import gammaln

import sbi_inn as si

NUMBERS = 4
SLOPES = {
    "one": np.array([[1.0], [0.5], [0.0], [-0.5]]),
    "two": np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [0.0, -1.0]]),
}


def linear(slopes):
    """Give the problem y = slopes theta + noise, theta ~ N(0, I)."""
    names = [f"theta{i}" for i in range(slopes.shape[1])]

    def simulate(rng, **theta):
        signal = np.column_stack([theta[name] for name in names]) @ slopes.T
        return {"y": signal + rng.normal(size=signal.shape)}

    prior = si.Prior(**{name: st.norm(0, 1) for name in names})
    return si.Problem(si.simulator(batched=True)(simulate), prior)


PROBLEMS = {name: linear(slopes) for name, slopes in SLOPES.items()}


def log_evidence(y):
    """Give ln p(y | model) of both models, shape (rows, 2)."""
    laws = [
        st.multivariate_normal(np.zeros(NUMBERS), s @ s.T + np.eye(NUMBERS))
        for s in SLOPES.values()
    ]
    return np.stack([np.atleast_1d(law.logpdf(y)) for law in laws], axis=1)


def draws(n, seed):
    """Draw observations of either model, and which one each is of."""
    rng = np.random.default_rng(seed)
    parts = [
        rng.normal(size=(n, s.shape[1])) @ s.T + rng.normal(size=(n, NUMBERS))
        for s in SLOPES.values()
    ]
    return np.concatenate(parts), np.repeat([0, 1], n)


def quick(models, n=2_000, epochs=3, ensemble=1, **settings):
    """Compare models by a small network, trained for a short time."""
    return si.compare_models(
        models,
        n_simulations=n,
        method=settings.pop("method", si.IBINN(blocks=2, hidden=16)),
        training=si.Training(epochs=epochs),
        ensemble=ensemble,
        n_jobs=1,
        seed=settings.pop("seed", 1),
        progress=False,
        **settings,
    )


@cache
def compared():
    """Compare the two linear models."""
    return quick(PROBLEMS, n=8_000, epochs=2)


@si.simulator(batched=True, sets={"n": ["x"]})
def poisson(rate, n, rng):
    return {"x": rng.poisson(rate[:, None], (len(rate), int(n.max()))).astype(float)}


@si.simulator(batched=True, sets={"n": ["x"]})
def geometric(rate, n, rng):
    p = 1 / (1 + rate)
    return {"x": rng.geometric(p[:, None], (len(rate), int(n.max()))).astype(float) - 1}


SIZES = {"n": st.randint(5, 31)}
RATE = si.Prior(rate=st.gamma(4, scale=0.5))
COUNTS = {
    "poisson": si.Problem(poisson, RATE, given=SIZES),
    "geometric": si.Problem(geometric, RATE, given=SIZES),
}


@cache
def compared_counts():
    """Compare two laws of counts, as sets of 5 to 30."""
    return quick(COUNTS, n=600, epochs=4)


def poisson_evidence(x):
    """Give ln p(x | poisson): a Gamma prior of the rate is conjugate."""
    x = np.asarray(x)
    a, b = 4 + x.sum(), 2 + len(x)
    return 4 * np.log(2) - gammaln(4) + gammaln(a) - a * np.log(b) - gammaln(x + 1).sum()
