"""What a posterior gives for a whole catalogue of observations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from sbi_inn.diagnostics.modes import count_modes
from sbi_inn.draws import INTERVAL_68, INTERVAL_95, counted
from sbi_inn.observation.batch import Observations
from sbi_inn.observation.schema import Schema
from sbi_inn.prior import Prior
from sbi_inn.simulation.progress import bar
from sbi_inn.simulation.seeds import Stream, generator
from sbi_inn.simulation.simulations import Simulations
from sbi_inn.tables import coordinate, index_of
from sbi_inn.typing import AnyArray, FloatArray

# Draws that are made at once, each block from its own stream of the seed: what an object gets
# depends on neither what comes after it nor on how much is kept.
BLOCK = 2**18

MOST_BYTES = 4e9  # of draws that are returned

LEVELS = {
    "median": 0.5,
    "low68": INTERVAL_68[0],
    "high68": INTERVAL_68[1],
    "low95": INTERVAL_95[0],
    "high95": INTERVAL_95[1],
}


class Catalogue(ABC):
    """A posterior at many observations.

    Attributes
    ----------
    simulations : Simulations
    seed : int
    """

    simulations: Simulations
    seed: int

    @property
    @abstractmethod
    def prior(self) -> Prior:
        """The prior."""

    @property
    @abstractmethod
    def schema(self) -> Schema:
        """The observation as understood."""

    @abstractmethod
    def draw(self, observations: Observations, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw flat parameter vectors, shape (observations, n, dim)."""

    @abstractmethod
    def _warn_if_distrusted(self) -> None:
        """Say once, after a check has failed, that it did."""

    def sample_each(self, ys: Any, n: int = 1000, *, seed: int | None = None) -> xr.Dataset:
        """Draw from the posterior of each of many observations.

        Parameters
        ----------
        ys : Dataset with dim "observation", DataFrame with one row an observation, or list
        n : int
            Draws an observation.
        seed : int, optional

        Returns
        -------
        xarray.Dataset
            Dims `observation`, with the catalogue's own index, and `draw`.

        Raises
        ------
        ShapeError
            If an observation does not fit; the message says which.
        MemoryError
            If the draws would take more than 4 GB: `summary_each` needs no more than a few MB.
        """
        n = counted(n)
        observations = self.schema.read_many(ys)
        self.simulations.warn_units(ys)
        self._check_size(len(observations), n)
        flat = np.empty((len(observations), n, self.prior.dim))
        for rows, drawn in self._blocks(observations, n, seed):
            flat[rows] = drawn
        self._warn_if_distrusted()
        index = index_of(ys, len(observations))
        return self.simulations.label_each(flat).assign_coords(observation=coordinate(index))

    def summary_each(
        self, ys: Any, n: int = 1000, *, seed: int | None = None, progress: bool = True
    ) -> pd.DataFrame:
        """Summarise the posterior of each of many observations, in constant memory.

        Parameters
        ----------
        ys : as in `sample_each`
        n : int
            Draws an observation: those of `sample_each(ys, n)`, of which none is kept. An object
            gets the same numbers in any catalogue that begins with the same objects.
        seed : int, optional
        progress : bool
            Show a progress bar.

        Returns
        -------
        DataFrame
            One row an object, under the catalogue's own index. For a parameter `elbow` the columns
            `elbow_median`, `elbow_low68`, `elbow_high68`, `elbow_low95`, `elbow_high95`, and
            `elbow_modes`, the number of modes that its draws show: where it is over 1, look at
            `corner(y)`. Of 1,000 draws of one mode at most 1 set in 1,000 shows a second by chance
            (uniform ones, and fewer of others); one that overlaps another may stay unseen.

        Raises
        ------
        ShapeError
            If an observation does not fit; the message says which.

        Examples
        --------
        >>> import sbi_inn as si
        >>> posterior = si.fit_posterior(
        ...     "two_moons",
        ...     n_simulations=500,
        ...     training=si.Training(epochs=2),
        ...     seed=1,
        ...     progress=False,
        ... )
        >>> stars = pd.DataFrame({"y[0]": [0.0, 0.1], "y[1]": 0.2}, index=["Vega", "Deneb"])
        >>> table = posterior.summary_each(stars, progress=False)
        >>> table.index.to_list(), table.columns[:3].to_list()
        (['Vega', 'Deneb'], ['theta1_median', 'theta1_low68', 'theta1_high68'])
        """
        n = counted(n)
        observations = self.schema.read_many(ys)
        self.simulations.warn_units(ys)
        columns = self.prior.columns
        found = np.empty((len(observations), len(columns), len(LEVELS)))
        modes = np.empty((len(observations), len(columns)), np.int64)
        with bar(len(observations), "summary", unit=" objects", show=progress, delay=2.0) as shown:
            for rows, drawn in self._blocks(observations, n, seed):
                draws = np.ascontiguousarray(drawn.transpose(0, 2, 1))
                draws.sort(axis=2)
                found[rows] = quantiles(draws, list(LEVELS.values()))
                modes[rows] = count_modes(draws.reshape(-1, n)).reshape(draws.shape[:2])
                shown.update(len(drawn))
        self._warn_if_distrusted()
        table: dict[str, AnyArray] = {}
        for i, column in enumerate(columns):
            table |= {f"{column}_{name}": found[:, i, k] for k, name in enumerate(LEVELS)}
            table[f"{column}_modes"] = modes[:, i]
        return pd.DataFrame(table, index=index_of(ys, len(observations)))

    def _blocks(
        self, observations: Observations, n: int, seed: int | None
    ) -> Iterator[tuple[slice, FloatArray]]:
        """Draw block by block: which observations, and their draws (observations, n, dim)."""
        seed = self.seed if seed is None else seed
        size = max(1, BLOCK // n)
        for block, first in enumerate(range(0, len(observations), size)):
            rows = slice(first, min(first + size, len(observations)))
            # The first block shares its draws with `sample`.
            rng = generator(seed, Stream.DRAWS, *([block] if block else []))
            yield rows, self.draw(observations[rows], n, rng)

    def _check_size(self, observations: int, n: int) -> None:
        size = 8.0 * observations * n * self.prior.dim
        if size > MOST_BYTES:
            raise MemoryError(
                f"expected at most {MOST_BYTES / 1e9:g} GB of draws; got {observations:,} "
                f"observations of {n:,} draws of {self.prior.dim} numbers, {size / 1e9:,.1f} GB. "
                "summary_each(ys, n) gives medians, intervals and modes in constant memory"
            )


def quantiles(draws: FloatArray, levels: list[float]) -> FloatArray:
    """Interpolate quantiles of draws that rise along the last axis, (..., levels), as numpy does.

    >>> quantiles(np.array([[0.0, 1.0, 4.0]]), [0.5, 0.75])
    array([[1. , 2.5]])
    """
    places = np.asarray(levels) * (draws.shape[-1] - 1)
    below = np.floor(places).astype(np.int64)
    above = np.minimum(below + 1, draws.shape[-1] - 1)
    low, high = draws[..., below], draws[..., above]
    return low + (places - below) * (high - low)
