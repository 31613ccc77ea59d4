"""What more simulations or more measurements would gain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import xarray as xr

from sbi_inn import planning
from sbi_inn.checks import Subject
from sbi_inn.checks.information import Information, check_information
from sbi_inn.checks.subject import Here
from sbi_inn.draws import columns_of
from sbi_inn.methods.latents import latents
from sbi_inn.planning import LearningCurve, Plan, reweighting
from sbi_inn.posterior import checking
from sbi_inn.posterior.core import Core
from sbi_inn.prior import Prior
from sbi_inn.simulation.simulations import SimulationError
from sbi_inn.training.settings import Training


def learning_curve(
    core: Core,
    fractions: Sequence[float] = (1 / 8, 1 / 4, 1 / 2),
    *,
    y: Any = None,
    training: Training | None = None,
    seed: int | None = None,
    progress: bool = True,
) -> LearningCurve:
    """Train on growing parts of the simulations, and predict what more simulations would gain.

    Parameters
    ----------
    fractions : sequence of float
        Shares of the simulations to train on; for all of them, this posterior is used.
    y : one observation, optional
        Also report what it tells about the parameters, and how much narrower `refine(y)` would make
        the posterior.
    training : Training, optional
        By default that of this posterior.
    seed : int, optional
    progress : bool

    Returns
    -------
    LearningCurve
        `.sentence`, `.table` with a prediction for 2 and 4 times the simulations, `.plot()`. An
        INN is scored at only 200 test simulations, as each takes a numerical integral.

    Raises
    ------
    SimulationError
        If the posterior was loaded: its file holds only the held-out simulations.
    NoDensityError
        If the method has no density.
    """
    if not len(core.seen_rows):
        raise SimulationError(
            "a learning curve trains on the simulations again, and a loaded posterior has only "
            "the held-out ones: use the posterior that fit_posterior returned",
            core.simulations,
        )
    here = "" if y is None else information(checking.subject_of(core), y).well
    table = core.simulations
    latent = latents(table, core.test_rows, seed=core.seed)
    curve = planning.learning_curve(
        table,
        core.fitted.settings,
        training or core.training,
        seen_rows=core.seen_rows,
        test=(latent, table.observations(core.test_rows)),
        finished=core.fitted,
        fractions=fractions,
        seed=core.seed if seed is None else seed,
        progress=progress,
    )
    return replace(curve, here=here)


def information(subject: Subject, y: Any) -> Information:
    """Measure what an observation tells about each parameter, and how much more could be learned.

    Returns
    -------
    Information
        `.sentence`; `.nats`, the information gained; `.table`, one row per parameter: by what
        factor the posterior is narrower than the prior, the contraction, and by what factor, at
        least, `refine(y)` would make it narrower still, judged by simulations from posterior draws;
        `.plot()`.

    Raises
    ------
    ShapeError
        If y does not fit the simulated observations.
    """
    return check_information(Here(subject, subject.sampler.schema.read(y)))


def plan(
    subject: Subject,
    given: str,
    values: Sequence[float],
    *,
    level: float = 0.95,
    n: int = 200,
    seed: int | None = None,
) -> Plan:
    """Predict how wide intervals will be at several values of a given, such as 80 or 900 trials.

    Parameters
    ----------
    given : str
        A given that varied in training.
    values : sequence of float
    level : float
        Probability of the central intervals.
    n : int
        Observations at each value: simulated if there is a simulator, otherwise held-out ones (sets
        are cut to size; for other givens, those with the nearest values are taken).
    seed : int, optional

    Returns
    -------
    Plan
        `.table`, one row per value and one column per parameter: the expected width; `.plot()`.

    Raises
    ------
    ValueError
        If the given did not vary in training, or there are too few held-out observations.
    """
    return planning.plan(
        subject.sampler,
        given,
        values,
        columns=columns_of(subject.simulations.deriving(None).prior_draws),
        tests=subject.tests,
        problem=subject.problem if subject.sampler.prior.drawable else None,
        seconds=subject.seconds,
        level=level,
        n=n,
        seed=subject.seed if seed is None else seed,
    )


def reweight(core: Core, draws: xr.Dataset, prior: Prior, *, seed: int | None = None) -> xr.Dataset:
    """Turn draws into draws under another prior, without new training.

    Parameters
    ----------
    draws : xarray.Dataset
        From `sample`.
    prior : Prior
        Of the same parameters, within the support of the old one.
    seed : int, optional
        Seed of the resampling.

    Returns
    -------
    xarray.Dataset
        As many draws; the attribute `effective_sample_size` says how many independent draws they
        are worth.

    Raises
    ------
    PriorError
        If the parameters differ, or if the posterior was learned from a table whose prior was not
        stated.
    """
    return reweighting.reweight(draws, core.prior, prior, seed=core.seed if seed is None else seed)
