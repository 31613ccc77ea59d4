"""Distributions by their public scipy.stats names: what a file may hold, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import scipy.stats

from sbi_inn.errors import LoadError
from sbi_inn.typing import AnyArray, FloatArray

if TYPE_CHECKING:
    from sbi_inn.prior.mixture import Mixture

CONTINUOUS = frozenset(
    """
    alpha anglit arcsine argus beta betaprime bradford burr burr12 cauchy chi chi2 cosine
    crystalball dgamma dpareto_lognorm dweibull erlang expon exponnorm exponpow exponweib f
    fatiguelife fisk foldcauchy foldnorm gamma gausshyper genexpon genextreme gengamma
    genhalflogistic genhyperbolic geninvgauss genlogistic gennorm genpareto gibrat gompertz
    gumbel_l gumbel_r halfcauchy halfgennorm halflogistic halfnorm hypsecant invgamma invgauss
    invweibull irwinhall jf_skew_t johnsonsb johnsonsu kappa3 kappa4 ksone kstwo kstwobign landau
    laplace laplace_asymmetric levy levy_l loggamma logistic loglaplace lognorm
    loguniform lomax maxwell mielke moyal nakagami ncf nct ncx2 norm norminvgauss pareto pearson3
    powerlaw powerlognorm powernorm rayleigh rdist recipinvgauss reciprocal rel_breitwigner rice
    semicircular skewcauchy skewnorm t trapezoid triang truncexpon truncnorm
    truncpareto truncweibull_min tukeylambda uniform vonmises_line wald weibull_max weibull_min
    wrapcauchy
    """.split()
)
"""Continuous univariate distributions, as of scipy 1.17, but for those of ``UNSUITABLE``."""

UNSUITABLE = {
    "vonmises": "its density repeats on the whole line; use vonmises_line, one turn of it",
    "levy_stable": "scipy takes seconds for a single quantile of it",
    "studentized_range": "scipy takes seconds for a single quantile of it",
}
"""Distributions that cannot serve as a prior, and why."""

DISCRETE = frozenset(
    """
    bernoulli betabinom betanbinom binom boltzmann dlaplace geom hypergeom logser nbinom
    nchypergeom_fisher nchypergeom_wallenius nhypergeom planck poisson randint skellam yulesimon
    zipf zipfian
    """.split()
)
"""Discrete univariate distributions, as of scipy 1.17, whose arguments are numbers."""

LISTED = frozenset({"rv_discrete"})
"""Discrete distributions that list their values and probabilities."""

MULTIVARIATE = frozenset({"multivariate_normal", "multivariate_t", "dirichlet"})

MIXED = frozenset({"norm", "multivariate_normal"})
"""What the components of a mixture can be."""

ALLOWED = {
    "continuous": CONTINUOUS,
    "discrete": DISCRETE,
    "listed": LISTED,
    "multivariate": MULTIVARIATE,
    "mixture": MIXED,
}
"""What each kind of stored parameter can be."""


def family(frozen: object) -> str | None:
    """Public name of a frozen univariate distribution, or None if it is not scipy's own."""
    generator = getattr(frozen, "dist", None)
    name = getattr(generator, "name", None)
    if name not in CONTINUOUS | DISCRETE or not hasattr(scipy.stats, name):
        return None
    return name if type(generator) is type(getattr(scipy.stats, name)) else None


def continuous_config(frozen: object) -> dict[str, Any] | None:
    """Name and arguments of a frozen univariate distribution; None if it cannot be stored."""
    return _univariate_config("continuous", frozen)


def discrete_config(frozen: object) -> dict[str, Any] | None:
    """Name and arguments of a frozen discrete distribution; None if it cannot be stored."""
    values = listed(frozen)
    if values is None:
        return _univariate_config("discrete", frozen)
    lists = [column.tolist() for column in values]
    return {"kind": "listed", "distribution": "rv_discrete", "args": lists, "kwds": {}}


def listed(frozen: object) -> tuple[AnyArray, FloatArray] | None:
    """Values, rising, and probabilities of a frozen `rv_discrete(values=...)`; None of others."""
    generator: Any = getattr(frozen, "dist", None)
    if not (hasattr(generator, "xk") and hasattr(generator, "pk")):
        return None
    args, kwds = getattr(frozen, "args", ()), getattr(frozen, "kwds", {})
    order = np.argsort(generator.xk)
    location = kwds.get("loc", args[0] if args else 0)
    return np.asarray(generator.xk)[order] + location, np.asarray(generator.pk)[order]


def _univariate_config(kind: str, frozen: object) -> dict[str, Any] | None:
    name = family(frozen)
    if name is None:
        return None
    args = [np.asarray(value).item() for value in getattr(frozen, "args", ())]
    kwds = {key: np.asarray(value).item() for key, value in getattr(frozen, "kwds", {}).items()}
    return {"kind": kind, "distribution": name, "args": args, "kwds": kwds}


def multivariate_config(name: str, **kwds: npt.ArrayLike) -> dict[str, Any]:
    """Name and arguments of a multivariate distribution."""
    numbers = {key: np.asarray(value).tolist() for key, value in kwds.items()}
    return {"kind": "multivariate", "distribution": name, "args": [], "kwds": numbers}


def mixture_config(name: str, *columns: npt.ArrayLike) -> dict[str, Any]:
    """Name of a mixture's components; its weights and their two arguments, one list each."""
    lists = [np.asarray(column).tolist() for column in columns]
    return {"kind": "mixture", "distribution": name, "args": lists, "kwds": {}}


def restore(config: dict[str, Any]) -> tuple[str, Any]:
    """Rebuild one parameter from its entry in a file.

    Parameters
    ----------
    config : dict
        With "name", "kind", "distribution", "args" and "kwds"; anything else is a LoadError.

    Returns
    -------
    tuple
        The parameter's name and its frozen scipy distribution, a Mixture of some, or what was
        fitted to a table.

    Raises
    ------
    LoadError
        For a distribution that is not on the list, and arguments that are not numbers.
    """
    try:
        name, kind, distribution = config["name"], config["kind"], config["distribution"]
        args, kwds = list(config["args"]), dict(config["kwds"])
    except (KeyError, TypeError, ValueError) as error:
        raise LoadError(
            "a parameter of a stored prior needs name, kind, distribution, args and kwds; "
            f"got {config!r}"
        ) from error
    if kind == "table":
        from sbi_inn.prior.tabulated import Tabulated  # which needs this file, as mixtures do

        return name, Tabulated.from_config(name, config)
    allowed = ALLOWED.get(str(kind), frozenset())
    if str(distribution) not in allowed or not hasattr(scipy.stats, distribution):
        raise LoadError(
            f"parameter {name!r}: stored priors hold continuous and discrete distributions of "
            f"scipy.stats {scipy.__version__}, {', '.join(sorted(MULTIVARIATE))} and mixtures of "
            f"normals; got {kind!r} {distribution!r}"
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
    from sbi_inn.prior.mixture import Mixture  # which needs this file for its own components

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
