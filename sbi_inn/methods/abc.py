"""Rejection ABC: keep the simulations closest to the observation (dissertation, secs. 4.2.2, B.4)."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from sbi_inn.data import Simulations
from sbi_inn.draws import make_draws
from sbi_inn.errors import ShapeError
from sbi_inn.schema import Observations
from sbi_inn.statistics import spread, statistics

QUANTILE = 0.005


def rejection_abc(
    simulations: Simulations,
    y: Any,
    *,
    quantile: float | None = None,
    epsilon: float | None = None,
) -> xr.Dataset:
    """Draw from the posterior by rejection.

    The distance is Euclidean, each observable divided by its robust spread over the simulations; a set
    is compared by mean, standard deviation and quantiles.

    Parameters
    ----------
    simulations : Simulations
        Failed rows are passed over.
    y : mapping, Dataset or array
        The observation.
    quantile : float, in (0, 1]
        Keep this share of the simulations, the closest ones. Default .005.
    epsilon : float, >= 0
        Keep every simulation within this distance instead.

    Returns
    -------
    xarray.Dataset
        Draws, dim `draw`, closest first, with coordinate `distance`; `acceptance_rate`, `epsilon` (the largest
        distance kept) and `n_simulations` in the attributes.

    Raises
    ------
    ValueError
        If both or a wrong `quantile` or `epsilon` are given, or nothing lies within `epsilon`.
    ShapeError
        If the observation does not fit the simulations, or givens vary: then simulate with the
        observation's own givens first.
    """
    if quantile is not None and epsilon is not None:
        raise ValueError("expected quantile= or epsilon=, not both")
    if quantile is not None and not 0 < quantile <= 1:
        raise ValueError(f"expected a quantile in (0, 1]; got {quantile!r}")
    if epsilon is not None and not epsilon >= 0:
        raise ValueError(f"expected an epsilon >= 0; got {epsilon!r}")
    table = simulations.observations()
    schema = simulations.schema
    assert schema is not None
    observed = schema.read(y)
    _same_givens(simulations, observed)
    rows = statistics(table, schema)
    scaled = (rows - statistics(observed, schema)) / spread(rows)
    distance = np.sqrt((scaled**2).sum(axis=1))
    order = np.argsort(distance, kind="stable")
    if epsilon is None:
        kept = max(1, round((quantile or QUANTILE) * len(order)))
    else:
        kept = int((distance <= epsilon).sum())
    if not kept:
        raise ValueError(
            f"no simulation lies within epsilon = {epsilon:g} of the observation; the closest of "
            f"{len(order):,} is at {distance.min():.3g}"
        )
    closest = order[:kept]
    about = simulations.attrs(simulations.prior.names)
    draws = make_draws(
        simulations.parameters(simulations.ok[closest]),
        labels={name: attrs["label"] for name, attrs in about.items()},
        units={name: attrs["units"] for name, attrs in about.items()},
        attrs={
            "method": "rejection ABC",
            "acceptance_rate": kept / len(order),
            "epsilon": float(distance[closest[-1]]) if epsilon is None else float(epsilon),
            "n_simulations": len(order),
        },
    )
    return draws.assign_coords(distance=("draw", distance[closest]))


def _same_givens(simulations: Simulations, observed: Observations) -> None:
    """Raise unless every simulation was made with the observation's givens."""
    schema = simulations.schema
    assert schema is not None
    first = len(schema.columns) - len(schema.givens)
    values = {name: observed.vector[0, first + i] for i, name in enumerate(schema.givens)}
    values |= {name: padded.sizes[0] for name, padded in observed.sets.items()}
    for name, value in values.items():
        low, high = schema.trained.get(name, (value, value))
        if not low == high == value:
            raise ShapeError(
                f"{name} is {value:g} in the observation and {low:g} to {high:g} in the "
                f"simulations; simulate with given={{{name!r}: {value:g}}} first"
            )
