"""Rebuild fields from the entries of a prior in a file."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from sbi_inn.errors import LoadError, PriorError
from sbi_inn.prior.drawn import Drawn
from sbi_inn.prior.gaussian_field import GaussianField, field_shape
from sbi_inn.prior.tabulated import Tabulated


def field_of(name: str, config: Mapping[str, Any], marginal: Any) -> GaussianField | Drawn:
    """Rebuild a field from its entry.

    Parameters
    ----------
    name : str
    config : mapping
        As the `config` of its component.
    marginal : frozen distribution or None
        Of its pixels, already rebuilt.

    Raises
    ------
    LoadError
        If it is not of this form.
    """
    try:
        kwds = config["kwds"]
        shape = field_shape(f"parameter {name!r}", [int(n) for n in kwds["shape"]])
        if config["distribution"] == "drawn":
            pixel = Tabulated.from_config(name, {**config, "kwds": {**kwds, "shape": []}})
            return Drawn(Tabulated(pixel.curves, shape, pixel.support), pixel.support)
        if config["distribution"] != "gaussian":
            raise LoadError(f"parameter {name!r}: got a field {config['distribution']!r}")
        known = "power" if "power" in kwds else "cov"
        numbers = np.asarray(kwds[known], dtype=float)
        expected = shape if known == "power" else (prod(shape), prod(shape))
        if numbers.shape != expected:
            raise LoadError(f"parameter {name!r}: expected {known} of shape {expected}")
        mean = 0.0 if marginal is not None else np.asarray(kwds["mean"], dtype=float)
        power, cov = (numbers, None) if known == "power" else (None, numbers)
        return GaussianField(shape, power=power, cov=cov, mean=mean, marginal=marginal)
    except (KeyError, TypeError, ValueError, PriorError) as error:
        raise LoadError(f"parameter {name!r}: its stored field is damaged: {error}") from error
