"""How a bidirectional network is trained, and how well it then predicts."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import torch

from sbi_inn.methods.bidirectional.losses import Likelihood, MeanDiscrepancy
from sbi_inn.methods.bidirectional.network import BidirectionalNetwork, Triples
from sbi_inn.methods.bidirectional.noise import BlurAndNoise
from sbi_inn.methods.bidirectional.settings import INNSettings
from sbi_inn.training.device import device_of, on, to_numpy
from sbi_inn.training.history import History
from sbi_inn.training.loop import fit
from sbi_inn.training.settings import Training
from sbi_inn.typing import BoolArray, FloatArray

# Beyond this many dimensions a discrepancy hardly sees how two samples differ.
LARGE = 20
# Standard deviation of a Gaussian over its median absolute value.
GAUSSIAN = 1.4826
# Rows that are judged at once.
AT_ONCE = 2048


def learn(
    network: BidirectionalNetwork,
    settings: INNSettings,
    seen: Triples,
    unseen: Triples,
    training: Training,
    *,
    seed: int,
    renew: Callable[[np.random.Generator], Triples] | None = None,
    progress: bool = True,
) -> History:
    """Train a network in place; it ends with its best averaged weights.

    Parameters
    ----------
    network : BidirectionalNetwork
    settings : INNSettings
        Resolved.
    seen, unseen : Triples
        Rows to train and to validate on.
    training : Training
    seed : int
    renew : callable, optional
        Gives the training rows with noise drawn anew.
    progress : bool
    """
    loss, noise = _loss_and_noise(network, settings)
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


@torch.no_grad()
def judged(network: BidirectionalNetwork, settings: INNSettings, rows: Triples) -> float:
    """Give the mean loss of rows, wherever they are."""
    loss, noise = _loss_and_noise(network, settings)
    parts = torch.arange(len(rows)).split(AT_ONCE)
    each = [loss(noise.fixed(on(rows[part], device_of(network)))) for part in parts]
    return torch.cat(each).double().mean().item()


def forward_errors(
    settings: INNSettings, network: BidirectionalNetwork, unseen: Triples, exact: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """Give root-mean-square and typical error of each observable, after the last adjustment."""
    unseen = on(unseen, device_of(network))
    if settings.candidates != 1 and not network.sides.padded:
        network.align(unseen)
    with torch.no_grad():
        errors = np.abs(to_numpy(network.residual(unseen)).astype(np.float64))
    typical = np.where(exact, 0.0, GAUSSIAN * np.median(errors, axis=0))
    return np.sqrt((errors**2).mean(axis=0)), typical


def _loss_and_noise(
    network: BidirectionalNetwork, settings: INNSettings
) -> tuple[Likelihood | MeanDiscrepancy, BlurAndNoise]:
    assert settings.blur is not None
    loss = _loss(network, settings)
    return loss, BlurAndNoise(network.sides, loss.padding, settings.blur)


def _loss(network: BidirectionalNetwork, settings: INNSettings) -> Likelihood | MeanDiscrepancy:
    if settings.loss == "likelihood":
        return Likelihood(network)
    if network.sides.width > LARGE:
        warnings.warn(
            f"mean discrepancies say little in more than about {LARGE} dimensions; here are "
            f'{network.sides.width}. INN(loss="likelihood") has no such limit',
            stacklevel=5,
        )
    return MeanDiscrepancy(network, settings.widths, settings.terms)
