"""From what a user gives to a component of a prior, judged by what it can do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sbi_inn.errors import PriorError
from sbi_inn.prior.component import Component
from sbi_inn.prior.continuous import Continuous
from sbi_inn.prior.dependent import Dependent
from sbi_inn.prior.dirichlet import Dirichlet
from sbi_inn.prior.mixture import Mixture
from sbi_inn.prior.multivariate import MultivariateNormal, MultivariateT
from sbi_inn.prior.rosenblatt import Rosenblatt
from sbi_inn.prior.tabulated import Tabulated
from sbi_inn.prior.univariate import Frozen, is_continuous

ACCEPTED = (
    "any frozen continuous univariate distribution of scipy.stats, such as norm(0, 1); "
    "multivariate_normal, multivariate_t or dirichlet; a Mixture of normals; or a function of "
    "earlier parameters that returns a univariate one, such as `lambda beta: uniform(0, beta)`"
)


def build(name: str, value: object, earlier: Sequence[str]) -> Component:
    """Build the component for one parameter.

    Parameters
    ----------
    name : str
        The parameter.
    value : object
        What the user gave: see ``ACCEPTED``. The next kind of distribution takes one class with
        the face of a Component, and one line here.
    earlier : sequence of str
        The parameters before it.

    Raises
    ------
    PriorError
        For anything else.
    """
    if hasattr(value, "freeze"):
        raise PriorError(
            f"parameter {name!r}: this distribution has no arguments yet; call it, as in "
            f"norm(0, 1). Accepted: {ACCEPTED}"
        )
    if hasattr(value, "pmf") and not hasattr(value, "logpdf"):
        raise PriorError(
            f"parameter {name!r}: discrete distributions come in a later release; "
            f"got {_what(value)}. Accepted: {ACCEPTED}"
        )
    if isinstance(value, Mixture):
        return Rosenblatt(value)
    if isinstance(value, Tabulated):
        return value
    able: Any = value
    if is_continuous(value):
        return _continuous(name, able)
    if _has(value, "rvs", "logpdf", "alpha"):
        return Dirichlet.of(name, able)
    if _has(value, "rvs", "logpdf", "loc", "shape", "df"):
        return MultivariateT.of(name, able)
    if _has(value, "rvs", "logpdf", "mean", "cov"):
        return MultivariateNormal.of(name, able)
    if callable(value):
        return Dependent.of(name, value, earlier)
    raise PriorError(f"parameter {name!r}: expected {ACCEPTED}; got {_what(value)}")


def _continuous(name: str, value: Frozen) -> Component:
    try:
        return Continuous.of(name, value)
    except ArithmeticError as error:
        raise PriorError(
            f"parameter {name!r}: scipy cannot evaluate the quantiles of {_what(value)}: {error}"
        ) from error


def _has(value: object, *attributes: str) -> bool:
    return all(hasattr(value, attribute) for attribute in attributes)


def _what(value: object) -> str:
    """Type and text, cut to a line."""
    text = " ".join(repr(value).split())
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"
