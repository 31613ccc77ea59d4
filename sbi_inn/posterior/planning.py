"""What more simulations or more measurements would make of a posterior."""

from __future__ import annotations

from collections.abc import Sequence

from sbi_inn import planning
from sbi_inn.checks import Subject
from sbi_inn.draws import columns_of
from sbi_inn.methods.fitting import latents
from sbi_inn.planning import LearningCurve, Plan
from sbi_inn.posterior.core import Core
from sbi_inn.simulation.simulations import SimulationError
from sbi_inn.training.settings import Training


def learning_curve(
    core: Core,
    fractions: Sequence[float],
    *,
    training: Training | None,
    seed: int | None,
    progress: bool,
) -> LearningCurve:
    """Train on nested parts of the simulations, and predict what more of them would bring."""
    if not len(core.seen_rows):
        raise SimulationError(
            "a learning curve trains anew on the simulations, and a posterior that was loaded "
            "has only those that were held out: ask the one that fit_posterior returned",
            core.simulations,
        )
    table = core.simulations
    latent = latents(table, core.test_rows, seed=core.seed)
    return planning.learning_curve(
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


def plan(
    subject: Subject, given: str, values: Sequence[float], *, level: float, n: int, seed: int | None
) -> Plan:
    """Say how wide intervals will be at several values of a given."""
    return planning.plan(
        subject.sampler,
        given,
        values,
        columns=columns_of(subject.simulations.prior_draws),
        tests=subject.tests,
        problem=subject.problem if subject.sampler.prior.stated else None,
        seconds=subject.seconds,
        level=level,
        n=n,
        seed=subject.seed if seed is None else seed,
    )
