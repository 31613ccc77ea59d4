"""Derived quantities: named functions of the parameters, which draws and checks then show too."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sbi_inn.errors import PriorError
from sbi_inn.names import check_names
from sbi_inn.prior import Prior
from sbi_inn.typing import AnyArray, FloatArray

TRIED = 200  # draws of the prior that a function is tried with


@dataclass(frozen=True)
class Derived:
    """Functions of the parameters, by name.

    Attributes
    ----------
    functions : mapping of str to callable
        Called with the parameters that its signature names, as arrays (n,) or (n, k), of many draws
        at once; gives an array (n,) or (n, k).
    widths : mapping of str to int
        k of a vector; 0 of a number.
    labels, units : mapping of str to str
        For figures and tables, of those that have any.

    Examples
    --------
    >>> import scipy.stats as st
    >>> prior = Prior(beta=st.uniform(0.5, 2), gamma=st.uniform(0.1, 1))
    >>> made = Derived.of({"r0": lambda beta, gamma: beta / gamma}, prior)
    >>> made.columns, made.values({"beta": np.array([1.0]), "gamma": np.array([0.5])})
    (('r0',), {'r0': array([2.])})
    """

    functions: Mapping[str, Callable[..., Any]]
    widths: Mapping[str, int]
    labels: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        functions: Mapping[str, Callable[..., Any]] | None,
        prior: Prior,
        *,
        labels: Mapping[str, str] | None = None,
        units: Mapping[str, str] | None = None,
    ) -> Derived | None:
        """Try functions with draws of the prior; None where there is none.

        `labels` and `units` may be those of a whole study: others are left out.

        Raises
        ------
        PriorError
            For a name that is no identifier, reserved, or that of a parameter; for a function that
            asks for what is no parameter, raises, or gives another shape or no finite numbers.
        """
        if not functions:
            return None
        check_names([*prior.names, *functions], role="derived quantity", error=PriorError)
        draws = prior.sample(TRIED, np.random.default_rng(0))
        widths = {name: _width(name, f, draws) for name, f in functions.items()}
        words = (
            {name: str(said[name]) for name in widths if name in said}
            for said in (labels or {}, units or {})
        )
        return cls(dict(functions), widths, *words)

    @property
    def columns(self) -> tuple[str, ...]:
        """The scalars, in order: "r0", or "x[0]", "x[1]" for a vector."""
        return tuple(
            column
            for name, width in self.widths.items()
            for column in ([f"{name}[{i}]" for i in range(width)] if width else [name])
        )

    def values(self, parameters: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
        """Evaluate at draws of the parameters, each an array (n,) or (n, k)."""
        return {name: _called(name, f, parameters) for name, f in self.functions.items()}

    def flat(self, parameters: Mapping[str, AnyArray]) -> FloatArray:
        """Evaluate at draws of the parameters, side by side, shape (n, columns)."""
        found = self.values(parameters).values()
        return np.concatenate([np.reshape(v, (len(v), -1)) for v in found], axis=1, dtype=float)


def _width(name: str, function: Callable[..., Any], draws: Mapping[str, AnyArray]) -> int:
    """Try a function, and give the length of the vector that it gives; 0 of a number."""
    value = _called(name, function, draws)
    if value.ndim not in (1, 2) or len(value) != TRIED or value.shape[-1] == 0:
        raise PriorError(
            f"the derived quantity {name!r} is called with arrays of {TRIED} draws, and "
            f"must return an array of shape ({TRIED},) or ({TRIED}, k); got {value.shape}"
        )
    if value.dtype.kind not in "biuf" or not np.isfinite(value).all():
        raise PriorError(
            f"the derived quantity {name!r} is infinite or not a number for some draws of the prior"
        )
    return value.shape[1] if value.ndim == 2 else 0


def _called(name: str, function: Callable[..., Any], parameters: Mapping[str, AnyArray]) -> Any:
    """Call a function with the parameters that it names."""
    if not callable(function):
        raise PriorError(f"the derived quantity {name!r} must be a function; got {function!r:.80}")
    asked = inspect.signature(function).parameters.values()
    if any(one.kind is one.VAR_KEYWORD for one in asked):
        return np.asarray(function(**parameters))
    missing = [one.name for one in asked if one.name not in parameters and one.default is one.empty]
    if missing:
        raise PriorError(
            f"the derived quantity {name!r} has the arguments {', '.join(missing)}; parameters are "
            f"{', '.join(parameters)}"
        )
    chosen = {one.name: parameters[one.name] for one in asked if one.name in parameters}
    try:
        return np.asarray(function(**chosen))
    except Exception as error:
        raise PriorError(f"the derived quantity {name!r} raised {error!r}") from error
