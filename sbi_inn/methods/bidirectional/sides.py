"""How wide the two sides of a bidirectional network are: [x, padding] and [y, z, padding]."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from sbi_inn.typing import BoolArray, FloatArray

# With at most this many distinct values a column is a category, not a measurement.
CATEGORIES = 20
# Principal axes with less than this share of the largest one's variance carry rounding only.
FLAT = 1e-6
# Rows and neighbours that the dimension of a cloud is read off.
ROWS, NEIGHBOURS = 3_000, 20
# An estimate below this share of the linear rank speaks for a curved manifold.
CURVED = 0.75


@dataclass(frozen=True)
class Sides:
    """Widths of both sides of a network.

    Attributes
    ----------
    parameters, observables, latent : int
        Numbers in x, y and z.
    givens : int
        Numbers that steer the network without being transformed.
    width : int
        Nominal width of both sides, reached by padding.

    Examples
    --------
    >>> Sides(parameters=2, observables=4, latent=2, givens=0, width=16).describe()
    '2 parameters to 4 observables and 2 latents, both padded to 16'
    """

    parameters: int
    observables: int
    latent: int
    givens: int
    width: int

    def __post_init__(self) -> None:
        needed = max(self.parameters, self.observables + self.latent)
        if self.latent < 1 or self.width < needed:
            raise ValueError(
                f"a network of {self.parameters} parameters, {self.observables} observables and "
                f"{self.latent} latents needs at least one latent and a width of at least "
                f"{needed}; got {self.latent} and {self.width}"
            )

    @property
    def padding(self) -> tuple[int, int]:
        """How many numbers are added to x, and to y and z."""
        return self.width - self.parameters, self.width - self.observables - self.latent

    @property
    def padded(self) -> bool:
        """Whether numbers are added on any side: there is then no density."""
        return self.padding != (0, 0)

    def describe(self) -> str:
        """Say it in half a line."""
        widths = (
            f"{_count(self.parameters, 'parameter')} to {_count(self.observables, 'observable')} "
            f"and {_count(self.latent, 'latent')}"
        )
        sides = {
            (False, False): "",
            (True, False): f", parameters padded to {self.width}",
            (False, True): f", outputs padded to {self.width}",
            (True, True): f", both padded to {self.width}",
        }
        return widths + sides[self.padding[0] > 0, self.padding[1] > 0]


def latents_for(parameters: int, observed: FloatArray) -> int:
    """Choose the number of latents: what the parameters hold beyond the observables.

    The difference of dimensions where the observables are continuous and of clearly lower dimension
    (their rank is at most half the number of parameters, and they fill it); else, for
    categories, for observables on a curved manifold, or in doubt, as many as there are
    parameters. A latent too narrow makes posteriors too narrow; one too wide only costs padding.

    Parameters
    ----------
    parameters : int
    observed : array, shape (rows, observables)
        Scaled observables of training rows.

    References
    ----------
    Dissertation, sec. 4.1.1 and table B.2. The dimension of the cloud is the maximum-likelihood
    estimate of Levina and Bickel (2004).

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> plane = rng.standard_normal((1000, 2))
    >>> latents_for(4, plane), latents_for(4, (plane > 0).astype(float))
    (2, 4)
    """
    rows = observed[:ROWS]
    if categorical(rows).any():
        return parameters
    variances = np.linalg.eigvalsh(np.atleast_2d(np.cov(rows.T)))
    rank = int((variances > FLAT * max(variances.max(), 1e-30)).sum())
    if variances.max() <= 0:  # nothing is observed: nothing is known
        return parameters
    if 2 * rank <= parameters and _dimension(rows) >= CURVED * rank:
        return parameters - rank
    return parameters


def categorical(observed: FloatArray) -> BoolArray:
    """Say which observables take few values only, and more than one: shape (observables,)."""
    return np.array([1 < len(np.unique(column)) <= CATEGORIES for column in observed.T], bool)


def _dimension(points: FloatArray) -> float:
    """Estimate the dimension of the set that points lie on, from distances to neighbours."""
    found = KDTree(points).query(points, min(NEIGHBOURS, len(points) - 1) + 1)
    distances = np.asarray(found[0])[:, 1:]
    distances = distances[distances[:, 0] > 0]
    if not len(distances):
        return 0.0
    logs = np.log(distances[:, -1:] / distances[:, :-1])
    return float(1 / logs.mean())


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"
