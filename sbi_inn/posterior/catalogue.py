"""What a posterior gives for a whole catalogue of observations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from sbi_inn.diagnostics.modes import count_modes
from sbi_inn.draws import INTERVAL_68, INTERVAL_95, counted
from sbi_inn.observation.batch import Observations
from sbi_inn.posterior.core import Core
from sbi_inn.tables import coordinate, index_of
from sbi_inn.training.progress import bar
from sbi_inn.typing import AnyArray, FloatArray

BLOCK = 2**18  # draws that are made at once: enough to keep the cores busy, a few MB

MOST_BYTES = 4e9  # of draws that are returned

LEVELS = {
    "median": 0.5,
    "low68": INTERVAL_68[0],
    "high68": INTERVAL_68[1],
    "low95": INTERVAL_95[0],
    "high95": INTERVAL_95[1],
}


def sample_each(core: Core, ys: Any, n: int = 1000, *, seed: int | None = None) -> xr.Dataset:
    """Draw `n` times from the posterior of each of many observations, as `sample` does.

    Parameters
    ----------
    ys : many observations
    n : int
        Number of draws for each.
    seed : int, optional

    Returns
    -------
    xarray.Dataset
        Dims `observation`, with the catalogue's own index, and `draw`.

    Raises
    ------
    MemoryError
        If the draws would take more than 4 GB: use `summary_each`, which takes a few MB.
    """
    n = counted(n)
    observations = core.read_many(ys)
    core.simulations.warn_units(ys)
    _check_size(len(observations), n, core.prior.dim)
    flat = np.empty((len(observations), n, core.prior.dim))
    for rows, drawn in _blocks(core, observations, n, seed):
        flat[rows] = drawn
    index = index_of(ys, len(observations))
    return core.simulations.label_each(flat).assign_coords(observation=coordinate(index))


def summary_each(
    core: Core, ys: Any, n: int = 1000, *, seed: int | None = None, progress: bool = True
) -> pd.DataFrame:
    """Summarise the posterior of each of many observations, in constant memory.

    It uses the draws of `sample_each(ys, n)`, and keeps none of them.

    Parameters
    ----------
    ys : many observations
    n : int
        Number of draws for each.
    seed : int, optional
    progress : bool
        Show a progress bar.

    Returns
    -------
    DataFrame
        One row per observation, with the catalogue's own index. A parameter `elbow` has the columns
        `elbow_median`, `elbow_low68`, `elbow_high68`, `elbow_low95`, `elbow_high95`, and
        `elbow_modes`, the number of modes that its draws show: if it is above 1, look at
        `corner(y)`. Among sets of 1,000 draws of one mode, at most 1 in 1,000 shows a second mode
        by chance (for uniform draws; fewer for others). A mode that overlaps another may be missed.

    Examples
    --------
    >>> import sbi_inn as si
    >>> posterior = si.fit_posterior(
    ...     "two_moons",
    ...     n_simulations=500,
    ...     training=si.Training(epochs=2),
    ...     ensemble=1,
    ...     seed=1,
    ...     progress=False,
    ... )
    >>> stars = pd.DataFrame({"y[0]": [0.0, 0.1], "y[1]": 0.2}, index=["Vega", "Deneb"])
    >>> table = posterior.summary_each(stars, progress=False)
    >>> table.index.to_list(), table.columns[:3].to_list()
    (['Vega', 'Deneb'], ['theta1_median', 'theta1_low68', 'theta1_high68'])
    """
    n = counted(n)
    observations = core.read_many(ys)
    core.simulations.warn_units(ys)
    columns = core.columns
    found = np.empty((len(observations), len(columns), len(LEVELS)))
    modes = np.empty((len(observations), len(columns)), np.int64)
    with bar(len(observations), "summary", unit=" objects", show=progress, delay=2.0) as shown:
        for rows, drawn in _blocks(core, observations, n, seed):
            draws = np.ascontiguousarray(core.extended(drawn).transpose(0, 2, 1))
            draws.sort(axis=2)
            found[rows] = quantiles(draws, list(LEVELS.values()))
            modes[rows] = count_modes(draws.reshape(-1, n)).reshape(draws.shape[:2])
            shown.update(len(drawn))
    table: dict[str, AnyArray] = {}
    for i, column in enumerate(columns):
        table |= {f"{column}_{name}": found[:, i, k] for k, name in enumerate(LEVELS)}
        table[f"{column}_modes"] = modes[:, i]
    return pd.DataFrame(table, index=index_of(ys, len(observations)))


def _blocks(
    core: Core, observations: Observations, n: int, seed: int | None
) -> Iterator[tuple[slice, FloatArray]]:
    """Draw block by block: which observations, and their draws (observations, n, dim)."""
    rng, size = core.rng(observations, seed), max(1, BLOCK // n)
    for first in range(0, len(observations), size):
        rows = slice(first, min(first + size, len(observations)))
        yield rows, core.draw(observations[rows], n, rng[rows])


def _check_size(observations: int, n: int, dim: int) -> None:
    size = 8.0 * observations * n * dim
    if size > MOST_BYTES:
        raise MemoryError(
            f"expected at most {MOST_BYTES / 1e9:g} GB of draws; got {observations:,} "
            f"observations of {n:,} draws of {dim} numbers, {size / 1e9:,.1f} GB. "
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
