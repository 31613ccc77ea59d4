"""Labelled draws, which the whole package uses: make them, flatten them, summarise them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from sbi_inn.errors import PriorError, ShapeError
from sbi_inn.typing import is_count

INTERVAL_95 = (0.025, 0.975)
"""Ends of the central 95 % interval, as quantiles."""

INTERVAL_68 = (0.16, 0.84)
"""Ends of the central 68 % interval."""


@dataclass(frozen=True)
class Column:
    """One scalar of the draws, and how to write it on an axis.

    Attributes
    ----------
    name : str
        ``"elbow"``, or ``"theta[0]"`` for an element of a vector.
    variable : str
        The variable of the Dataset it belongs to, for example ``"theta"``.
    label, units : str
        As declared; `units` is empty where there are none.
    prior_width95 : float
        Width of the prior's central 95 % interval, in `units`; NaN where it is not known.
    discrete : bool
        Whether it takes whole numbers (or True and False) only.
    """

    name: str
    variable: str
    label: str
    units: str
    prior_width95: float
    discrete: bool = False


def counted(n: float) -> int:
    """Return a number of draws as an integer: 1e4 is as good as 10_000.

    Raises
    ------
    ValueError
        If it is no whole number, or below 1.

    Examples
    --------
    >>> counted(1e4)
    10000
    """
    if not is_count(n):
        raise ValueError(f"expected at least one draw, a whole number; got n = {n}")
    return int(n)


def make_draws(
    arrays: Mapping[str, ArrayLike],
    *,
    labels: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
    prior_widths: Mapping[str, ArrayLike] | None = None,
    attrs: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Put arrays of draws into a labelled Dataset.

    Parameters
    ----------
    arrays : mapping of str to array, shape (m,), (m, k) or (m, height, width)
        One entry a parameter; all have the same number m of draws.
    labels, units : mapping of str to str, optional
        How to write a parameter (default: its name), and its units (default: none).
    prior_widths : mapping of str to float or array, shape () or (k,), optional
        Widths of the prior's central 95 % intervals, in the parameter's units.
    attrs : mapping, optional
        What belongs to all draws, for example an acceptance rate.

    Returns
    -------
    xarray.Dataset
        One variable a parameter, with dim ``draw`` (and ``theta_dim`` for a vector ``theta``,
        ``sky_y`` and ``sky_x`` for a map ``sky``).

    Raises
    ------
    ShapeError
        If an array has another number of axes, or the numbers of draws differ.

    Examples
    --------
    >>> draws = make_draws({"elbow": [0.1, 0.3], "theta": [[1, 2], [3, 4]]}, units={"elbow": "rad"})
    >>> draws.theta.dims, draws.elbow.attrs["units"]
    (('draw', 'theta_dim'), 'rad')
    """
    values = {name: np.asarray(array) for name, array in arrays.items()}
    _check_shapes(values)
    labels, units, widths = labels or {}, units or {}, prior_widths or {}
    variables = {}
    for name, array in values.items():
        about: dict[str, Any] = {
            "parameter": name,
            "label": labels.get(name, name),
            "units": units.get(name, ""),
        }
        if name in widths:
            about["prior_width95"] = np.asarray(widths[name], dtype=float).tolist()
        variables[name] = (("draw", *axes_of(name, array.ndim - 1)), array, about)
    return xr.Dataset(variables, attrs=dict(attrs or {}))


def axes_of(name: str, axes: int) -> list[str]:
    """Name the dims of a parameter, but for that of the draws.

    Examples
    --------
    >>> axes_of("theta", 1), axes_of("sky", 2)
    (['theta_dim'], ['sky_y', 'sky_x'])
    """
    return [[], [f"{name}_dim"], [f"{name}_y", f"{name}_x"]][axes]


def _check_shapes(values: Mapping[str, NDArray[Any]]) -> None:
    """Raise unless every array is (m,), (m, k) or (m, height, width) with one common m."""
    for name, array in values.items():
        if array.ndim not in (1, 2, 3):
            raise ShapeError(
                f"make_draws: {name!r} must have shape (draws,), (draws, k) or (draws, height, "
                f"width); got {array.shape}"
            )
    counts = {name: len(array) for name, array in values.items()}
    if len(set(counts.values())) > 1:
        raise ShapeError(
            f"make_draws: every parameter must have the same number of draws; got {counts}"
        )


def flat(draws: xr.Dataset) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Lay all variables side by side, one column a scalar.

    Parameters
    ----------
    draws : xarray.Dataset
        Variables with dim ``draw``; those without are left out, they are no draws.

    Returns
    -------
    columns : tuple of str
        ``"elbow"``, or ``"theta[0]"``, ``"theta[1]"`` for a vector.
    array : float64 array, shape (m, d)
        The draws in the order of `columns`.

    Raises
    ------
    ShapeError
        If there is no numeric variable with dim ``draw``, or the draws are of several observations.

    Examples
    --------
    >>> columns, array = flat(make_draws({"a": [1, 2], "theta": [[3, 4], [5, 6]]}))
    >>> columns, array.shape
    (('a', 'theta[0]', 'theta[1]'), (2, 3))
    """
    names = tuple(column.name for column in columns_of(draws))
    arrays = [variable.transpose("draw", ...).to_numpy() for _, variable in _variables(draws)]
    arrays = [array.reshape(len(array), math.prod(array.shape[1:])) for array in arrays]
    return names, np.concatenate(arrays, axis=1, dtype=np.float64)


def by_name(
    parameters: xr.Dataset | pd.DataFrame | Mapping[str, Any], names: Sequence[str]
) -> dict[str, NDArray[Any]]:
    """Give parameters as arrays by name, whatever they are kept in; other variables are left out.

    Parameters
    ----------
    parameters : Dataset with dim ``draw``, DataFrame, or mapping
        In a DataFrame a vector ``theta`` is the columns ``theta[0]``, ``theta[1]``, ...
    names : sequence of str
        Those that are not found are left out too.

    Raises
    ------
    PriorError
        If they have no names.

    Examples
    --------
    >>> by_name(pd.DataFrame({"theta[0]": [1, 2], "theta[1]": [3, 4], "b": 5}), ["theta"])
    {'theta': array([[1, 3],
           [2, 4]])}
    """
    if not isinstance(parameters, xr.Dataset | pd.DataFrame | Mapping):
        line = ", ".join(f"{name!r}: ..." for name in names)
        raise PriorError(
            f"expected the parameters by name, as in {{{line}}}; got {parameters!r:.60}"
        )
    found: dict[str, NDArray[Any]] = {}
    for name in names:
        if name in parameters:
            value = parameters[name]
            rows_first = isinstance(value, xr.DataArray) and "draw" in value.dims
            found[name] = np.asarray(value.transpose("draw", ...) if rows_first else value)
        elif f"{name}[0]" in parameters:
            elements = itertools.takewhile(
                lambda column: column in parameters, (f"{name}[{i}]" for i in itertools.count())
            )
            found[name] = np.stack([np.asarray(parameters[e]) for e in elements], axis=-1)
    return found


def columns_of(draws: xr.Dataset) -> tuple[Column, ...]:
    """Describe the scalars of the draws, in the order of `flat`."""
    return tuple(
        column
        for name, variable in _variables(draws)
        for column in _columns_of_variable(name, variable, draws)
    )


def _variables(draws: xr.Dataset) -> Iterator[tuple[str, xr.DataArray]]:
    """Yield the variables that hold draws of one observation."""
    if not isinstance(draws, xr.Dataset):
        raise ShapeError(
            f"draws must be an xarray.Dataset with dim 'draw'; got {type(draws).__name__}"
        )
    found = {str(name): v for name, v in draws.data_vars.items() if "draw" in v.dims}
    if not found:
        raise ShapeError(
            f"draws need a variable with dim 'draw'; got variables {list(draws.data_vars)} "
            f"with dims {list(draws.dims)}"
        )
    for name, variable in found.items():
        if "observation" in variable.dims:
            raise ShapeError(
                f"draws of one observation are needed; {name!r} has dims {variable.dims}: "
                "choose one with draws.isel(observation=0)"
            )
        if not np.issubdtype(variable.dtype, np.number) and variable.dtype != bool:
            raise ShapeError(f"draws must be numbers; {name!r} has dtype {variable.dtype}")
        yield name, variable


def _columns_of_variable(name: str, variable: xr.DataArray, draws: xr.Dataset) -> Iterator[Column]:
    """Yield one Column an element of the variable."""
    about = _own_attrs(name, variable, draws)
    label = str(about.get("label", name))
    shape = variable.transpose("draw", ...).shape[1:]
    widths = np.broadcast_to(np.asarray(about.get("prior_width95", np.nan), dtype=float), shape)
    for index in np.ndindex(shape):
        element = f"[{','.join(map(str, index))}]" if index else ""
        yield Column(
            name=name + element,
            variable=name,
            label=label + element,
            units=str(about.get("units", "")),
            prior_width95=float(widths[index]),
            discrete=variable.dtype.kind in "biu",
        )


def _own_attrs(name: str, variable: xr.DataArray, draws: xr.Dataset) -> dict[str, Any]:
    """Return the attributes that describe this variable.

    xarray hands attributes on in arithmetic: after ``draws["elbow_deg"] = np.rad2deg(draws.elbow)``
    the new variable says "elbow", "rad", and carries the prior's width in radian. What a derived
    variable has from the parameter it came from is therefore left out, unless it was changed since.
    """
    attrs = dict(variable.attrs)
    source = attrs.get("parameter")
    if source == name:
        return attrs
    attrs.pop("prior_width95", None)
    inherited = draws[source].attrs if source in draws.data_vars else {}
    return {key: value for key, value in attrs.items() if inherited.get(key) != value}


def summary(draws: xr.Dataset, prior_draws: xr.Dataset | None = None) -> pd.DataFrame:
    """Summarise draws, one row per scalar parameter.

    Parameters
    ----------
    draws : xarray.Dataset
        Draws of one observation; they may include variables derived from the parameters.
    prior_draws : xarray.Dataset, optional
        Draws of the prior, for `width`, if the draws do not say how wide the prior is (derived
        variables, draws from elsewhere).

    Returns
    -------
    pandas.DataFrame
        Columns ``units``, ``mean``, ``sd``, ``median``; ``low68``, ``high68``, ``low95``,
        ``high95``, the ends of the central 68 % and 95 % intervals; ``width``, the length of
        the 95 % interval relative to that of the prior (NaN if the prior's is unknown, or 0).
        If a parameter is discrete (integers), also ``mode``, its most probable value (NaN for
        the others); its median and ends are values that occur.

    Raises
    ------
    ShapeError
        If there are no draws, or they are of several observations.

    Examples
    --------
    >>> draws = make_draws({"x": np.linspace(0, 1, 101)}, prior_widths={"x": 9.5})
    >>> float(summary(draws).loc["x", "width"].round(3))
    0.1
    """
    names, array = flat(draws)
    if len(array) == 0:
        raise ShapeError(f"summary: at least one draw is needed; got 0 draws of {list(names)}")
    columns = columns_of(draws)
    discrete = np.array([column.discrete for column in columns])
    levels = [INTERVAL_95[0], INTERVAL_68[0], 0.5, INTERVAL_68[1], INTERVAL_95[1]]
    quantiles = np.quantile(array, levels, axis=0)
    quantiles[:, discrete] = np.quantile(array[:, discrete], levels, axis=0, method="inverted_cdf")
    low95, low68, median, high68, high95 = quantiles
    widths = _prior_widths(columns, prior_draws)
    found = {
        "units": [column.units for column in columns],
        "mean": array.mean(axis=0),
        "sd": array.std(axis=0, ddof=1) if len(array) > 1 else np.nan,
        "median": median,
        "mode": [_mode(v) if c.discrete else np.nan for v, c in zip(array.T, columns, strict=True)],
        "low68": low68,
        "high68": high68,
        "low95": low95,
        "high95": high95,
        "width": (high95 - low95) / np.where(widths > 0, widths, np.nan),
    }
    if not discrete.any():
        del found["mode"]
    return pd.DataFrame(found, index=pd.Index(names, name="parameter"))


def _mode(values: NDArray[np.float64]) -> float:
    """Return the most frequent value, of those that tie the smallest."""
    found, counts = np.unique(values, return_counts=True)
    return float(found[counts.argmax()])


def _prior_widths(
    columns: tuple[Column, ...], prior_draws: xr.Dataset | None
) -> NDArray[np.float64]:
    """Return the width of the prior's 95 % interval for each column, NaN where unknown."""
    stated = np.array([column.prior_width95 for column in columns])
    if prior_draws is None:
        return stated
    names, array = flat(prior_draws)
    low, high = np.quantile(array, INTERVAL_95, axis=0)
    measured = dict(zip(names, high - low, strict=True))
    drawn = np.array([measured.get(column.name, np.nan) for column in columns])
    return np.where(np.isnan(stated), drawn, stated)
