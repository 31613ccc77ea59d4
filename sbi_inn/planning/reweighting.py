"""Another prior without new training: draws resampled by the ratio of the two priors."""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr

from sbi_inn.diagnostics.weighted import effective_sample_size, systematic
from sbi_inn.draws import INTERVAL_95, by_name, columns_of
from sbi_inn.errors import PriorError
from sbi_inn.prior import Prior
from sbi_inn.simulation.seeds import Stream, generator
from sbi_inn.typing import FloatArray

PRIOR_DRAWS = 10_000  # of the new prior: its widths, and its share out of reach, to 1 %
FEWEST = 100  # effective draws, below which no posterior can be described,
SMALLEST_SHARE = 0.01  # or this share of all: then a few draws decide
OUT_OF_REACH = 0.01  # share of the new prior that may lie where the old one allows nothing


def reweight(draws: xr.Dataset, old: Prior, new: Prior, *, seed: int) -> xr.Dataset:
    """Turn draws of a posterior under one prior into draws under another.

    The likelihood is the same, so each draw is weighted by the density of the new prior over that
    of the old one, in parameter units. As many draws are then taken by systematic resampling: a
    draw of mean weight comes once, one of twice that weight twice.

    Parameters
    ----------
    draws : xarray.Dataset
        Draws of one observation's posterior, dim `draw`. Derived variables go along.
    old, new : Prior
        What the draws were made with, and what is wanted in its place; of the same parameters.
    seed : int
        Of the resampling.

    Returns
    -------
    xarray.Dataset
        As many draws, with the labels and units they had. The attribute `effective_sample_size` is
        how many draws without weights are worth as much (Kish 1965), (sum w)^2 / sum w^2.

    Raises
    ------
    PriorError
        If the priors have other parameters, one of them was never stated, a draw is impossible
        under the old prior, or all of them are under the new one.
    ShapeError
        If there are no draws, or they are of several observations.

    Warns
    -----
    UserWarning
        If fewer than 100 effective draws are left, or less than 1 %: the draws hardly cover what
        the new prior asks for. If over 1 % of the new prior lies outside the old one's support,
        where there are no draws at all.

    Examples
    --------
    >>> import scipy.stats as st
    >>> from sbi_inn.draws import make_draws
    >>> draws = make_draws({"a": np.linspace(0.0005, 0.9995, 1000)})
    >>> rising = reweight(draws, Prior(a=st.uniform(0, 1)), Prior(a=st.beta(2, 1)), seed=1)
    >>> round(float(rising["a"].mean()), 2), round(rising.attrs["effective_sample_size"])
    (0.67, 750)
    """
    _check_names(old, new)
    columns_of(draws)  # raises where there is not one observation's draws
    log_weights = _log_weights(by_name(draws, old.names), old, new)
    size = float(effective_sample_size(log_weights))
    _warn_few(size, len(log_weights))
    sample = new.sample(PRIOR_DRAWS, generator(seed, Stream.REWEIGHTED_PRIOR))
    _warn_out_of_reach(old, sample)
    rows = systematic(
        np.exp(log_weights - log_weights.max()), generator(seed, Stream.REWEIGHTED_ROWS)
    )
    chosen = draws.isel(draw=rows).assign_attrs(effective_sample_size=size)
    return _with_widths(chosen, sample)


def _check_names(old: Prior, new: Prior) -> None:
    if not isinstance(new, Prior):
        raise PriorError(f"expected a Prior to reweight to; got {type(new).__name__}")
    for which, prior in (("old", old), ("new", new)):
        if not prior.stated:
            raise PriorError(
                f"the {which} prior was never stated: it was fitted to the columns of a table, and "
                "has no density that draws could be weighted by. Where it is known, state it: "
                "si.fit_posterior(simulations, si.Prior(...))"
            )
    if set(old.names) != set(new.names):
        raise PriorError(
            f"expected a prior of the parameters {', '.join(old.names)}, as the draws have; got "
            f"one of {', '.join(new.names)}"
        )


def _log_weights(parameters: dict[str, FloatArray], old: Prior, new: Prior) -> FloatArray:
    """Log of new over old density of each draw, shape (draws,)."""
    before, after = old.log_prob(parameters), new.log_prob(parameters)
    impossible = int((before == -np.inf).sum())
    if impossible:
        raise PriorError(
            f"{impossible:,} of {len(before):,} draws lie outside the support of the prior they "
            "are said to be made with: pass the draws as the posterior gave them"
        )
    log_weights = after - before
    if not (log_weights > -np.inf).any():
        raise PriorError(
            f"none of the {len(log_weights):,} draws lies inside the support of the new prior "
            f"{new!r}"
        )
    return log_weights


def _with_widths(draws: xr.Dataset, prior_sample: dict[str, FloatArray]) -> xr.Dataset:
    """Say of each parameter how wide the new prior is."""
    low, high = INTERVAL_95
    updated = {}
    for name, values in prior_sample.items():
        width = np.quantile(values, high, axis=0) - np.quantile(values, low, axis=0)
        updated[name] = draws[name].assign_attrs(prior_width95=width.tolist())
    return draws.assign(updated)


def _warn_few(size: float, n: int) -> None:
    if size < FEWEST or size < SMALLEST_SHARE * n:
        warnings.warn(
            f"the new prior asks for parts that the draws hardly cover: {n:,} draws are worth "
            f"{size:,.0f}. Start from more draws, or fit again with the new prior",
            stacklevel=5,  # at the caller of Posterior.reweight
        )


def _warn_out_of_reach(old: Prior, sample: dict[str, FloatArray]) -> None:
    share = float((old.log_prob(sample) == -np.inf).mean())
    if share > OUT_OF_REACH:
        warnings.warn(
            f"{share:.0%} of the new prior lies outside the support of the old one, where nothing "
            "was simulated: the posterior cannot be reached there. Fit again with the new prior",
            stacklevel=5,  # at the caller of Posterior.reweight
        )
