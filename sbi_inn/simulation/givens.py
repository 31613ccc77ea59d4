"""Givens: what the experimenter knows and does not infer, drawn anew for every simulation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from sbi_inn.errors import PriorError
from sbi_inn.simulation.binding import asked
from sbi_inn.typing import AnyArray, IntArray

Given = Any  # a number, a frozen scipy distribution, an array of rows, or a callable of the others

TABULATED = 2**16
"""Values of a discrete distribution, up to which they are kept in a table: half a megabyte."""

KINDS = (
    "a number; a frozen scipy distribution of numbers, such as st.randint(80, 901); an array whose "
    "rows are drawn; or a function of parameters, earlier givens and rng that gives an array with "
    "one row a simulation, or such a distribution"
)


def check_given(name: str, value: Given, known: Sequence[str]) -> None:
    """Raise PriorError unless a given can be drawn.

    Parameters
    ----------
    name : str
    value : Given
    known : sequence of str
        The parameters and earlier givens, which a function may take.
    """
    if isinstance(value, Real):
        if not math.isfinite(value):
            raise PriorError(f"given {name!r} must be finite; got {value}")
    elif _is_table(value):
        try:
            table = np.asarray(value)
        except ValueError:  # ragged
            table = np.empty(len(value), object)
        if table.dtype.kind not in "biuf" or table.ndim == 0 or 0 in table.shape:
            raise PriorError(
                f"given {name!r}: expected an array of numbers with at least one row; got an array "
                f"of {table.dtype.name}, shape {table.shape}"
            )
        if np.isinf(table).any():
            raise PriorError(f"given {name!r} must be finite, or NaN where missing; got infinity")
    elif hasattr(value, "freeze") and not hasattr(value, "xk"):
        raise PriorError(
            f"given {name!r}: this distribution has no arguments yet; call it, as in norm(0, 1)"
        )
    elif hasattr(value, "rvs"):
        try:
            drawn = np.asarray(value.rvs(size=2, random_state=np.random.default_rng(0)))
        except (AttributeError, TypeError, ValueError):
            drawn = None
        if drawn is None or drawn.shape != (2,) or drawn.dtype.kind not in "biuf":
            raise PriorError(f"given {name!r} must be {KINDS}; got {value!r:.80}")
    elif callable(value):
        arguments_of(name, value, known)
    else:
        raise PriorError(f"given {name!r} must be {KINDS}; got {value!r:.80}")


def arguments_of(name: str, function: Callable[..., Any], known: Sequence[str]) -> tuple[str, ...]:
    """Return the arguments that a given's function takes, `rng` among them.

    Raises
    ------
    PriorError
        If one without a default is neither a parameter, an earlier given nor `rng`.
    """
    taken, strange = asked(function, known)
    if strange:
        raise PriorError(
            f"given {name!r}: the function's argument {', '.join(map(repr, strange))} is "
            f"not a parameter or earlier given (known: {', '.join((*known, 'rng'))})"
        )
    return taken


def is_whole(given: Given) -> bool:
    """Whether a given's values are integers by their kind."""
    if _is_table(given):
        return np.asarray(given).dtype.kind in "biu"
    return isinstance(given, Integral) or hasattr(given, "pmf") or hasattr(given, "logpmf")


class Drawer:
    """Draws the givens of a problem, in the order they are stated.

    Parameters
    ----------
    given : mapping of str to Given
        Arrays of one length share the row that is drawn.

    Examples
    --------
    >>> import scipy.stats as st
    >>> errors = np.array([[0.1, 0.2], [0.3, np.nan]])
    >>> drawer = Drawer({"n": st.randint(5, 9), "sigma": errors, "twice": lambda n: 2 * n})
    >>> drawn = drawer({}, 4, np.random.default_rng(1))
    >>> drawn["sigma"].shape, (drawn["twice"] == 2 * drawn["n"]).all()
    ((4, 2), np.True_)
    """

    def __init__(self, given: Mapping[str, Given]) -> None:
        self._given = given
        alone = {n: v for n, v in given.items() if not (_is_table(v) or is_function(v))}
        self._draw = {name: _sampler(value) for name, value in alone.items()}

    def __call__(
        self, parameters: Mapping[str, AnyArray], rows: int, rng: np.random.Generator
    ) -> dict[str, AnyArray]:
        """Draw them for so many simulations, beside their parameters; each of shape (rows, ...).

        Raises
        ------
        PriorError
            If a function gives something else than numbers, one row a simulation.
        """
        known: dict[str, AnyArray] = dict(parameters)
        chosen: dict[int, IntArray] = {}  # rows of arrays, by their length
        for name, value in self._given.items():
            if _is_table(value):
                table = np.asarray(value)
                if len(table) not in chosen:
                    chosen[len(table)] = rng.integers(len(table), size=rows)
                known[name] = table[chosen[len(table)]]
            elif is_function(value):
                known[name] = _called(name, value, known, rows, rng)
            else:
                known[name] = self._draw[name](rows, rng)
        return {name: known[name] for name in self._given}


def _called(
    name: str,
    function: Callable[..., Any],
    known: Mapping[str, AnyArray],
    rows: int,
    rng: np.random.Generator,
) -> AnyArray:
    taken = arguments_of(name, function, tuple(known))
    found = function(**{n: rng if n == "rng" else known[n].copy() for n in taken})
    if hasattr(found, "rvs"):
        found = found.rvs(size=rows, random_state=rng)
    try:
        array = np.array(found)  # a copy: the function may fill the same array again
    except ValueError:
        array = np.empty(0, object)
    if array.ndim == 0:
        array = np.full(rows, array)
    if array.dtype.kind not in "biuf" or len(array) != rows or np.isinf(array).any():
        raise PriorError(
            f"given {name!r}: expected {rows} rows of finite numbers from its function, which is "
            f"called with arrays, one entry a simulation; got {array.dtype.name} of shape "
            f"{array.shape}"
        )
    return array


def _sampler(given: Given) -> Callable[[int, np.random.Generator], AnyArray]:
    if isinstance(given, Real):
        number: Any = given
        value = int(number) if is_whole(number) else float(number)
        return lambda rows, rng: np.full(rows, value)
    low, high = given.support() if is_whole(given) else (-np.inf, np.inf)
    if high - low >= TABULATED:
        return lambda rows, rng: np.array(given.rvs(size=rows, random_state=rng))
    # rvs of many discrete distributions searches for every draw alone: tabulate it once instead.
    steps = np.arange(int(low), int(high) + 1)
    below = given.cdf(steps)[:-1]
    return lambda rows, rng: steps[np.searchsorted(below, rng.random(rows), side="right")]


def _is_table(given: Given) -> bool:
    return isinstance(given, np.ndarray | list | tuple) or hasattr(given, "__array__")


def is_function(given: Given) -> bool:
    """Whether a given is computed, of parameters or other givens."""
    return callable(given) and not hasattr(given, "rvs") and not _is_table(given)
