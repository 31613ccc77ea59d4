"""Find where in the prior simulations fail: in some part of it, or anywhere."""

from __future__ import annotations

import numpy as np
from scipy.stats import ks_2samp

from sbi_inn.simulation.simulations import Simulations

SIGNIFICANT = 0.01
"""Of the smallest of all p-values, after Bonferroni."""


def where_failed(simulations: Simulations) -> list[str]:
    """Name the parameters on which it depends whether a simulation succeeds.

    Two-sided Kolmogorov-Smirnov tests compare the simulations that failed with the others, one
    parameter at a time. Two parameters that only together decide are not found.

    Returns
    -------
    list of str
        Columns of the prior; none if failures are strewn evenly, as far as the tests can see.
    """
    ok = np.isin(np.arange(len(simulations)), simulations.ok)
    if ok.all() or not ok.any():
        return []
    flat = simulations.prior.flatten(simulations.parameters(np.arange(len(ok))))
    limit = SIGNIFICANT / flat.shape[1]
    found = [ks_2samp(column[ok], column[~ok]).pvalue < limit for column in flat.T]
    return [name for name, depends in zip(simulations.prior.columns, found, strict=True) if depends]
