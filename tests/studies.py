"""Small studies with posteriors that can be written down, and short fits of them."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import scipy.stats as st

import sbi_inn as si
from sbi_inn.data import Simulations
from sbi_inn.training import History

SMALL = si.CINN(blocks=4, hidden=32)

NOISE = 0.5
MIX = np.array([[1.0, 1.0], [0.5, -1.0]])
SPREAD = np.array([1.0, 2.0])  # sd of the prior of a and b


@si.simulator(batched=True)
def line(a, b, rng):
    """Measure a sum and a difference with noise."""
    return {"y": np.column_stack([a, b]) @ MIX.T + rng.normal(0, NOISE, (len(a), 2))}


LINE = si.Problem(
    line,
    si.Prior(a=st.norm(0, SPREAD[0]), b=st.norm(0, SPREAD[1])),
    labels={"a": "intercept"},
    units={"a": "m", "y": "mm"},
)


def exact(y):
    """Give mean and covariance of the posterior of `LINE`; many `y` give as many means."""
    covariance = np.linalg.inv(np.diag(SPREAD**-2) + MIX.T @ MIX / NOISE**2)
    return np.asarray(y) @ (covariance @ MIX.T / NOISE**2).T, covariance


@dataclass(frozen=True)
class Settings:
    label: ClassVar[str] = "exact"


@dataclass(frozen=True)
class ExactLine:
    """The exact posterior of `LINE` with the face of a trained method, or a planted wrong one.

    `shift` is in posterior standard deviations of each parameter, `width` relative to the exact.
    """

    shift: float = 0.0
    width: float = 1.0
    settings: Settings = Settings()
    history: History = History((1.0,), (2.0,), (2.5,), 1.0, "finished", 7, 3.0)

    def moments(self, observations):
        mean, covariance = exact(observations.vector)
        mean = mean + self.shift * np.sqrt(np.diag(covariance))
        return mean / SPREAD, self.width**2 * covariance / np.outer(SPREAD, SPREAD)

    def sample(self, observations, n, rng):
        mean, covariance = self.moments(observations)
        noise = rng.standard_normal((len(mean), n, 2))
        return mean[:, None] + noise @ np.linalg.cholesky(covariance).T

    def log_prob(self, latent, observations):
        mean, covariance = self.moments(observations)
        mean = np.repeat(mean, len(latent) // len(mean), axis=0)
        return st.multivariate_normal(np.zeros(2), covariance).logpdf(latent - mean).reshape(-1)

    def describe(self):
        return "exact posterior"

    def to_arrays(self):
        return {"name": "exact"}, {}


def exact_posterior(n=1000, test=500, *, problem=LINE, fitted=None, simulator=True, seed=3):
    """Make a Posterior of `LINE` that was never trained; of its rows the first are held out."""
    simulations = si.simulate(problem, n=n, seed=seed, n_jobs=1, progress=False)
    return si.Posterior(
        fitted or ExactLine(),
        simulations,
        np.arange(test),
        seed=seed,
        problem=problem if simulator else None,
    )


def quick_fit(simulator, prior=None, *, n=300, epochs=1, seed=1, **settings):
    """Fit a small network for a short time."""
    if not isinstance(simulator, Simulations):
        settings |= {"n_simulations": n}
    return si.fit_posterior(
        simulator,
        prior,
        method=settings.pop("method", SMALL),
        training=si.Training(epochs=epochs),
        seed=seed,
        progress=False,
        **settings,
    )


def briefly(posterior, n=500):
    """Let the checks of a posterior use fewer test simulations than they would."""
    judge = replace(posterior.judge, tests=posterior.judge.tests.head(n))
    posterior.__dict__["judge"] = judge
    return posterior


def columns(draws):
    """Lay draws side by side, shape (draws, dim)."""
    return np.column_stack([draws[name].values for name in draws.data_vars])
