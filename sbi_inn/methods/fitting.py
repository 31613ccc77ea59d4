"""From a table of simulations to a trained method: split, map to the latent side, train."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from sbi_inn.errors import PriorError, ShapeError
from sbi_inn.methods.protocols import Fitted, Further, Method, Renew, TrainingData, declared
from sbi_inn.observation.batch import Observations
from sbi_inn.prior import Prior
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.run import run
from sbi_inn.simulation.seeds import Stream, generator
from sbi_inn.simulation.simulations import INVALID, SimulationError, Simulations
from sbi_inn.training.settings import Training
from sbi_inn.typing import FloatArray, IntArray

# Simulations that have to succeed: 50 are held out, and 10 validate.
FEWEST = 100


@dataclass(frozen=True)
class Split:
    """Which rows of a table serve for what; failed rows serve for nothing.

    Attributes
    ----------
    train, validation, test : array of int
        Neither training nor early stopping ever sees the test rows.
    """

    train: IntArray
    validation: IntArray
    test: IntArray


def split(simulations: Simulations, seed: int) -> Split:
    """Hold out 10 % for testing (at least 50, at most 5,000), and 10 % for validation.

    Raises
    ------
    SimulationError
        If fewer than 100 simulations succeeded.
    """
    n = len(simulations.ok)
    if n < FEWEST:
        raise SimulationError(
            f"expected at least {FEWEST} successful simulations to train, validate and test on; "
            f"got {n} of {len(simulations)}{_why(simulations)}",
            simulations,
        )
    rows = generator(seed, Stream.SPLIT).permutation(simulations.ok)
    test = int(np.clip(n // 10, 50, 5_000))
    validation = int(np.clip(n // 10, 10, 5_000))
    return Split(rows[test + validation :], rows[test : test + validation], rows[:test])


def _why(simulations: Simulations) -> str:
    """Say what most of the simulations that did not succeed have in common."""
    failures = simulations.failures
    if not len(failures):
        return ""
    counts = failures["error"].value_counts()
    gaps = (simulations.dataset["status"] == INVALID).any()
    hint = ". Values that are missing on purpose come from noise=" if gaps else ""
    return f" ({counts.iloc[0]} times: {counts.index[0]}{hint})"


def latents(simulations: Simulations, rows: IntArray, *, seed: int) -> FloatArray:
    """Map the parameters of rows to where a method is trained, shape (rows, latent_dim).

    Discrete parameters are dequantised: each goes to a random place among the latents that its
    value owns.
    """
    prior = simulations.prior
    within = generator(seed, Stream.DISCRETE_PARAMETERS).random((len(rows), len(prior.discrete)))
    return prior.to_latent(simulations.parameters(rows), within)


def fit(
    simulations: Simulations,
    method: Method | Further,
    training: Training,
    *,
    parts: Split | None = None,
    again: Problem | None = None,
    seed: int,
    progress: bool = True,
) -> tuple[Fitted, Split]:
    """Train a method on a table of simulations.

    Parameters
    ----------
    simulations : Simulations
    method : Method
    training : Training
    parts : Split, optional
        Which rows serve for what; by default `split` decides.
    again : Problem, optional
        What every pass but the first is simulated with, so that no row is seen twice.
    seed : int
        Of the split, the initial weights and the order of the rows.
    progress : bool

    Raises
    ------
    SimulationError
        If there are too few simulations, or the method does not take such observations.
    PriorError
        If the method needs the density of a prior that was never stated.
    """
    if declared(method, "uses_prior") and not simulations.prior.stated:
        raise PriorError(
            "this method weighs its draws by the prior's density, and the prior of the table was "
            "never stated: state it, fit_posterior(simulations, si.Prior(...)), or use "
            'method="cinn"'
        )
    parts = parts or split(simulations, seed)
    rows = np.concatenate([parts.train, parts.validation])
    try:
        data = TrainingData(
            latents(simulations, rows, seed=seed),
            simulations.observations(rows),
            np.arange(len(parts.train)),
            np.arange(len(parts.train), len(rows)),
            cuts=simulations.prior.pieces,
            fields=simulations.prior.fields,
            renew=_renewed(simulations, parts.train),
            fresh=again and partial(_fresh, again, simulations.prior, len(parts.train)),
        )
        return method.fit(data, training, seed=seed, progress=progress), parts
    except ShapeError as error:  # what was simulated is not lost
        raise SimulationError(str(error), simulations) from error


def _renewed(simulations: Simulations, train: IntArray) -> Renew | None:
    """Give what draws the noise of the training rows anew."""
    if simulations.noise is None:
        return None
    table = replace(simulations.take(train), noisy={})
    return partial(table.renewed, np.arange(len(table)))


def _fresh(
    problem: Problem, prior: Prior, rows: int, rng: np.random.Generator
) -> tuple[FloatArray, Observations]:
    """Simulate as many rows as are asked for, in this process; those that fail are left out."""
    seed = int(rng.integers(2**63))
    table = run(problem, n=rows, n_jobs=1, seed=seed, progress=False, stream=Stream.ONLINE)
    table = replace(table, prior=prior)
    return latents(table, table.ok, seed=seed), table.observations()
