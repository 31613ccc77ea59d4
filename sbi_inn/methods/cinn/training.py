"""Train a cINN: by likelihood; if there are images, by regression first.

Some information in an image may be worth less than a nat, such as on which side of the head
something is, and take hundreds of steps to learn. By then the likelihood has made everything else
sharp. Gradients of sharp parameters are larger (by one over the posterior's width), so that the
steps of Adam then ignore the rest. Least squares have no such scale: features that explain as much
of each parameter as possible are a start from which the likelihood loses nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from torch import Tensor, nn

from sbi_inn.methods.cinn.network import DropoutAndBlur, Network, Pairs
from sbi_inn.summary_networks import Fusion, OwnNet
from sbi_inn.training.history import History
from sbi_inn.training.loop import Renew, Rows, fit, seeded
from sbi_inn.training.progress import Watch, watched, watching
from sbi_inn.training.settings import Training

# Passes that come first, for each of those by likelihood.
REGRESSION = 0.5
# Share of all passes, and of the time.
FIRST = REGRESSION / (1 + REGRESSION)


def learn(
    network: Network,
    train: Rows,
    validation: Pairs,
    training: Training,
    *,
    seed: int,
    augment: DropoutAndBlur,
    renew: Renew | None = None,
    features_first: bool = False,
    progress: bool = True,
) -> History:
    """Train a network in place; it ends with its best averaged weights.

    Parameters
    ----------
    network : Network
    train : Rows
        Of Pairs, in memory or on disk.
    validation : Pairs
    training : Training
        Its epochs are filled in.
    seed : int
    augment : DropoutAndBlur
    renew : callable, optional
        Gives the training rows with noise drawn anew.
    features_first : bool
        Regress the parameters on the features first, for half as many passes; of
        `max_seconds` it takes a third at most.
    progress : bool

    Returns
    -------
    History
        That of the likelihood; its seconds are those of all.
    """

    def by_likelihood(training: Training) -> History:
        return fit(
            network,
            network.loss,
            train,
            validation,
            training,
            seed=seed,
            augment=augment,
            renew=renew,
            score=network.score,
            progress=progress,
        )

    if not features_first:
        return by_likelihood(training)
    with watching(progress) as watch:
        with watched(part_of(watch, 0.0, FIRST, shown=False)):
            first = regress(network, train, validation, training, seed=seed, renew=renew)
        go_on = first.stopped != "interrupted"
        with watched(part_of(watch, FIRST, 1.0, go_on=go_on)):
            history = by_likelihood(training.after(first.seconds))
    return replace(history, seconds=first.seconds + history.seconds)


def regress(
    network: Network,
    train: Rows,
    validation: Pairs,
    training: Training,
    *,
    seed: int,
    renew: Renew | None = None,
) -> History:
    """Train the features alone, so that a linear layer on top of them predicts the latents."""
    assert training.epochs is not None
    with seeded(seed):
        module = _Regression(network.summary, validation.latent.shape[1])
    limit = training.max_seconds
    return fit(
        module,
        module.loss,
        train,
        validation,
        replace(
            training,
            epochs=max(1, round(REGRESSION * training.epochs)),
            max_seconds=None if limit is None else FIRST * limit,
        ),
        seed=seed,
        renew=renew,
        quantity="squared error",
        stage="features",
        progress=False,
    )


class _Regression(nn.Module):
    """Features, and a linear layer that predicts the latents from them."""

    def __init__(self, summary: Fusion | OwnNet, dim: int) -> None:
        super().__init__()
        self.summary = summary
        self.last = nn.Linear(summary.features, dim)

    def loss(self, pairs: Pairs) -> Tensor:
        """Squared error of each row, shape (batch,); that of the prior's mean is the dimension."""
        return (self.last(self.summary(pairs.batch)) - pairs.latent).square().sum(dim=1)


def part_of(
    watch: Watch, begin: float, end: float, *, shown: bool = True, go_on: bool = True
) -> Callable[[float, float], bool]:
    """Tell of a part of the whole; its loss only if it is `shown`."""

    def tell(done: float, loss: float) -> bool:
        return watch(begin + (end - begin) * done, loss if shown else math.nan) and go_on

    return tell
