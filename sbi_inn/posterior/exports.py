"""What a posterior gives to other programs: ArviZ, pandas, numpy and LaTeX."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

import sbi_inn
from sbi_inn import draws as labelled
from sbi_inn.errors import NoDensityError
from sbi_inn.observation.batch import Observations
from sbi_inn.posterior.core import Core
from sbi_inn.posterior.resimulation import resimulate
from sbi_inn.posterior.sampling import log_prob, sample
from sbi_inn.report import latex
from sbi_inn.simulation.again import givens_of
from sbi_inn.simulation.simulations import SimulationError, Simulations
from sbi_inn.typing import FloatArray


def to_datatree(core: Core, y: Any, n: int = 4000, *, seed: int | None = None) -> xr.DataTree:
    """Export everything at one observation as a DataTree that ArviZ reads.

    If there is a simulator, it runs at each of the `n` draws.

    Parameters
    ----------
    y : one observation
    n : int
        Number of draws.
    seed : int, optional

    Returns
    -------
    xarray.DataTree
        Groups `posterior`, `prior`, `observed_data`; `posterior_predictive` if there is a simulator
        that does not fail at every draw; `constant_data` if there are givens; `sample_stats`, with
        the log posterior density `lp`, if the method has a density. The draws are independent, in
        one `chain`.
    """
    draws = sample(core, y, n, seed=seed)
    groups = {
        "posterior": draws,
        "prior": core.simulations.prior_draws.isel(draw=slice(n)),
        **observed_groups(core.read(y), core.simulations),
    }
    if core.problem is not None:
        with suppress(SimulationError):  # every one failed: the group is left out
            again = resimulate(core, y, n, seed=seed)
            groups["posterior_predictive"] = again[list(core.schema.observables)]
    with suppress(NoDensityError):  # as is this one
        groups["sample_stats"] = xr.Dataset({"lp": log_prob(core, draws, y)})
    return datatree(groups, method=core.fitted.settings.label)


def to_dataframe(core: Core, y: Any, n: int = 1000, *, seed: int | None = None) -> pd.DataFrame:
    """Return draws as a table: one row per draw, one column per scalar, such as `theta[0]`."""
    columns, array = labelled.flat(sample(core, y, n, seed=seed))
    return pd.DataFrame(array, columns=list(columns)).rename_axis("draw")


def to_numpy(core: Core, y: Any, n: int = 1000, *, seed: int | None = None) -> FloatArray:
    """Return draws as an array, shape (n, dim), in the order of `prior.columns`."""
    return labelled.flat(sample(core, y, n, seed=seed))[1]


def latex_table(
    core: Core,
    y: Any,
    n: int = 10_000,
    *,
    interval: float = 0.68,
    caption: str = "",
    label: str = "",
    seed: int | None = None,
) -> str:
    """Write the posterior at one observation as a LaTeX table for a paper.

    `interval`, `caption` and `label` are those of `sbi_inn.latex_table`.
    """
    draws = sample(core, y, n, seed=seed)
    return latex.latex_table(draws, interval=interval, caption=caption, label=label)


def datatree(groups: Mapping[str, xr.Dataset], *, method: str) -> xr.DataTree:
    """Put groups of draws and data together as ArviZ reads them.

    Parameters
    ----------
    groups : mapping of str to Dataset
        Those with dim `draw` get the dim `chain` before it, of length 1; every dim is numbered.
    method : str
        How the posterior was found.

    Examples
    --------
    >>> tree = datatree({"posterior": labelled.make_draws({"a": [1.0, 2.0]})}, method="cINN")
    >>> dict(tree["posterior"].sizes), tree.attrs["inference_library"]
    ({'chain': 1, 'draw': 2}, 'sbi_inn')
    """
    tree = xr.DataTree.from_dict({name: _numbered(group) for name, group in groups.items()})
    tree.attrs = {
        "inference_library": "sbi_inn",
        "inference_library_version": sbi_inn.__version__,
        "method": method,
    }
    return tree


def observed_groups(observation: Observations, simulations: Simulations) -> dict[str, xr.Dataset]:
    """Name what was observed as `observed_data`, and the givens, if any, as `constant_data`.

    Parameters
    ----------
    observation : Observations
        A batch of one.
    simulations : Simulations
        For labels, units and dims.
    """
    schema, table = simulations.schema, simulations.dataset
    assert schema is not None
    values = schema.unstack(observation, 0)
    observed = {
        name: (table[name].dims[1:], values[name], table[name].attrs) for name in schema.observables
    }
    givens = {name: value[0] for name, value in givens_of(observation, schema).items()}
    givens |= schema.constants
    groups = {"observed_data": xr.Dataset(observed)}
    if givens:
        constant = {
            name: (table[name].dims[1:], value, table[name].attrs) for name, value in givens.items()
        }
        groups["constant_data"] = xr.Dataset(constant)
    return groups


def _numbered(group: xr.Dataset) -> xr.Dataset:
    """Count along every dim from 0; `chain` and `draw` come first where there are draws."""
    if "draw" in group.dims:
        drawn = [name for name, variable in group.data_vars.items() if "draw" in variable.dims]
        chained = {name: group[name].expand_dims("chain") for name in drawn}
        group = group.assign(chained).transpose("chain", "draw", ...)
    return group.assign_coords({dim: np.arange(size) for dim, size in group.sizes.items()})
