"""A posterior whose ranks are recalibrated by simulations with known truths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sbi_inn.checks import TestSet
from sbi_inn.checks.held_out import SECONDS
from sbi_inn.errors import PriorError
from sbi_inn.methods.fitting import latents
from sbi_inn.methods.recalibrated.fitted import recalibrated
from sbi_inn.methods.recalibrated.learning import learn_recalibration
from sbi_inn.posterior.core import Core
from sbi_inn.simulation.run import run
from sbi_inn.simulation.seeds import Stream
from sbi_inn.simulation.simulations import SimulationError, Simulations
from sbi_inn.typing import IntArray, is_count

FRESH = 5_000
"""Simulations that are made to recalibrate by, where that is cheap."""

MOST = 200
"""Latents, at most: each has a law of its own, which pixels of a field are too many for."""

FEWEST = 50
"""Simulations that ranks are recalibrated by, at least."""


def recalibrate(core: Core, simulations: Simulations | int | None, seconds: float) -> Core:
    """Recalibrate by simulations that training has not seen.

    Parameters
    ----------
    core : Core
    simulations : Simulations, int or None
    seconds : float
        What one simulation takes.
    """
    if core.prior.latent_dim > MOST:
        raise ValueError(
            f"recalibrate corrects every latent of the prior, at most {MOST} of them; the prior "
            f"has {core.prior.latent_dim}"
        )
    table, rows, left = _material(core, simulations, seconds)
    if len(rows) < FEWEST:
        raise SimulationError(
            f"expected at least {FEWEST} simulations to recalibrate with; got {len(rows)}", table
        )
    how = learn_recalibration(
        core.fitted,
        core.schema,
        latents(table, rows, seed=core.seed),
        table.observations(rows),
        seed=core.seed,
    )
    return replace(core, fitted=recalibrated(core.fitted, how), test_rows=left)


def _material(
    core: Core, simulations: Simulations | int | None, seconds: float
) -> tuple[Simulations, IntArray, IntArray]:
    """Give a table, its rows to recalibrate by, and the rows that stay held out for checks."""
    if isinstance(simulations, Simulations):
        return simulations, _checked(core, simulations), core.test_rows
    if simulations is not None and not is_count(simulations, least=FEWEST):
        raise TypeError(
            f"expected a table of simulations, or a number of at least {FEWEST}; got "
            f"{simulations!r:.80}"
        )
    cheap = core.problem is not None and core.prior.drawable and FRESH * seconds <= SECONDS
    if simulations is not None or cheap:
        n = FRESH if simulations is None else int(simulations)
        problem = core.simulator("to simulate for recalibration")
        table = run(
            problem,
            n=n,
            seed=core.seed,
            progress=False,
            stream=Stream.RECALIBRATION_SIMULATIONS,
        )
        table = table.inferring(core.prior.names)
        return table, table.ok, core.test_rows
    half = len(core.test_rows) // 2
    return core.simulations, core.test_rows[:half], core.test_rows[half:]


def _checked(core: Core, table: Simulations) -> IntArray:
    """Give the rows that succeeded, of simulations that fit the posterior and are new to it.

    Raises
    ------
    SimulationError
        If they are of another study, or the posterior was trained on them.
    PriorError
        If parameters lie where the posterior's prior has none.
    """
    names, schema = core.prior.names, core.schema
    missing = [name for name in names if name not in table.dataset]
    if missing or table.schema is None or table.schema.observables != schema.observables:
        raise SimulationError(
            f"expected simulations of {', '.join(names)} and {schema.example()}; got "
            f"{', '.join(map(str, table.dataset.data_vars))}",
            table,
        )
    known = TestSet.of(core.simulations).truth
    new = replace(table, prior=core.prior)
    truth = TestSet.of(new).truth
    seen = {row.tobytes() for row in known}
    again = sum(row.tobytes() in seen for row in truth)
    if len(truth) and again > len(truth) // 2 and not core.prior.discrete:
        raise SimulationError(
            f"expected simulations that the posterior was not trained on; {again:,} of "
            f"{len(truth):,} are among its own: simulate with another seed",
            table,
        )
    if not np.isfinite(core.prior.log_prob(core.prior.unflatten(truth))).all():
        raise PriorError("the simulations have parameters outside the support of the prior")
    return table.ok
