"""What more simulations or more measurements would make of a posterior."""

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
    """Train on nested parts of the simulations, and predict what more of them would bring.

    Parameters
    ----------
    fractions : sequence of float
        Of the simulations; the whole is there already.
    y : one observation, optional
        Say also what it has taught, and how much sharper `refine(y)` would make the posterior.
    training : Training, optional
        By default as this posterior was trained.
    seed : int, optional
    progress : bool

    Returns
    -------
    LearningCurve
        `.sentence`, `.table` with a prediction for 2 and 4 times the simulations, `.plot()`.
        An INN is scored at 200 test simulations only, as each takes an integral.

    Raises
    ------
    SimulationError
        If the posterior was loaded: its file holds only the simulations held out.
    NoDensityError
        If the method has no density to score by.
    """
    if not len(core.seen_rows):
        raise SimulationError(
            "a learning curve trains anew on the simulations, and a posterior that was loaded "
            "has only those that were held out: ask the one that fit_posterior returned",
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
    """Say what an observation taught about each parameter, and how much sharper it could be known.

    Returns
    -------
    Information
        `.sentence`; `.nats` gained; `.table`, one row a parameter: how many times narrower than the
        prior the posterior is, contraction, and how many times narrower at least `refine(y)`
        would make it, by what draws give when they are simulated again; `.plot()`.

    Raises
    ------
    ShapeError
        If y is another kind of observation.
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
    """Say how wide intervals will be at several values of a given, such as 80 or 900 trials.

    Parameters
    ----------
    given : str
        One that varied in training.
    values : sequence of float
    level : float
        Of the central intervals.
    n : int
        Observations at each value: simulated where there is a simulator, otherwise held-out
        ones (sets cut to size, and for other givens those nearest to the value).
    seed : int, optional

    Returns
    -------
    Plan
        `.table`, one row a value and one column a parameter: the expected width; `.plot()`.

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
    """Turn draws into those under another prior, without training again.

    Parameters
    ----------
    draws : xarray.Dataset
        From `sample`.
    prior : Prior
        Of the same parameters, within the old one's support.
    seed : int, optional
        Of the resampling.

    Returns
    -------
    xarray.Dataset
        As many draws; the attribute `effective_sample_size` says how many they are worth.

    Raises
    ------
    PriorError
        If the parameters differ, or the table it was learned from states no prior.
    """
    return reweighting.reweight(draws, core.prior, prior, seed=core.seed if seed is None else seed)
