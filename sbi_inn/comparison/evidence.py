"""Probabilities of models, and Bayes factors between them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd

from sbi_inn.comparison.core import Core
from sbi_inn.comparison.gathering import NONE
from sbi_inn.errors import ComparisonError
from sbi_inn.tables import index_of


def probabilities(core: Core, y: Any, prior: Mapping[str, float] | None = None) -> pd.Series[float]:
    """Compute the probability of each model, given that one of them is true.

    Parameters
    ----------
    y : one observation
    prior : mapping of str to float, optional
        Prior probabilities of the models, which sum to one; by default those of the comparison.
        They need no new training.

    Returns
    -------
    Series
        By the name of the model. It sums to one even if no model fits: see `goodness_of_fit`.

    Raises
    ------
    ComparisonError
        If the prior probabilities are not probabilities of these models.
    ShapeError
        If the observation does not fit the simulated ones.
    """
    found = core.evidence(core.schema.read(y))
    values = np.exp(core.log_posterior(found, prior)[0])
    return pd.Series(values, index=pd.Index(core.names, name="model"), name="probability")


def probabilities_each(
    core: Core, ys: Any, prior: Mapping[str, float] | None = None
) -> pd.DataFrame:
    """Compute the probability of each model for each of many observations.

    Parameters
    ----------
    ys : many observations
    prior : mapping of str to float, optional
        As in `probabilities`.

    Returns
    -------
    DataFrame
        One row per observation, with the catalogue's own index, and one column per model.
    """
    found = core.evidence(core.schema.read_many(ys))
    values = np.exp(core.log_posterior(found, prior))
    return pd.DataFrame(values, index=index_of(ys, len(values)), columns=list(core.names))


def log_bayes_factors(core: Core, y: Any, base: float = 10) -> pd.DataFrame:
    """Compute the log Bayes factor of each model over each other one, with its standard error.

    The errors are those of the networks, not of the models. They include the spread of the
    ensemble, other weights of its networks that fit the simulations as well, and calibrations on
    resampled rows.

    Parameters
    ----------
    y : one observation
    base : float
        Base of the logarithm; `math.e` gives nats.

    Returns
    -------
    DataFrame
        Rows (model, over), columns `log_bayes_factor` and `error`. A positive
        `.loc[("a", "b"), "log_bayes_factor"]` favours a over b. It does not depend on the prior
        probabilities.

    Raises
    ------
    ValueError
        If the base is not above 1.
    """
    found, unit = core.evidence(core.schema.read(y)), _unit(base)
    pairs = list(permutations(range(len(core.names)), 2))
    rows = [
        ((found.log[0, i] - found.log[0, j]) / unit, float(found.error(i, j)[0]) / unit)
        for i, j in pairs
    ]
    named = [(core.names[i], core.names[j]) for i, j in pairs]
    index = pd.MultiIndex.from_tuples(named, names=["model", "over"])
    return pd.DataFrame(rows, index=index, columns=["log_bayes_factor", "error"])


def log_bayes_factors_each(
    core: Core, ys: Any, base: float = 10, *, over: str | None = None
) -> pd.DataFrame:
    """Compute log Bayes factors for each of many observations.

    Parameters
    ----------
    ys : many observations
    base : float
        Base of the logarithm.
    over : str, optional
        The model that the others are compared with; by default the first.

    Returns
    -------
    DataFrame
        One row per observation; columns (model, "log_bayes_factor") and (model, "error") for every
        other model.

    Raises
    ------
    ComparisonError
        If there is no model `over`.
    ValueError
        If the base is not above 1.
    """
    over = core.names[0] if over is None else over
    if over not in core.names:
        raise ComparisonError(f"expected a model among {', '.join(core.names)}; got {over!r}")
    found, unit, j = core.evidence(core.schema.read_many(ys)), _unit(base), core.names.index(over)
    columns = {}
    for i, name in enumerate(core.names):
        if i != j:
            columns[name, "log_bayes_factor"] = (found.log[:, i] - found.log[:, j]) / unit
            columns[name, "error"] = found.error(i, j) / unit
    return pd.DataFrame(columns, index=index_of(ys, len(found.log)))


def table(core: Core, y: Any, prior: Mapping[str, float] | None = None) -> pd.DataFrame:
    """Tabulate the models, one row each, and "none of them" in the last row.

    Parameters
    ----------
    y : one observation
    prior : mapping of str to float, optional
        As in `probabilities`.

    Returns
    -------
    DataFrame
        `probability`, given that one of the models is true; `log10_bayes_factor` over the model
        with the largest evidence (which has 0), and its `error`; `p_value`, the share of a model's
        own simulations that fit it as badly as the observation does, or worse. "none of them" has a
        p-value only: the share of all models' simulations that fit all models as badly. If it is
        small, none of the models made the observation, whatever the probabilities.
    """
    observations = core.schema.read(y)
    found, strangeness = core.evidence(observations), core.strangeness
    scored = strangeness.scored(observations)
    best, unit = int(found.log[0].argmax()), np.log(10)
    own = strangeness.p_values_each(scored)[0]
    probability = np.exp(core.log_posterior(found, prior)[0])
    rows = {
        name: (
            probability[i],
            (found.log[0, i] - found.log[0, best]) / unit,
            float(found.error(i, best)[0]) / unit,
            own[i],
        )
        for i, name in enumerate(core.names)
    }
    rows[NONE] = (np.nan, np.nan, np.nan, float(strangeness.p_value(scored)[0]))
    columns = ["probability", "log10_bayes_factor", "error", "p_value"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("model")


def _unit(base: float) -> float:
    if not base > 1:
        raise ValueError(f"the base of a logarithm must be above 1; got {base!r}")
    return float(np.log(base))
