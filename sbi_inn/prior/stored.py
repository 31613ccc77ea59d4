"""Rebuild distributions from the entries of a prior in a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import scipy.stats

from sbi_inn.errors import LoadError
from sbi_inn.prior.expression import Expression
from sbi_inn.prior.families import CONTINUOUS, DISCRETE
from sbi_inn.prior.mixture import Mixture
from sbi_inn.prior.stored_field import field_of
from sbi_inn.prior.tabulated import Tabulated

ALLOWED = {
    "continuous": CONTINUOUS,
    "discrete": DISCRETE,
    "listed": ["rv_discrete"],
    "multivariate": ["dirichlet", "multivariate_normal", "multivariate_t"],
    "mixture": ["norm", "multivariate_normal"],
}
"""What each kind of stored parameter can be, or of a mixture each component."""


def stored(config: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Give names and distributions of what `Prior.to_config` gave.

    Raises
    ------
    LoadError
        If a parameter is code, if its distribution is not one of scipy's, if its arguments are no
        numbers, or if the dict is not of this form.
    """
    try:
        entries = list(config["parameters"])
        code = [entry["name"] for entry in entries if entry["kind"] == "code"]
    except (KeyError, TypeError) as error:
        raise LoadError(f"a stored prior needs named parameters; got {config!r}") from error
    if code:
        raise LoadError(
            f"the prior of {', '.join(map(repr, code))} is code, which files do not hold; "
            "give the whole prior again with prior="
        )
    return [_restore(entry) for entry in entries]


def _restore(config: dict[str, Any]) -> tuple[str, Any]:
    """Rebuild one parameter from its entry: its name, and what a `Prior` takes for it."""
    try:
        name, kind, distribution = config["name"], config["kind"], config["distribution"]
        args, kwds = list(config["args"]), dict(config["kwds"])
    except (KeyError, TypeError, ValueError) as error:
        raise LoadError(
            "a parameter of a stored prior needs name, kind, distribution, args and kwds; "
            f"got {config!r}"
        ) from error
    if kind == "table":
        return name, Tabulated.from_config(name, config)
    if kind == "field":
        marginal = kwds.get("marginal")
        bend = None if marginal is None else _restore({"name": name, **marginal})[1]
        return name, field_of(name, config, bend)
    if kind == "expression":
        return name, Expression.read(str(name), config)
    allowed = ALLOWED.get(str(kind), ())
    if str(distribution) not in allowed or not hasattr(scipy.stats, distribution):
        raise LoadError(
            f"parameter {name!r}: stored priors hold continuous and discrete distributions of "
            f"scipy.stats {scipy.__version__}, {', '.join(ALLOWED['multivariate'])} and mixtures "
            f"of normals; got {kind!r} {distribution!r}"
        )
    if not all(map(_numeric, (*args, *kwds.values()))):
        raise LoadError(f"parameter {name!r}: arguments must be numbers; got {args!r}, {kwds!r}")
    make = getattr(scipy.stats, distribution)
    if kind in REBUILT:
        make = partial(REBUILT[kind], make)
    try:
        return name, make(*args, **kwds)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise LoadError(f"parameter {name!r}, {distribution}: {error}") from error


def _mixture(
    make: Callable[..., Any],
    weights: Sequence[float],
    locations: Sequence[Any],
    spreads: Sequence[Any],
) -> Mixture:
    return Mixture(weights, [make(*pair) for pair in zip(locations, spreads, strict=True)])


def _listed(make: Callable[..., Any], values: Sequence[float], mass: Sequence[float]) -> Any:
    return make(values=(values, mass))()


REBUILT = {"mixture": _mixture, "listed": _listed}
"""Kinds whose arguments are not those of the distribution that they name."""


def _numeric(value: object) -> bool:
    """Whether a value is a number, or nested lists of numbers."""
    if isinstance(value, list):
        return all(map(_numeric, value))
    return isinstance(value, int | float) and not isinstance(value, bool)
