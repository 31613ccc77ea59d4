"""Read held-out simulations and their schema from a file, and compare them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

import numpy as np
import pandas as pd
import xarray as xr

from sbi_inn.errors import LoadError
from sbi_inn.observation.image import Channels
from sbi_inn.observation.schema import Schema
from sbi_inn.prior import Prior
from sbi_inn.simulation.simulations import OK, Simulations
from sbi_inn.typing import AnyArray

T = TypeVar("T")


def held_out(
    config: Mapping[str, Any], arrays: Mapping[str, Mapping[str, AnyArray]], prior: Prior
) -> Simulations:
    """Read the table of simulations back.

    Raises
    ------
    LoadError
        If a parameter or an observable is missing, or its shape is not that of the schema.
    Exception
        Whatever else settings that make no sense lead to.
    """
    variables = {
        name: xr.Variable(
            tuple(about["dims"]),
            arrays["held_out"][name],
            {"label": name, "units": ""} | _texts(about["attrs"]),
        )
        for name, about in config["variables"].items()
    }
    dataset = xr.Dataset(variables, attrs=_of(dict, config["attrs"]))
    missing = [name for name in prior.names if name not in dataset]
    if missing:
        raise LoadError(
            f"the prior names {', '.join(prior.names)}; the file has no {', '.join(missing)}"
        )
    dataset["status"] = ("simulation", np.full(dataset.sizes["simulation"], OK))
    seen = schema(config["schema"])
    _check_shapes(dataset, seen)
    return Simulations(dataset, prior, seen, pd.DataFrame())


def schema(config: Mapping[str, Any]) -> Schema:
    """Read a schema back; what is not of its form raises."""
    return Schema(
        observables=_mapped(config["observables"], _shape),
        sets=_mapped(config["sets"], _names),
        givens=_names(config["givens"]),
        constants=_mapped(config["constants"], _number),
        trained=_mapped(config["trained"], _range),
        given_shapes=_mapped(config["given_shapes"], _shape),
        missing=_mapped(config["missing"], _number),
        series=_names(config["series"]),
        images=_names(config["images"]),
        channels=_axis(config.get("channels")),
    )


def _check_shapes(dataset: xr.Dataset, seen: Schema) -> None:
    """Raise LoadError unless the arrays are of the shapes that the schema says."""
    for name in seen.asked:
        entries = 1 + (name in seen.paired)  # of a set's column, the second axis is its entries
        found = dataset[name].shape[entries:]
        if found != seen.shape(name):
            raise LoadError(f"expected {name} of shape {seen.shape(name)}; got {found}")
    for name in {*seen.sets, *seen.series, *seen.images} - set(dataset) - set(seen.observables):
        if name not in seen.lengths:
            raise LoadError(f"the schema names {name}, which is missing in the file")


def _of(kind: type[T], value: object) -> T:
    if not isinstance(value, kind):
        raise TypeError(f"expected a {kind.__name__}; got {value!r:.80}")
    return value


def _axis(value: object) -> Channels | None:
    if value not in (None, "first", "last"):
        raise TypeError(f"expected the axis of channels; got {value!r:.80}")
    return cast("Channels | None", value)


def _number(value: object) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"expected a number; got {value!r:.80}")
    return value


def _shape(value: object) -> tuple[int, ...]:
    sides = _of(list, value)
    if not all(type(side) is int and side >= 0 for side in sides):
        raise TypeError(f"expected a shape; got {value!r:.80}")
    return tuple(sides)


def _names(value: object) -> tuple[str, ...]:
    return tuple(_of(str, name) for name in _of(list, value))


def _range(value: object) -> tuple[float, float]:
    low, high = map(_number, _of(list, value))
    return low, high


def _texts(value: object) -> dict[str, str]:
    return _mapped(value, lambda text: _of(str, text))


def _mapped(value: object, read: Callable[[object], T]) -> dict[str, T]:
    return {name: read(inner) for name, inner in _of(dict, value).items()}
