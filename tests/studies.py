"""Small studies with posteriors that can be written down, and short fits of them."""

from dataclasses import dataclass, replace
from functools import cache
from typing import ClassVar

import numpy as np
import scipy.stats as st

import sbi_inn as si
from sbi_inn.posterior.core import Core
from sbi_inn.simulation.simulations import Simulations
from sbi_inn.training.history import History

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

    `shift` is in posterior standard deviations of each parameter, `width` relative to the exact,
    `correlation` what it claims (default: the right one). It is wrong where y[0] exceeds `beyond`.
    """

    shift: float = 0.0
    width: float = 1.0
    correlation: float | None = None
    beyond: float = -np.inf
    settings: Settings = Settings()
    history: History = History((1.0,), (2.0,), (2.5,), 1.0, "finished", 7, 3.0)

    @property
    def histories(self):
        return (self.history,)

    def moments(self, observations):
        """Mean (batch, 2), width relative to the exact (batch,) and covariance of the latents."""
        mean, covariance = exact(observations.vector)
        sd, wrong = np.sqrt(np.diag(covariance)), observations.vector[:, 0] > self.beyond
        if self.correlation is not None:
            covariance = np.outer(sd, sd) * [[1, self.correlation], [self.correlation, 1]]
        mean = mean + np.where(wrong, self.shift, 0.0)[:, None] * sd
        width = np.where(wrong, self.width, 1.0)
        return mean / SPREAD, width, covariance / np.outer(SPREAD, SPREAD)

    def sample(self, observations, n, rng):
        mean, width, covariance = self.moments(observations)
        noise = rng.standard_normal((len(mean), n, 2)) @ np.linalg.cholesky(covariance).T
        return mean[:, None] + width[:, None, None] * noise

    def log_prob(self, latent, observations):
        mean, width, covariance = self.moments(observations)
        mean, width = (np.repeat(v, len(latent) // len(v), axis=0) for v in (mean, width))
        standard = st.multivariate_normal(np.zeros(2), covariance)
        return standard.logpdf((latent - mean) / width[:, None]).reshape(-1) - 2 * np.log(width)

    def describe(self):
        return "exact posterior"

    def to_arrays(self):
        return {"name": "exact"}, {}


SAMPLE = si.get("normal_sample")


@dataclass(frozen=True)
class ExactSample:
    """The exact posterior of `SAMPLE`; that of mu is `width` times as wide below so many."""

    width: float = 1.0
    below: int = 10_000
    settings: Settings = Settings()
    history: History = History((1.0,), (2.0,), (2.5,), 1.0, "finished", 7, 3.0)

    def law(self, observations):
        """Centre and sd of mu (over sigma), shape and rate of 1 / sigma^2, each (batch,)."""
        padded = observations.sets["n"]
        values, n = padded.values[:, :, 0], padded.sizes
        mean = np.where(padded.mask, values, 0).sum(axis=1) / n
        squares = np.where(padded.mask, (values - mean[:, None]) ** 2, 0).sum(axis=1)
        width = np.where(n < self.below, self.width, 1.0)
        rate = 3 + (squares + n / (1 + n) * mean**2) / 2
        return n * mean / (1 + n), width / np.sqrt(1 + n), 3 + n / 2, rate

    def sample(self, observations, n, rng):
        centre, sd, shape, rate = (v[:, None] for v in self.law(observations))
        sigma = np.sqrt(rate / rng.gamma(shape, size=(len(shape), n)))
        mu = centre + sd * sigma * rng.standard_normal(sigma.shape)
        flat = {"sigma": sigma.ravel(), "mu": mu.ravel()}
        return SAMPLE.prior.to_latent(flat).reshape(*sigma.shape, 2)

    def log_prob(self, latent, observations):
        law = self.law(observations)
        centre, sd, shape, rate = (np.repeat(v, len(latent) // len(v)) for v in law)
        flat = SAMPLE.prior.from_latent(latent)
        log_prob = st.gengamma(shape, -2, scale=np.sqrt(rate)).logpdf(flat["sigma"])
        log_prob += st.norm(centre, sd * flat["sigma"]).logpdf(flat["mu"])
        # The latent's density: that of the parameters over the prior's, times N(0, I).
        return log_prob - SAMPLE.prior.log_prob(flat) + st.norm.logpdf(latent).sum(axis=1)

    def describe(self):
        return "exact posterior"

    def to_arrays(self):
        return {"name": "exact"}, {}


def exact_posterior(n=1000, test=500, *, problem=LINE, fitted=None, simulator=True, seed=3):
    """Make a Posterior of `LINE` that was never trained; of its rows the first are held out."""
    simulations = si.simulate(problem, n=n, seed=seed, n_jobs=1, progress=False)
    core = Core(
        fitted or ExactLine(),
        simulations,
        np.arange(test),
        seed=seed,
        n_simulations=n,
        problem=problem if simulator else None,
    )
    return si.Posterior(core)


@cache
def surveyed(fitted=ExactLine(), n=1_000, seed=5):
    """Draw from a posterior of `LINE` at n test simulations, as the checks do."""
    return exact_posterior(n, n, fitted=fitted, simulator=False, seed=seed)._subject().survey()


def quick_fit(simulator, prior=None, *, n=300, epochs=1, seed=1, **settings):
    """Fit a small network, a single one, for a short time."""
    if not isinstance(simulator, Simulations):
        settings |= {"n_simulations": n}
    settings.setdefault("ensemble", 1)
    return si.fit_posterior(
        simulator,
        prior,
        method=settings.pop("method", SMALL),
        training=si.Training(epochs=epochs),
        seed=seed,
        progress=False,
        **settings,
    )


def subject_of(posterior):
    """Give what the checks of a posterior share."""
    return posterior._subject()


def briefly(posterior, n=500):
    """Let the checks of a posterior use fewer test simulations than they would."""
    subject = posterior._subject()
    posterior._shared = replace(subject, tests=subject.tests.head(n))
    return posterior


def columns(draws):
    """Lay draws side by side, shape (draws, dim)."""
    return np.column_stack([draws[name].values for name in draws.data_vars])
