"""Turn what a user gives into a component of a prior, or say why that is impossible."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from scipy.stats import gaussian_kde

from sbi_inn.errors import PriorError
from sbi_inn.prior.component import Component
from sbi_inn.prior.continuous import Continuous
from sbi_inn.prior.dependent import Dependent
from sbi_inn.prior.dirichlet import Dirichlet
from sbi_inn.prior.discrete import Discrete, is_discrete
from sbi_inn.prior.drawn import Drawn, DrawnField
from sbi_inn.prior.gaussian_component import GaussianComponent
from sbi_inn.prior.gaussian_field import GaussianField
from sbi_inn.prior.mixture import Mixture
from sbi_inn.prior.multivariate import MultivariateNormal, MultivariateT
from sbi_inn.prior.near_misses import from_kde, hint
from sbi_inn.prior.rosenblatt import Rosenblatt
from sbi_inn.prior.tabulated import Tabulated
from sbi_inn.prior.univariate import is_continuous

ACCEPTED = (
    "any frozen univariate distribution of scipy.stats, such as norm(0, 1) or poisson(3); "
    "multivariate_normal, multivariate_t or dirichlet; a gaussian_kde or a Mixture of normals; a "
    "GaussianField or Drawn for a field; or a function of earlier parameters that returns a "
    "continuous one, such as `lambda beta: uniform(0, beta)`"
)


Distributions = Mapping[str, Any] | Iterable[tuple[str, Any]]


def pairs(distributions: Distributions | None) -> list[tuple[str, Any]]:
    """Names and distributions, in order."""
    given: Any = getattr(distributions, "items", lambda: distributions or ())
    try:
        return [(name, value) for name, value in given()]
    except (TypeError, ValueError) as error:
        raise PriorError(
            "a prior takes a mapping or (name, distribution) pairs; "
            f"got {type(distributions).__name__}"
        ) from error


def build(name: str, value: object, earlier: Mapping[str, Component]) -> Component:
    """Build the component for one parameter.

    Parameters
    ----------
    name : str
        The parameter.
    value : object
        What the user gave: see ``ACCEPTED``. The next kind of distribution takes one class with
        the face of a Component, and one line here.
    earlier : mapping of str to Component
        The parameters before it.

    Raises
    ------
    PriorError
        For anything else.
    """
    able: Any = value
    if isinstance(value, GaussianField):
        return GaussianComponent.of(name, value, tuple(earlier))
    if isinstance(value, Drawn):
        return DrawnField.of(name, value, earlier)
    if hasattr(value, "xk") and hasattr(value, "freeze"):
        able = able.freeze()  # rv_discrete(values=...) is used as it is, without a call
    if hasattr(able, "freeze"):
        raise PriorError(
            f"parameter {name!r}: this distribution has no arguments yet; call it, as in "
            f"norm(0, 1). Accepted: {ACCEPTED}"
        )
    if isinstance(value, gaussian_kde):
        return Rosenblatt(from_kde(value))
    if is_discrete(able):
        return _univariate(Discrete.of, name, able)
    if isinstance(value, Mixture):
        return Rosenblatt(value)
    if isinstance(value, Tabulated):
        return value
    if is_continuous(value):
        return _univariate(Continuous.of, name, able)
    if _has(value, "rvs", "logpdf", "alpha"):
        return Dirichlet.of(name, able)
    if _has(value, "rvs", "logpdf", "loc", "shape", "df"):
        return MultivariateT.of(name, able)
    if _has(value, "rvs", "logpdf", "mean", "cov"):
        return MultivariateNormal.of(name, able)
    if callable(value):
        return Dependent.of(name, value, tuple(earlier))
    instead = f". {line}" if (line := hint(name, value)) else ""
    raise PriorError(f"parameter {name!r}: expected {ACCEPTED}; got {_what(value)}{instead}")


def _univariate(of: Callable[[str, Any], Component], name: str, value: object) -> Component:
    try:
        return of(name, value)
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
