"""How a bidirectional network is trained, and how well it then predicts."""

from __future__ import annotations

import warnings

import numpy as np
import torch

from sbi_inn.errors import ShapeError
from sbi_inn.methods.bidirectional.losses import Likelihood, MeanDiscrepancy
from sbi_inn.methods.bidirectional.network import BidirectionalNetwork, Triples
from sbi_inn.methods.bidirectional.noise import BlurAndNoise
from sbi_inn.methods.bidirectional.settings import INNSettings
from sbi_inn.observation.batch import Observations
from sbi_inn.training.history import History
from sbi_inn.training.loop import Renew, fit
from sbi_inn.training.settings import Training
from sbi_inn.typing import BoolArray, FloatArray

# Beyond this many dimensions a discrepancy hardly sees how two samples differ.
LARGE = 20
# Standard deviation of a Gaussian over its median absolute value.
GAUSSIAN = 1.4826
# Rows that are judged at once.
AT_ONCE = 2048

Loss = Likelihood | MeanDiscrepancy


def learn(
    settings: INNSettings,
    network: BidirectionalNetwork,
    seen: Triples,
    unseen: Triples,
    training: Training,
    *,
    seed: int,
    blur: tuple[float, float],
    renew: Renew | None = None,
    progress: bool = True,
) -> History:
    """Train a network in place; it ends with its best averaged weights.

    Parameters
    ----------
    settings : INNSettings
        Resolved.
    network : BidirectionalNetwork
    seen, unseen : Triples
        To train on, and to validate on.
    training : Training
    seed : int
    blur : (float, float)
        Standard deviation on scaled observations, at the start and the end.
    renew : callable, optional
        Gives the training rows with noise drawn anew.
    progress : bool
    """
    loss = loss_of(settings, network)
    noise = BlurAndNoise(network.sides, loss.padding, blur)
    return fit(
        network,
        loss,
        seen,
        unseen,
        training,
        seed=seed,
        augment=noise,
        renew=renew,
        score=lambda rows: loss(noise.fixed(rows)),
        quantity=loss.quantity,
        progress=progress,
    )


def loss_of(settings: INNSettings, network: BidirectionalNetwork) -> Loss:
    """Give the loss of resolved settings; warn where it says little."""
    if settings.loss == "likelihood":
        return Likelihood(network)
    if network.sides.width > LARGE:
        warnings.warn(
            f"mean discrepancies say little in more than about {LARGE} dimensions; here are "
            f'{network.sides.width}. INN(loss="likelihood") has no such limit',
            stacklevel=4,
        )
    return MeanDiscrepancy(network, settings.widths, settings.terms)


@torch.no_grad()
def judged(settings: INNSettings, network: BidirectionalNetwork, rows: Triples) -> float:
    """Give the mean loss of rows, without blur, whose noise is the same at every call."""
    loss = loss_of(settings, network)
    noise = BlurAndNoise(network.sides, loss.padding, (0.0, 0.0))
    parts = [loss(noise.fixed(rows[r])) for r in torch.arange(len(rows)).split(AT_ONCE)]
    return torch.cat(parts).double().mean().item()


def forward_errors(
    settings: INNSettings, network: BidirectionalNetwork, unseen: Triples, exact: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """Give root-mean-square and typical error of each observable, after the last adjustment."""
    if settings.candidates != 1 and not network.sides.padded:
        network.align(unseen)
    with torch.no_grad():
        errors = np.abs(network.residual(unseen).numpy().astype(np.float64))
    typical = np.where(exact, 0.0, GAUSSIAN * np.median(errors, axis=0))
    return np.sqrt((errors**2).mean(axis=0)), typical


def check_observations(observations: Observations) -> None:
    """Raise ShapeError unless there is one vector of observables, of which none is missing."""
    kinds = {
        "sets": [name for name in observations.sets if name not in observations.series],
        "series": observations.series,
        "images": observations.grids,
    }
    got = [f"{kind}: {', '.join(names)}" for kind, names in kinds.items() if names]
    if got or observations.vector.shape[1] == observations.givens:
        raise ShapeError(
            "the bidirectional INN predicts one vector of observables; got "
            f'{"; ".join(got) or "none"}. Use method="cinn"'
        )
    if np.isnan(observations.vector).any():
        raise ShapeError(
            "the bidirectional INN predicts observables, none of which may be missing; got NaN. "
            'Use method="cinn"'
        )
