"""Compare the network with rejection ABC, on the same simulations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from time import perf_counter
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.spatial import KDTree

from sbi_inn.checks.calibration import CALIBRATION
from sbi_inn.checks.resimulation import RESIMULATION, Resimulation
from sbi_inn.checks.subject import Subject
from sbi_inn.errors import NoDensityError
from sbi_inn.methods.abc import QUANTILE
from sbi_inn.observation.batch import Observations
from sbi_inn.observation.schema import Schema
from sbi_inn.observation.statistics import filled, spread, statistics
from sbi_inn.prior import Prior
from sbi_inn.simulation.simulations import Simulations
from sbi_inn.typing import FloatArray

TIMED = 1_000  # draws a posterior whose time is taken
REPEATS = 3  # times that it is taken: the shortest counts, since other work only adds to it


@dataclass(frozen=True)
class Rejection:
    """Rejection ABC on one table of simulations, as something that draws.

    Attributes
    ----------
    parameters : array, shape (n, dim)
    rows : array, shape (n, k)
        Statistics of the simulated observations.
    prior : Prior
    schema : Schema
    columns : tuple of str
        The parameters one by one, and what follows from them.
    extended : callable
        From flat parameters to these and what follows from them (`derived=`).
    """

    parameters: FloatArray
    rows: FloatArray
    prior: Prior
    schema: Schema
    columns: tuple[str, ...]
    extended: Callable[[FloatArray], FloatArray]
    remark: ClassVar[str] = ""
    evaluations: ClassVar[int] = 1

    @classmethod
    def of(cls, simulations: Simulations) -> Rejection:
        """Use all simulations that succeeded."""
        schema = simulations.schema
        assert schema is not None
        return cls(
            simulations.prior.flatten(simulations.parameters()),
            statistics(simulations.observations(), schema),
            simulations.prior,
            schema,
            simulations.columns,
            simulations.extended,
        )

    def draw(self, observations: Observations, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw from the closest .005 of the table, with replacement."""
        targets = filled(statistics(observations, self.schema), self.rows) / self._scale
        kept = max(1, round(QUANTILE * len(self.rows)))
        _, closest = self._tree.query(targets, k=kept)
        chosen = rng.integers(kept, size=(len(targets), n))
        return self.parameters[np.take_along_axis(closest.reshape(-1, kept), chosen, axis=1)]

    def log_ratio(
        self, flat: FloatArray, observations: Observations, *, normalised: bool
    ) -> FloatArray:
        """Raise: there is no density."""
        raise NoDensityError("rejection ABC has draws only, and no density")

    def features(self, observations: Observations) -> FloatArray:
        """Give none: nothing was learned."""
        return np.empty((len(observations), 0))

    @cached_property
    def _scale(self) -> FloatArray:
        return spread(self.rows)

    @cached_property
    def _tree(self) -> KDTree:
        return KDTree(filled(self.rows, self.rows) / self._scale)


def beside_abc(
    subject: Subject, simulations: Simulations, label: str, *, training_seconds: float
) -> pd.DataFrame:
    """Compare a posterior with rejection ABC on the simulations it was trained on.

    Parameters
    ----------
    subject : Subject
        The posterior: both go through its checks, at its test observations.
    simulations : Simulations
        Those that the network has seen, without the test rows.
    label : str
        What to call the posterior.
    training_seconds : float

    Returns
    -------
    DataFrame
        One row a method: calibration error in percent, mean and median re-simulation error in the
        observables' own units (not without a simulator, nor with a costly one), seconds of
        training, and milliseconds for 1,000 draws. ABC is left out where givens vary, as it would
        need a table of its own for every observation.
    """
    rows = {label: _measure(subject, simulations, training_seconds)}
    if not subject.sampler.schema.trained:
        other = replace(subject, sampler=Rejection.of(simulations))
        rows["ABC"] = _measure(other, simulations, 0.0)
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("method")


def _measure(
    subject: Subject, simulations: Simulations, training_seconds: float
) -> dict[str, float]:
    found = {"calibration error [%]": 100 * CALIBRATION.record(subject).value}
    again = RESIMULATION.of(subject)
    if isinstance(again, Resimulation):
        errors, units = again.errors, _shared_units(simulations)
        found[f"re-simulation error{units}, mean"] = float(np.nanmean(errors))
        found["median"] = float(np.nanmedian(errors))
    return found | {"training [s]": training_seconds, "1,000 draws [ms]": 1e3 * _seconds(subject)}


def _seconds(subject: Subject) -> float:
    """Seconds that one posterior of 1,000 draws takes."""
    one, rng = subject.tests.observations[:1], np.random.default_rng(subject.seed)
    times = []
    for _ in range(REPEATS):
        started = perf_counter()
        subject.sampler.draw(one, TIMED, rng)
        times.append(perf_counter() - started)
    return min(times)


def _shared_units(simulations: Simulations) -> str:
    """Units of a distance between observations, if all observables have the same."""
    assert simulations.schema is not None
    observables = tuple(simulations.schema.observables)
    units = {about["units"] for about in simulations.attrs(observables).values()}
    return f" [{units.pop()}]" if len(units) == 1 and units != {""} else ""
