"""Distributions by their public scipy.stats names, and what a file holds of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.stats

from sbi_inn.typing import AnyArray, FloatArray

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
