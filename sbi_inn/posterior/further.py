"""A posterior from a trained one and more simulations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sbi_inn.errors import LoadError, PriorError
from sbi_inn.methods import fitting
from sbi_inn.methods.fitting import Split
from sbi_inn.methods.protocols import Further, Trainable
from sbi_inn.posterior.core import Core
from sbi_inn.prior.fingerprint import check_fingerprint, fingerprint
from sbi_inn.simulation.joining import join
from sbi_inn.simulation.seeds import Stream, sequence
from sbi_inn.simulation.simulations import SimulationError, Simulations
from sbi_inn.training.settings import Training


def train_more(
    core: Core,
    simulations: Simulations,
    *,
    training: Training | None = None,
    seed: int | None = None,
    progress: bool = True,
) -> Core:
    """Continue training with more simulations of the same study.

    The networks start from their present weights. They also train on the earlier training
    simulations, unless the posterior was loaded from a file, which does not hold them. A tenth of
    the new simulations is used for validation; another tenth is held out, with those held out
    before. A network that does not improve on the validation simulations stays as it was.

    Parameters
    ----------
    simulations : Simulations
        From the same prior, with the same observables and givens; at least 100 that succeeded.
    training : Training, optional
        By default as in a fit of as many simulations, at half the learning rate.
    seed : int, optional
        Seed of the split into training, validation and test, and of the training. By default it is
        derived from the seed of the fit.
    progress : bool

    Returns
    -------
    Posterior
        A new one; this one is not changed.

    Raises
    ------
    SimulationError
        If the observables differ, or too few simulations succeeded.
    PriorError
        If the prior differs.
    TypeError
        If the method cannot continue its training.
    """
    if not isinstance(core.fitted, Trainable):
        raise TypeError(
            'train_more is for method="cinn" and method="inn"; '
            f"the training of {core.fitted.settings.label} cannot be continued"
        )
    new = replace(simulations.inferring(core.prior.names), prior=core.prior)
    _check_prior(core, simulations)
    _check_schema(core, simulations)
    if seed is None:
        keys = core.seed, Stream.FURTHER_TRAINING, core.n_simulations
        seed = int(sequence(*keys).generate_state(1)[0])
    own = fitting.split(new, seed)
    table, parts = _together(core, new, own)
    how = training or Training()
    fitted, _ = fitting.fit(
        table, Further(core.fitted), how, parts=parts, seed=seed, progress=progress
    )
    return replace(
        core,
        fitted=fitted,
        simulations=table,
        test_rows=parts.test,
        n_simulations=core.n_simulations + len(new.ok),
        training=replace(how, checkpoint=None),
        stored_scale=core.scale,
    )


def _together(core: Core, new: Simulations, own: Split) -> tuple[Simulations, Split]:
    """Put both tables together, unless noise is drawn anew for one of them only.

    The noise of a posterior that was read from a file is in its held-out simulations for good.
    """
    old = core.simulations
    if (old.noise is None) != (new.noise is None):
        return new, own
    start = len(old)
    parts = Split(
        np.concatenate([core.seen_rows, start + own.train]),
        start + own.validation,
        np.concatenate([core.test_rows, start + own.test]),
    )
    return join([old, new]), parts


def _check_prior(core: Core, simulations: Simulations) -> None:
    """Raise PriorError unless the simulations are from the prior of the posterior."""
    own = simulations.inferring(core.prior.names).prior
    if not core.prior.stated and not own.stated:
        return  # maps that were fitted to columns: those of the posterior serve both tables
    try:
        check_fingerprint(own, fingerprint(core.prior))
    except LoadError as error:
        raise PriorError(f"the simulations are from another prior: {error}") from error


def _check_schema(core: Core, simulations: Simulations) -> None:
    """Raise SimulationError unless the simulations look like those of the posterior."""
    found, expected = simulations.schema, core.schema
    images = ("images", "channels")
    kinds = ("observables", "sets", "series", *images, "givens", "given_shapes", "constants")
    differ = [
        f"{kind} {getattr(found, kind, None)}, where it was {getattr(expected, kind)}"
        for kind in kinds
        if getattr(found, kind, None) != getattr(expected, kind)
    ]
    if differ:
        raise SimulationError(
            f"expected simulations of the study that the posterior was trained on; got "
            f"{'; '.join(differ)}",
            simulations,
        )
