"""What a comparison shows as figures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.integrate import quad

from sbi_inn.comparison.core import Core
from sbi_inn.errors import ComparisonError
from sbi_inn.methods.ib_inn.fitted import FittedIBINN
from sbi_inn.plots import classification, decision
from sbi_inn.plots.style import Canvas

SHOWN = 500  # simulations of a model that are drawn


def plot_decision(
    core: Core,
    y: Any,
    *,
    width_mm: float = 180.0,
    ax: Axes | None = None,
    fig: Canvas | None = None,
) -> Figure:
    """Plot an observation in latent space, between the two most probable models.

    The horizontal axis runs through the means of both; the vertical axis is the distance from it
    (fig. 5.20). Ellipses hold 90 % of a component in each direction. The latent space is that of
    the first network of the ensemble; the probabilities in the title are those of the whole
    ensemble.

    Parameters
    ----------
    y : one observation
    width_mm, ax, fig
        See `ModelComparison`.

    Raises
    ------
    ComparisonError
        If no observable varies, so that there is no latent space.
    """
    observations, network = core.schema.read(y), _network(core)
    log_posterior = core.log_posterior(core.evidence(observations))[0]
    first, second = sorted(np.argsort(-log_posterior)[:2].tolist())
    usual = network.likelihood(core.usual.observations).latent
    clouds = [usual[core.usual.labels == k][:SHOWN] for k in (first, second)]
    means, names = network.means, core.names
    said = ", ".join(f"{names[k]} {np.exp(log_posterior[k]):.3f}" for k in (first, second))
    return decision.plot_decision(
        network.likelihood(observations).latent[0],
        (clouds[0], clouds[1]),
        (means[first], means[second]),
        (names[first], names[second]),
        title=f"probability: {said}",
        width_mm=width_mm,
        ax=ax,
        fig=fig,
    )


def similarity(core: Core) -> pd.DataFrame:
    """Compute how hard each pair of models is to tell apart: the expected uncertainty (sec. C.5).

    If two components of the latent mixture lie close together, many observations from one model
    could as well be from the other. The uncertainty is 0 if the models can always be told apart,
    and 1/2 if never.

    Returns
    -------
    DataFrame
        Symmetric, with 1/2 on the diagonal; the mean over the ensemble.

    Raises
    ------
    ComparisonError
        If no observable varies, so that there is no latent space.
    """
    networks = [one for one in core.fitted.members if one.flow is not None]
    if not networks:
        raise ComparisonError("no observable varies: there is no latent space")
    k = len(core.names)
    found = np.full((k, k), 0.5)
    for i in range(k):
        for j in range(i):
            gaps = [float(np.linalg.norm(n.means[i] - n.means[j])) for n in networks]
            found[i, j] = found[j, i] = float(np.mean([expected_uncertainty(g) for g in gaps]))
    return pd.DataFrame(found, index=list(core.names), columns=list(core.names))


def plot_similarity(
    core: Core, *, width_mm: float = 180.0, ax: Axes | None = None, fig: Canvas | None = None
) -> Figure:
    """Plot the expected uncertainty between each pair of models (`similarity`)."""
    return classification.plot_matrix(
        similarity(core).to_numpy(),
        list(core.names),
        label="expected uncertainty",
        width_mm=width_mm,
        ax=ax,
        fig=fig,
    )


def expected_uncertainty(distance: float) -> float:
    """Give 1 minus the expected confidence between unit normal laws so far apart (eq. C.60).

    With t the place along the axis between the means, measured from the middle, log odds are
    t times the distance; of both laws together t has an even density, so that half of it is enough.

    Examples
    --------
    >>> round(expected_uncertainty(0.0), 3), expected_uncertainty(20.0) < 1e-6
    (0.5, True)
    """
    half = distance / 2

    def lacking(t: float) -> float:
        density = np.exp(-0.5 * (t - half) ** 2) + np.exp(-0.5 * (t + half) ** 2)
        return float(density / (1 + np.exp(min(t * distance, 700.0))))

    value, _ = quad(lacking, 0, half + 12, limit=200, points=[half] if half else None)
    return float(value / np.sqrt(2 * np.pi))


def _network(core: Core) -> FittedIBINN:
    network = core.fitted.members[0]
    if network.flow is None:
        raise ComparisonError("no observable varies: there is no latent space")
    return network
