"""Which networks a posterior is a mixture of."""

from __future__ import annotations

from typing import Any

import pandas as pd

from sbi_inn.methods.ensemble.fitted import FittedEnsemble
from sbi_inn.methods.recalibrated.fitted import Recalibrated
from sbi_inn.posterior.core import Core
from sbi_inn.training.history import History


def networks(core: Core) -> pd.DataFrame:
    """List the networks that draws come from: the weight of each, and how it reads and starts.

    Returns
    -------
    DataFrame
        One row a network, indexed by its number in the order of `fit_posterior(ensemble=)`,
        counted from 1; after `refine`, by its kind: several have the same number. `weight` is its
        share of the draws. `asked` says at which observations: "everywhere", or where posteriors
        are "narrow" or "wide" (then `weight` is the average over simulations).
        `validation_loss` is in nats, the smaller the better. Networks that were left out have no
        row.

    Examples
    --------
    >>> import scipy.stats as st
    >>> import sbi_inn as si
    >>> posterior = si.fit_posterior(
    ...     lambda x, rng: {"y": x + rng.normal(0, 0.1)}, si.Prior(x=st.uniform()), ensemble=1,
    ...     n_simulations=500, training=si.Training(epochs=2), seed=1, progress=False,
    ... )
    >>> posterior.networks["weight"].to_dict()
    {1: 1.0}
    """
    fitted: Any = core.fitted
    while isinstance(fitted, Recalibrated):
        fitted = fitted.inner
    members, weights, sides = (fitted,), [1.0], None
    if isinstance(fitted, FittedEnsemble):
        members, weights, sides = fitted.members, fitted.weights.tolist(), fitted.sides
    places = [getattr(member.settings, "place", place) for place, member in enumerate(members)]
    return pd.DataFrame(
        {
            "weight": weights,
            "asked": ["everywhere"] * len(members) if sides is None else sides.asked(),
            "validation_loss": [_loss(member.history) for member in members],
            "description": [member.describe() for member in members],
        },
        index=pd.Index([place + 1 for place in places], name="network"),
    )


def _loss(history: History) -> float:
    """Give the validation loss of the weights that were kept."""
    return history.validation_loss[history.epoch.index(history.best_epoch)]
