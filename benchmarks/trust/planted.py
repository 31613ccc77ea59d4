"""Linear-Gaussian studies with exact posteriors, and posteriors that are wrong on purpose."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import scipy.stats as st

import sbi_inn as si
from sbi_inn.posterior.core import Core
from sbi_inn.training.history import History

VARIANCE = 0.1  # of the posterior of each parameter, whose prior is N(0, 1)


@dataclass(frozen=True)
class Settings:
    label: ClassVar[str] = "planted"


@dataclass(frozen=True)
class Study:
    """Parameters whose posterior, given y, is N(y, .1 R): R has one correlation for all pairs."""

    dim: int
    correlation: float

    @property
    def covariance(self):
        return VARIANCE * equicorrelated(self.dim, self.correlation)

    @property
    def problem(self):
        # theta ~ N(0, 1) and y ~ N(0, 1 - C) with theta | y ~ N(y, C): so y | theta is Gaussian
        # with mean (1 - C) theta and covariance (1 - C) - (1 - C)^2.
        slope = np.eye(self.dim) - self.covariance
        noise = np.linalg.cholesky(slope - slope @ slope)

        @si.simulator(batched=True)
        def observe(rng, **parameters):
            theta = np.column_stack(list(parameters.values()))
            return theta @ slope + rng.standard_normal(theta.shape) @ noise.T

        return si.Problem(
            observe, si.Prior(**{f"x{i}": st.norm(0, 1) for i in range(1, self.dim + 1)})
        )


@dataclass(frozen=True)
class Planted:
    """A posterior of a `Study` that is exact, or wrong in one way.

    Attributes
    ----------
    shift : float
        Of each parameter, in posterior standard deviations.
    width : float
        Relative to the right one.
    correlation : float
        What it claims.
    near : float
        Wrong only where |y| of the first parameter is below this.
    """

    study: Study
    correlation: float
    shift: float = 0.0
    width: float = 1.0
    near: float = np.inf
    settings: Settings = Settings()
    history: History = History((1.0,), (2.0,), (2.5,), 1.0, "finished", 7, 3.0)

    def sample(self, observations, n, rng):
        y = observations.vector
        noise = rng.standard_normal((len(y), n, self.study.dim)) @ self._root.T
        shift, width = self._wrong(y)
        return y[:, None] + shift[:, None, None] * np.sqrt(VARIANCE) + width[:, None, None] * noise

    def log_prob(self, latent, observations):
        y = observations.vector
        shift, width = (np.repeat(v, len(latent) // len(y)) for v in self._wrong(y))
        centre = np.repeat(y, len(latent) // len(y), axis=0) + (shift * np.sqrt(VARIANCE))[:, None]
        scaled = np.linalg.solve(self._root, (latent - centre).T).T / width[:, None]
        log_det = np.log(np.diag(self._root)).sum() + self.study.dim * np.log(width)
        constant = 0.5 * self.study.dim * np.log(2 * np.pi)
        return -0.5 * (scaled**2).sum(axis=1) - log_det - constant

    def describe(self):
        return "planted posterior"

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"name": "planted"}, {}

    def _wrong(self, y):
        here = np.abs(y[:, 0]) < self.near
        return np.where(here, self.shift, 0.0), np.where(here, self.width, 1.0)

    @property
    def _root(self):
        return np.linalg.cholesky(VARIANCE * equicorrelated(self.study.dim, self.correlation))


def equicorrelated(dim, correlation):
    return (1 - correlation) * np.eye(dim) + correlation * np.ones((dim, dim))


def posterior_of(planted, *, seed, tests=1_000):
    """Make a Posterior with this many test simulations, none of which is its own."""
    problem = planted.study.problem
    simulations = si.simulate(problem, n=tests, seed=seed, n_jobs=1, progress=False)
    core = Core(
        planted, simulations, np.arange(tests), seed=seed, n_simulations=tests, problem=problem
    )
    posterior = si.Posterior(core)
    held_out = posterior._subject().tests.head(tests)
    posterior._shared = replace(posterior._subject(), tests=held_out)
    return posterior
