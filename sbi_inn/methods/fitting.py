"""From a table of simulations to a trained method: split, map to the latent side, train."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from sbi_inn.errors import PriorError, ShapeError
from sbi_inn.methods.latents import latents
from sbi_inn.methods.online import fresh
from sbi_inn.methods.protocols import Fitted, Further, Method, Renew, TrainingData, declared
from sbi_inn.methods.streaming import RUN, SAMPLE, Streamed, runs
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.seeds import Stream, generator
from sbi_inn.simulation.simulations import INVALID, SimulationError, Simulations
from sbi_inn.training.settings import Training
from sbi_inn.typing import IntArray

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
    rng = generator(seed, Stream.SPLIT)
    test = int(np.clip(n // 10, 50, 5_000))
    validation = int(np.clip(n // 10, 10, 5_000))
    if simulations.on_disk:
        return _split_in_runs(simulations.ok, test, validation, rng)
    rows = rng.permutation(simulations.ok)
    return Split(rows[test + validation :], rows[test : test + validation], rows[:test])


def _split_in_runs(ok: IntArray, test: int, validation: int, rng: np.random.Generator) -> Split:
    """Hold out rows that lie together on disk, half of them to validate where there are few."""
    out = runs(ok, test + validation, min(RUN, max(1, len(ok) // 64)), rng)
    held = rng.permutation(ok[out])
    test = len(held) * test // (test + validation)
    return Split(ok[~out], np.sort(held[test:]), np.sort(held[:test]))


def _why(simulations: Simulations) -> str:
    """Say what most of the simulations that did not succeed have in common."""
    failures = simulations.failures
    if not len(failures):
        return ""
    counts = failures["error"].value_counts()
    gaps = (simulations.dataset["status"] == INVALID).any()
    hint = ". Values that are missing on purpose come from noise=" if gaps else ""
    return f" ({counts.iloc[0]} times: {counts.index[0]}{hint})"


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
    try:
        data = _data(simulations, method, parts, seed)
        if again is not None:
            make = partial(fresh, again, simulations.prior, len(parts.train))
            data = replace(data, fresh=make)
        return method.fit(data, training, seed=seed, progress=progress), parts
    except ShapeError as error:  # what was simulated is not lost
        raise SimulationError(str(error), simulations) from error


def _data(
    simulations: Simulations, method: Method | Further, parts: Split, seed: int
) -> TrainingData:
    """Read what is trained on, or a sample of it where it stays on disk."""
    stream, train = None, parts.train
    if simulations.on_disk and declared(method, "takes_stream"):
        keep = np.zeros(len(simulations), bool)
        keep[train] = True
        stream = Streamed(simulations, keep, seed)
        rng = generator(seed, Stream.STREAMED_SAMPLE)
        if len(train) > SAMPLE:
            train = train[runs(train, SAMPLE, RUN, rng)]
        simulations = _with_noise_once(simulations, np.concatenate([train, parts.validation]), rng)
        rows = np.arange(len(simulations))
    else:
        rows = np.concatenate([train, parts.validation])
    return TrainingData(
        latents(simulations, rows, seed=seed),
        simulations.observations(rows),
        np.arange(len(train)),
        np.arange(len(train), len(rows)),
        cuts=simulations.prior.pieces,
        fields=simulations.prior.fields,
        renew=None if stream else _renewed(simulations, parts.train),
        stream=stream,
    )


def _with_noise_once(
    simulations: Simulations, rows: IntArray, rng: np.random.Generator
) -> Simulations:
    """Take rows of a table on disk into memory; where noise is for every pass, draw it once."""
    table = simulations.take(rows)
    table = replace(table, dataset=table.dataset.load())
    if table.noise is None or table.noisy:
        return table
    return replace(table, noisy=table.drawn(np.arange(len(rows)), rng))


def _renewed(simulations: Simulations, train: IntArray) -> Renew | None:
    """Give what draws the noise of the training rows anew."""
    if simulations.noise is None:
        return None
    table = replace(simulations.take(train), noisy={})
    return partial(table.renewed, np.arange(len(table)))
