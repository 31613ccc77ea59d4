"""Compare several ways to read observables, and take the one that a network learns most from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter

import numpy as np

from sbi_inn.methods.cinn.fitted import FittedCINN
from sbi_inn.methods.cinn.training import part_of
from sbi_inn.summary_networks import Scaling
from sbi_inn.training.progress import watched, watching
from sbi_inn.training.settings import Training

# Share of a training in which each way is tried. What is ahead by then, is so at the end.
TRIED = 0.15


def best_reading(
    ways: Sequence[Scaling],
    learned: Callable[[Scaling, Training], FittedCINN],
    training: Training,
    *,
    progress: bool,
) -> FittedCINN:
    """Train for a short time in each way, and on in full in the one of the least loss.

    Parameters
    ----------
    ways : sequence of Scaling
    learned : callable
        Trains a network that reads in one way.
    training : Training
        Its epochs are filled in. What is spent on trying is part of its `max_seconds`.
    progress : bool

    Returns
    -------
    FittedCINN
        If Ctrl-C ended a trial, the network of that one.
    """
    assert training.epochs is not None
    limit, start = training.max_seconds, perf_counter()
    share = TRIED / (1 + TRIED * len(ways))
    short = replace(
        training,
        epochs=max(1, round(TRIED * training.epochs)),
        max_seconds=None if limit is None else share * limit,
        checkpoint=None,
    )
    tried: list[FittedCINN] = []
    with watching(progress) as watch:
        for place, way in enumerate(ways):
            with watched(part_of(watch, place * share, (place + 1) * share, shown=False)):
                tried.append(learned(way, short))
            if tried[-1].history.stopped == "interrupted":
                return tried[-1]
        best = min(tried, key=_loss)
        left = training.after(perf_counter() - start)
        with watched(part_of(watch, len(ways) * share, 1.0)):
            found = learned(best.scaling, left)
    history = replace(found.history, seconds=perf_counter() - start)
    return replace(found, history=history)


def _loss(fitted: FittedCINN) -> float:
    """Give the least validation loss; what diverged has lost most."""
    losses = np.array(fitted.history.validation_loss)
    return float(np.nanmin(np.where(np.isfinite(losses), losses, np.inf), initial=np.inf))
