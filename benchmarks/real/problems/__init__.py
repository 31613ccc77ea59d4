"""Real problems: vague priors, informative data; one file each, and the record of one.

A file defines `problem`, `log_likelihood(parameters, y)` (parameters: arrays with a leading axis n,
by name; y: an observation; gives shape (n,)) and `TRUTHS`: three sets of parameters as a data set
might have them, far from the tails of the prior. It may define `exact(y, n, rng)`, which draws from
the posterior directly; `GIVENS`: values for each truth of the givens that vary; and `to_walk` and
`from_walk`: a linear map from flat parameters to independent ones, in which references are made
where the latent side of the prior takes too long.

>>> one = load("line")
>>> one.observations[0]["temperature"].shape, one.reference(0).shape
((62,), (5000, 3))
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np

NAMES = (
    "cubic",
    "line",
    "radial_velocity",
    "pharmacokinetics",
    "predator_prey",
    "epidemic",
    "mixture",
    "regression",
    "logistic",
    "schools",
    "counts",
    "survival",
    "returns",
    "gaussian_process",
    "shrubs",
    "one_compartment",
    "two_components",
    "arma",
    "hidden_states",
    "wells",
    "spectral_line",
    "supernovae",
    "decays",
    "growth",
    "star",
    "roaches",
    "disasters",
    "scores",
    "earnings",
    "votes",
    "memory",
    "rats",
    "seeds",
    "dogs",
    "hospitals",
    "outliers",
    "river",
    "bioassay",
    "houses",
)
REFERENCE = Path(__file__).resolve().parent.parent / "reference"


@dataclass(frozen=True)
class Real:
    """A problem, its observations and its reference posteriors.

    Attributes
    ----------
    name : str
    module : module
    folder : Path
        Of the files of observations and reference draws.
    """

    name: str
    module: ModuleType
    folder: Path = REFERENCE

    @property
    def problem(self):
        return self.module.problem

    @property
    def prior(self):
        return self.module.problem.prior

    @property
    def truths(self):
        return self.module.TRUTHS

    @property
    def file(self):
        return self.folder / f"{self.name}.npz"

    @cached_property
    def arrays(self):
        with np.load(self.file) as stored:
            return dict(stored)

    @property
    def observations(self):
        """The fixed observations, each a dict of arrays, the givens that vary among them."""
        found = [{} for _ in self.truths]
        for key, value in self.arrays.items():
            head, _, name = key.partition(".")
            if name:
                found[int(head[1:]) - 1][name] = value
        return found

    def reference(self, observation):
        """Give reference draws (5000, k) at an observation, counted from 0, flat as the prior's."""
        return self.arrays["draws"][observation].astype(np.float64)

    def log_likelihood(self, flat, y):
        """Give the log-likelihood of flat parameters (n, k), minus infinity for no number."""
        with np.errstate(all="ignore"):
            value = self.module.log_likelihood(self.prior.unflatten(flat), y)
        return np.where(np.isnan(value), -np.inf, value)

    def simulate(self, parameters, given, rng):
        """Simulate one observation, with the givens that vary as part of it."""
        known = parameters | self.problem.constants | given
        rows = {name: np.asarray(known[name])[None] for name in self.problem.binding.named}
        found = self.problem.simulator(**rows, rng=rng)
        return {name: np.asarray(value)[0] for name, value in found.items()} | given


def load(name, folder=REFERENCE):
    """Load a problem by name."""
    return Real(name, import_module(f"real.problems.{name}"), folder)
