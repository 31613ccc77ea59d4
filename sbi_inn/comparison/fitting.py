"""From tables of simulations, one a model, to a trained comparison."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from sbi_inn.checks.candidates import Labelled
from sbi_inn.checks.goodness import FAMILIAR
from sbi_inn.comparison.core import Core, log_prior_of
from sbi_inn.methods.fitting import Split, split
from sbi_inn.methods.ib_inn.data import LabelledData
from sbi_inn.methods.ib_inn.method import IBINN
from sbi_inn.observation.batch import Observations, join
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.seeds import Stream, generator
from sbi_inn.simulation.simulations import Simulations
from sbi_inn.training.settings import Training
from sbi_inn.typing import IntArray


def fit(
    tables: Mapping[str, Simulations],
    problems: Mapping[str, Problem | None],
    method: IBINN,
    training: Training,
    *,
    prior: Mapping[str, float] | None,
    members: int,
    n_jobs: int,
    seed: int,
    progress: bool,
) -> Core:
    """Train, and hold out simulations for tests and for ranks."""
    names = tuple(tables)
    log_prior = log_prior_of(names, prior)
    splits = {name: split(table, seed) for name, table in tables.items()}
    parts = {
        part: _joined(tables, {name: getattr(s, part) for name, s in splits.items()})
        for part in ("train", "validation", "test")
    }
    data = _data(tables, splits, parts["train"], parts["validation"])
    fitted = method.fit(
        data, training, members=members, n_jobs=n_jobs, seed=seed, progress=progress
    )
    schema = next(iter(tables.values())).schema
    assert schema is not None
    chosen = generator(seed, Stream.COMPARED_SPLIT).permutation(len(parts["train"]))[:FAMILIAR]
    seconds = [t.dataset.attrs.get("seconds_per_simulation", np.inf) for t in tables.values()]
    return Core(
        names,
        fitted,
        schema,
        dict(tables),
        problems,
        parts["test"],
        parts["validation"],
        parts["train"].observations[chosen],
        log_prior,
        seed,
        sum(len(table) for table in tables.values()),
        float(max(seconds)),
    )


def _joined(tables: Mapping[str, Simulations], rows: Mapping[str, IntArray]) -> Labelled:
    """Put rows of all tables one after another, with the place of their model as label."""
    observations = join([tables[name].observations(chosen) for name, chosen in rows.items()])
    labels = [np.full(len(chosen), place) for place, chosen in enumerate(rows.values())]
    return Labelled(observations, np.concatenate(labels))


def _data(
    tables: Mapping[str, Simulations],
    splits: Mapping[str, Split],
    train: Labelled,
    validation: Labelled,
) -> LabelledData:
    return LabelledData(
        join([train.observations, validation.observations]),
        np.concatenate([train.labels, validation.labels]),
        len(tables),
        np.arange(len(train)),
        len(train) + np.arange(len(validation)),
        renew=_renewed(tables, splits),
    )


def _renewed(
    tables: Mapping[str, Simulations], splits: Mapping[str, Split]
) -> Callable[[np.random.Generator], Observations] | None:
    """Give what draws the noise of the training rows anew, where a model has any."""
    if all(table.noise is None for table in tables.values()):
        return None
    seen = {name: replace(t.take(splits[name].train), noisy={}) for name, t in tables.items()}
    return _Renewed(tuple(seen.values()))


class _Renewed:
    """Observations of tables with noise drawn anew; sent to processes, it is no closure."""

    def __init__(self, tables: tuple[Simulations, ...]) -> None:
        self.tables = tables

    def __call__(self, rng: np.random.Generator) -> Observations:
        def one(table: Simulations) -> Observations:
            rows: Any = np.arange(len(table))
            return table.observations(rows) if table.noise is None else table.renewed(rows, rng)

        return join([one(table) for table in self.tables])
