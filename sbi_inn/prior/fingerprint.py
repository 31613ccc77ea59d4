"""Values that identify a prior: for priors with code, which files do not hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sbi_inn.errors import LoadError, PriorError
from sbi_inn.prior.prior import Prior

ROWS = 16
"""Latents at which a prior is evaluated: another prior agrees at none of them."""

TOLERANCE = 1e-6
"""Relative and absolute: other versions of scipy differ by less."""


def fingerprint(prior: Prior) -> dict[str, Any]:
    """Evaluate a prior at a few fixed latents, for a file.

    Returns
    -------
    dict
        "latents", lists of numbers; "parameters", a list of numbers for each column; "log_prob".
    """
    latents = np.random.default_rng(0).standard_normal((ROWS, prior.latent_dim))
    found = prior.from_latent(latents)
    flat = prior.flatten(found).T.tolist()
    return {
        "latents": latents.tolist(),
        "parameters": dict(zip(prior.columns, flat, strict=True)),
        "log_prob": prior.log_prob(found).tolist(),
    }


def check_fingerprint(prior: Prior, stored: Mapping[str, Any]) -> None:
    """Raise LoadError unless a prior has the values that were stored.

    Raises
    ------
    LoadError
        Where parameters, values or densities differ, or what is stored is damaged.
    """
    try:
        latents = np.array(stored["latents"], dtype=float)
        expected = {str(n): np.array(v, dtype=float) for n, v in stored["parameters"].items()}
        log_prob = np.array(stored["log_prob"], dtype=float)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise LoadError(f"the stored values of the prior are damaged: {error!r}") from error
    if tuple(expected) != prior.columns:
        raise LoadError(
            f"the prior names {', '.join(prior.columns)}; expected {', '.join(expected)}, as in "
            "the file"
        )
    try:
        found = prior.from_latent(latents)
        columns = dict(zip(prior.columns, prior.flatten(found).T, strict=True))
        pairs = {n: (columns[n], v) for n, v in expected.items()}
        pairs["the log density"] = prior.log_prob(found), log_prob
        differ = [n for n, pair in pairs.items() if not _same(*pair)]
    except (ValueError, PriorError) as error:
        raise LoadError(f"the prior is not that of the file: {error}") from error
    if differ:
        mine, theirs = pairs[differ[0]]
        row = int(np.argmax(~np.isclose(mine, theirs, TOLERANCE, TOLERANCE)))
        raise LoadError(
            "the prior is not the one that the posterior was trained with: at the same quantiles "
            f"{differ[0]} is {mine[row]:.6g}, and {theirs[row]:.6g} in the file"
        )


def _same(mine: np.ndarray, theirs: np.ndarray) -> bool:
    if mine.shape != theirs.shape:
        raise LoadError(
            f"the stored values of the prior are damaged: expected {len(mine)} rows; got shape "
            f"{theirs.shape}"
        )
    return bool(np.allclose(mine, theirs, TOLERANCE, TOLERANCE))
