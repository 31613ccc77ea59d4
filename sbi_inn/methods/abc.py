"""Rejection ABC: keep the simulations closest to the observation (secs. 4.2.2, B.4)."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from sbi_inn.errors import ShapeError
from sbi_inn.observation.batch import Observations
from sbi_inn.observation.schema import Schema
from sbi_inn.observation.statistics import distance as lengths
from sbi_inn.observation.statistics import spread, statistics
from sbi_inn.simulation.simulations import Simulations
from sbi_inn.typing import FloatArray, IntArray

# Share of the simulations that is kept, unless it is said.
QUANTILE = 0.005


def rejection_abc(
    simulations: Simulations,
    y: Any,
    *,
    quantile: float | None = None,
    epsilon: float | None = None,
) -> xr.Dataset:
    """Draw from the posterior by rejection ABC.

    The distance is Euclidean, with each observable divided by its robust spread over the
    simulations. Sets are compared by mean, standard deviation and quantiles. A missing value
    counts as if it differed by as much as the others do on average.

    Parameters
    ----------
    simulations : Simulations
        Failed rows are ignored.
    y : mapping, Dataset or array
        The observation.
    quantile : float, in (0, 1]
        Keep this share of the simulations, the closest ones. Default .005.
    epsilon : float, >= 0
        Keep every simulation within this distance instead.

    Returns
    -------
    xarray.Dataset
        Draws, dim `draw`, the closest first, with coordinate `distance`; in the attributes
        `acceptance_rate`, `epsilon` (as given, or else the largest distance kept) and
        `n_simulations`.

    Raises
    ------
    ValueError
        If `quantile` and `epsilon` are both given, one is out of range, or no simulation lies
        within `epsilon`.
    ShapeError
        If the observation does not fit the simulations, or if givens vary: then simulate with the
        givens of the observation first.
    """
    table = simulations.observations()
    schema = simulations.schema
    assert schema is not None
    observed = schema.read(y)
    _same_givens(schema, observed)
    rows = statistics(table, schema)
    closest, distance = nearest(
        rows, statistics(observed, schema)[0], spread(rows), quantile=quantile, epsilon=epsilon
    )
    draws = simulations.label(
        simulations.parameters(simulations.ok[closest]),
        attrs={
            "method": "rejection ABC",
            "acceptance_rate": len(closest) / len(rows),
            "epsilon": float(distance[-1]) if epsilon is None else float(epsilon),
            "n_simulations": len(rows),
        },
    )
    return draws.assign_coords(distance=("draw", distance))


def nearest(
    rows: FloatArray,
    target: FloatArray,
    scale: FloatArray,
    *,
    quantile: float | None = None,
    epsilon: float | None = None,
) -> tuple[IntArray, FloatArray]:
    """Find the rows closest to a target.

    Parameters
    ----------
    rows : array, shape (n, k)
    target, scale : array, shape (k,)
        What to be close to, and what to divide each column's difference by.
    quantile, epsilon : float, optional
        As in `rejection_abc`.

    Returns
    -------
    index : array of int, shape (m,)
        Closest first.
    distance : array, shape (m,)

    Raises
    ------
    ValueError
        As `rejection_abc`.
    """
    if quantile is not None and epsilon is not None:
        raise ValueError("expected quantile= or epsilon=, not both")
    if quantile is not None and not 0 < quantile <= 1:
        raise ValueError(f"expected a quantile in (0, 1]; got {quantile!r}")
    if epsilon is not None and not epsilon >= 0:
        raise ValueError(f"expected an epsilon >= 0; got {epsilon!r}")
    distance = lengths((rows - target) / scale)
    distance[np.isnan(distance)] = np.inf  # nothing there to compare by
    if epsilon is None:
        kept = max(1, round((QUANTILE if quantile is None else quantile) * len(rows)))
    else:
        kept = int((distance <= epsilon).sum())
    if not kept:
        raise ValueError(
            f"no simulation lies within epsilon = {epsilon:g} of the observation; the closest of "
            f"{len(rows):,} is at {distance.min():.3g}"
        )
    index = np.argpartition(distance, kept - 1)[:kept] if kept < len(rows) else np.arange(kept)
    index = index[np.argsort(distance[index], kind="stable")]
    return index, distance[index]


def _same_givens(schema: Schema, observed: Observations) -> None:
    """Raise unless every simulation was made with the observation's givens."""
    sizes = {name: float(padded.sizes[0]) for name, padded in observed.sets.items()}
    numbers = observed.vector[0, schema.observable_columns() :]
    for name, value in (dict(zip(schema.given_columns, numbers, strict=True)) | sizes).items():
        low, high = schema.trained.get(name, (value, value))
        if name in schema.trained and not low == high == value:
            whole, bracket, _ = name.partition("[")
            own = f"{{{whole!r}: y[{whole!r}]}}" if bracket else f"{{{name!r}: {value:g}}}"
            raise ShapeError(
                f"{name} is {value:g} in the observation and {low:g} to {high:g} in the "
                f"simulations; simulate with given={own} first"
            )
