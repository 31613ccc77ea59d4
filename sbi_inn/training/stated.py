"""Check arguments before anything is computed from them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from numbers import Integral, Real
from typing import Any


def check_number(name: str, value: Any, *, whole: bool = False) -> None:
    """Raise unless a value is a positive number, numpy's included; True is none.

    Raises
    ------
    ValueError

    Examples
    --------
    >>> check_number("Training(epochs=...)", 2.5, whole=True)
    Traceback (most recent call last):
    ValueError: Training(epochs=...) must be a whole number; got 2.5
    """
    _check_kind(name, value, Integral if whole else Real)
    if not value > 0:
        raise ValueError(f"{name} must be positive; got {value!r}")


def check_seed(seed: Any) -> None:
    """Raise ValueError unless a seed is a whole number, and not negative; None is drawn anew."""
    if seed is None:
        return
    _check_kind("seed", seed, Integral)
    if seed < 0:
        raise ValueError(f"seed must not be negative; got {seed!r}")


def check_jobs(n_jobs: Any) -> None:
    """Raise ValueError unless a number of processes is whole; below 0 it counts from all cores."""
    _check_kind("n_jobs", n_jobs, Integral)
    if n_jobs == 0:
        raise ValueError("n_jobs must be a number of processes, or -1 for all cores; got 0")


def check_fields(settings: Any, *, whole: Sequence[str] = (), positive: Sequence[str] = ()) -> None:
    """Raise unless fields of a record are positive, and some of them whole; None is left open.

    Raises
    ------
    ValueError
    """
    for name in (*whole, *positive):
        value = getattr(settings, name)
        if value is not None:
            check_number(_field(settings, name), value, whole=name in whole)


def check_choice(settings: Any, name: str, choices: Collection[str]) -> None:
    """Raise ValueError unless a field of a record is one of the choices."""
    value = getattr(settings, name)
    if value not in choices:
        known = ", ".join(map(repr, choices))
        raise ValueError(f"{_field(settings, name)} must be one of {known}; got {value!r}")


def _check_kind(name: str, value: Any, kind: type) -> None:
    if isinstance(value, bool) or not isinstance(value, kind):
        what = "whole number" if kind is Integral else "number"
        raise ValueError(f"{name} must be a {what}; got {value!r:.80}")


def _field(settings: Any, name: str) -> str:
    return f"{type(settings).__name__}({name}=...)"
