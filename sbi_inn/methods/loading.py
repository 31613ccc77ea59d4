"""Trained methods turned into settings and arrays, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from torch import nn

from sbi_inn.errors import LoadError
from sbi_inn.methods.ensemble.fitted import FittedEnsemble
from sbi_inn.methods.ensemble.method import Ensemble
from sbi_inn.methods.fields.fitted import FittedField
from sbi_inn.methods.protocols import Fitted, Groups
from sbi_inn.methods.recalibrated.fitted import Recalibrated
from sbi_inn.methods.registry import METHODS, with_summary
from sbi_inn.prior import FieldPlace
from sbi_inn.training.budget import Budget
from sbi_inn.training.forked import survive_forks

# Numbers that are made to build a network, for each that is stored: weights are drawn before they
# are read, and some are made up of others. Networks of ours take three.
NUMBERS = 10
# Calls of torch that it takes, for each array that is stored. Networks of ours take nine.
CALLS = 50
# What the smallest network may take of either beyond that.
FREE = 10_000


def to_arrays(fitted: Fitted) -> tuple[dict[str, Any], Groups]:
    """Give settings as JSON would hold them, and arrays in named groups.

    Raises
    ------
    TypeError
        If the method, which is not one of ours, does not say how.
    """
    inner = fitted.inner if isinstance(fitted, Recalibrated) else fitted
    if not callable(getattr(inner, "to_arrays", None)):
        raise TypeError(
            f"to be saved, {type(inner).__name__} needs to_arrays(): it gives settings that JSON "
            'can hold, with the method\'s "name" among them, and arrays as {group: {name: array}}; '
            "and to be loaded, the method needs that `name`, and read(config, arrays)"
        )
    return fitted.to_arrays()


def from_arrays(
    config: Mapping[str, Any],
    arrays: Groups,
    summary: nn.Module | None = None,
    method: Any = None,
) -> Fitted:
    """Read back what `to_arrays` gave.

    Parameters
    ----------
    config, arrays
    summary : Module, optional
        The summary network, where it was the user's own.
    method : Method, optional
        Where it is not one of ours: settings that can `read`.

    Raises
    ------
    LoadError
        If the method is unknown, the arrays do not fit it, or the summary network is missing or
        another one.
    """
    survive_forks()
    try:
        _check_finite(arrays)
        if method is not None:
            return _read(config, arrays, summary, method)
        with within(arrays):
            return _read(config, arrays, summary, None)
    except LoadError:
        raise
    except Exception as error:  # settings that say anything make torch and numpy raise anything
        raise LoadError(
            f"the weights do not fit the settings in the file: {error!r:.300}"
        ) from error


def _read(
    config: Mapping[str, Any], arrays: Groups, summary: nn.Module | None, method: Any
) -> Fitted:
    again = partial(_read, summary=summary, method=method)
    for made_of_others in (Ensemble, Recalibrated):
        if config.get("name") == made_of_others.name:
            return made_of_others.read(config, arrays, again)
    return _reader(config.get("name"), summary, method).read(config, arrays)


def within(arrays: Groups) -> Budget:
    """Bound what is built for the arrays of a file, whatever its settings say."""
    named = [array for group in arrays.values() for array in group.values()]
    size = sum(array.size for array in named)
    return Budget(numbers=NUMBERS * size + FREE, calls=CALLS * len(named) + FREE)


def _check_finite(arrays: Groups) -> None:
    """Raise LoadError where weights are NaN: what comes of them would be, too."""
    for group, named in arrays.items():
        for name, array in named.items() if group.endswith("weights") else ():
            if array.dtype.kind == "f" and np.isnan(array).any():
                raise LoadError(f"{group} holds NaN, in {name!r}")


def with_fields(fitted: Any, fields: Sequence[FieldPlace]) -> Any:
    """Give a trained method the fields of its prior, which no file holds."""
    if isinstance(fitted, FittedEnsemble):
        members = tuple(with_fields(member, fields) for member in fitted.members)
        return replace(fitted, members=members)
    return fitted.with_place(fields[0]) if isinstance(fitted, FittedField) and fields else fitted


def _reader(name: Any, summary: nn.Module | None, method: Any) -> Any:
    """Find settings that can read a file of this method."""
    if method is not None:
        known = getattr(method, "name", None)
        if known != name or not callable(getattr(method, "read", None)):
            raise LoadError(
                f"expected a method of name {name!r} that has read(config, arrays); got "
                f"{type(method).__name__} of name {known!r}"
            )
        return method
    if name not in METHODS:
        raise LoadError(
            f"expected a method among {', '.join((*METHODS, Ensemble.name))}; got {name!r}. One "
            "that is not of this package is code, which no file holds: pass it again, as "
            "load_posterior(path, method=...)"
        )
    return with_summary(METHODS[name](), "auto" if summary is None else summary)
