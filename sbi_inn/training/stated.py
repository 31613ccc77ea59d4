"""Numbers that a user states, looked at before anything is computed from them."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any


def check_number(name: str, value: Any, *, above: float = 0, whole: bool = False) -> None:
    """Raise unless a value is a number above a bound, numpy's included; True is none.

    Parameters
    ----------
    name : str
        For the message.
    value
    above : float
        0, or for whole numbers that may be 0, -1.
    whole : bool

    Raises
    ------
    ValueError

    Examples
    --------
    >>> check_number("Training(epochs=...)", 2.5, whole=True)
    Traceback (most recent call last):
    ValueError: Training(epochs=...) must be a whole number; got 2.5
    """
    if isinstance(value, bool) or not isinstance(value, Integral if whole else Real):
        kind = "whole number" if whole else "number"
        raise ValueError(f"{name} must be a {kind}; got {value!r:.80}")
    if not value > above:
        raise ValueError(
            f"{name} must {'be positive' if above == 0 else 'not be negative'}; got {value!r}"
        )


def check_fields(settings: Any, *, whole: Sequence[str] = (), positive: Sequence[str] = ()) -> None:
    """Raise unless fields of a record are positive, and some of them whole; None is left open.

    Raises
    ------
    ValueError
    """
    for name in (*whole, *positive):
        value = getattr(settings, name)
        if value is not None:
            where = f"{type(settings).__name__}({name}=...)"
            check_number(where, value, whole=name in whole)
