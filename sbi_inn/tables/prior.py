"""The prior of a table: stated, and compared with the table, or fitted to its columns."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import stats

from sbi_inn.diagnostics.field_quantities import Quantities
from sbi_inn.errors import PriorError
from sbi_inn.prior import Prior
from sbi_inn.prior.drawn import Drawn, DrawnField
from sbi_inn.prior.tabulated import Tabulated
from sbi_inn.simulation.simulations import Simulations
from sbi_inn.typing import AnyArray, IntArray

Bounds = Mapping[str, tuple[float, float]]

PRIOR_DRAWS = 50_000
"""Draws of a stated prior that a table is compared with: their error is a tenth of `distance`."""

PRIOR_NUMBERS = 5_000_000
"""Numbers in these draws, at most."""

QUANTILES = (0.025, 0.25, 0.5, 0.75, 0.975)
"""Of the table and of the prior, in the message."""


@dataclass(frozen=True)
class _Limits:
    """A mismatch is said where it cannot be chance, over all that is looked at, and can be seen."""

    p_value: float = 1e-6
    distance: float = 0.05
    """Largest one between two distribution functions."""
    correlation: float = 0.1
    """Of ranks, where there should be none."""


LIMITS = _Limits()


def read_off(
    parameters: Mapping[str, AnyArray],
    bounds: Bounds | None = None,
    fields: Collection[str] = (),
) -> Prior:
    """Make a prior of the columns of a table, each by itself; of a field one of all pixels.

    Parameters
    ----------
    parameters : mapping of str to array, shape (rows,) or (rows, k), or (rows, h, w) of a field
    bounds : mapping of str to (low, high), optional
    fields : collection of str
        Which of them are profiles or maps.

    Raises
    ------
    PriorError
        If bounds name no parameter, are no interval, or rows lie outside them; if fields are too
        small, of odd sides, or all the same.
    """
    bounds = dict(bounds or {})
    unknown = [name for name in bounds if name not in parameters]
    if unknown:
        raise PriorError(
            f"bounds= names {unknown[0]!r}; expected parameters among {', '.join(parameters)}"
        )
    for name, pair in bounds.items():
        if np.shape(pair) != (2,):
            raise PriorError(f"parameter {name!r}: expected bounds (low, high); got {pair!r}")

    def fitted(name: str, values: AnyArray) -> Drawn | Tabulated:
        within = bounds.get(name, (-np.inf, np.inf))
        if name in fields:
            # Rows that are drawn again would be test simulations that training has seen.
            return DrawnField.of(name, Drawn(values, within), {}).without_rows()
        return Tabulated.fit(name, values, within)

    return Prior({name: fitted(name, values) for name, values in parameters.items()})


def with_prior(simulations: Simulations, prior: Prior) -> Simulations:
    """State the prior of simulations, or another one than they came with, and compare it with them.

    Raises
    ------
    PriorError
        If the parameters differ, or rows lie outside the prior's support.

    Warns
    -----
    UserWarning
        If the parameters are clearly not distributed as it says.
    """
    if prior == simulations.prior:
        return simulations
    check_stated(prior, simulations.parameters())
    return replace(simulations, prior=prior)


def check_stated(prior: Prior, parameters: Mapping[str, AnyArray]) -> None:
    """Compare a stated prior with the parameters of a table; of a field, what sums it up.

    Raises
    ------
    PriorError
        If the parameters differ, or rows lie outside the prior's support.

    Warns
    -----
    UserWarning
        For each parameter whose distribution is clearly another: a two-sided Kolmogorov-Smirnov
        test, p < 1e-6 after Bonferroni, and distribution functions that differ by 0.05 or more. And
        for each pair that is correlated (0.1 or more) where the prior says it is not.
    """
    if not isinstance(prior, Prior):
        raise PriorError(f"expected a Prior; got {type(prior).__name__}")
    if set(prior.names) != set(parameters):
        raise PriorError(
            f"expected a prior of the parameters {', '.join(parameters)}, as in the table; got one "
            f"of {', '.join(prior.names)}"
        )
    flat = prior.flatten(parameters)
    outside = ~np.isfinite(prior.log_prob(parameters))
    if outside.any():
        raise PriorError(_outside(prior, flat, outside))
    n = min(PRIOR_DRAWS, PRIOR_NUMBERS // prior.dim)
    drawn = _looked_at(prior, prior.flatten(prior.sample(n, np.random.default_rng(0))))
    loose = _numbers(prior, "latents")
    tests = len(drawn) + len(loose) * (len(loose) - 1) // 2
    for column, values in _looked_at(prior, flat).items():
        found = stats.ks_2samp(values, drawn[column], method="asymp")
        if found.pvalue * tests < LIMITS.p_value and found.statistic >= LIMITS.distance:
            warnings.warn(_mismatch(column, values, drawn[column]), stacklevel=4)
    _warn_correlated(prior, prior.to_latent(parameters), loose, tests)


def _numbers(prior: Prior, side: Literal["latents", "columns"]) -> IntArray:
    """Say which latents or columns of a prior are no pixels."""
    every = np.arange(prior.latent_dim if side == "latents" else prior.dim)
    return np.delete(
        every, np.concatenate([every[:0], *(every[getattr(p, side)] for p in prior.fields)])
    )


def _looked_at(prior: Prior, flat: AnyArray) -> dict[str, AnyArray]:
    """Name what is compared of flat parameters (rows, dim): numbers, and what sums up a field."""
    found = {prior.columns[i]: flat[:, i] for i in _numbers(prior, "columns")}
    if not prior.drawable:
        return found  # what is known of a field are its pixels, one at a time
    for place in prior.fields:
        quantities = Quantities(place.name, place.shape)
        each = quantities(flat[:, place.columns].reshape(-1, *place.shape))
        found |= dict(zip(quantities.names, each.T, strict=True))
    return found


def _outside(prior: Prior, flat: AnyArray, outside: AnyArray) -> str:
    """Say how many rows the prior does not allow, and which parameter may be the reason."""
    counts = []
    for i, column in enumerate(prior.columns):
        low, high = prior.support[column.partition("[")[0]]
        beyond = int(((flat[:, i] < low) | (flat[:, i] > high)).sum())
        if beyond:
            seen = f"{flat[:, i].min():g} to {flat[:, i].max():g}"
            counts.append(f"{beyond:,} in {column} (table {seen}, prior {low:g} to {high:g})")
    where = f": {'; '.join(counts)}" if counts else ""
    return (
        f"{int(outside.sum()):,} of {len(flat):,} rows lie outside the support of the stated "
        f"prior{where}"
    )


def _mismatch(column: str, table: AnyArray, drawn: AnyArray) -> str:
    def quantiles(values: AnyArray) -> str:
        return ", ".join(f"{value:.3g}" for value in np.quantile(values, QUANTILES))

    levels = ", ".join(f"{100 * q:g}" for q in QUANTILES)
    return (
        f"{column} is not distributed as the stated prior says: its {levels} % quantiles are "
        f"{quantiles(table)} in the table and {quantiles(drawn)} under the prior. The posterior "
        "will be that under the table's distribution; leave prior= out, or state the right one"
    )


def _warn_correlated(prior: Prior, latent: AnyArray, loose: IntArray, tests: int) -> None:
    """Warn of what moves together on the side where the prior is N(0, I)."""
    if len(prior.columns) != latent.shape[1]:
        return  # a dirichlet has fewer latents than columns: they have no names
    for place, i in enumerate(loose):
        for j in loose[:place]:
            found = stats.spearmanr(latent[:, i], latent[:, j])
            if found.pvalue * tests < LIMITS.p_value and abs(found.statistic) >= LIMITS.correlation:
                warnings.warn(
                    f"{prior.columns[j]} and {prior.columns[i]} go together in the table otherwise "
                    f"than under the stated prior: the rank correlation that it leaves is "
                    f"{found.statistic:.2f}, and should be 0. The posterior will be that under the "
                    "table's distribution",
                    stacklevel=5,
                )
