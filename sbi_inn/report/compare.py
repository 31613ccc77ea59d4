"""The network beside rejection ABC, at the same simulations."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

import numpy as np
import numpy.typing as npt
import pandas as pd

from sbi_inn.checks import Sampler, calibrate, resimulate
from sbi_inn.data import Simulations
from sbi_inn.methods.abc import QUANTILE, nearest
from sbi_inn.prior import Prior
from sbi_inn.report.judge import Judge
from sbi_inn.schema import Observations, Schema
from sbi_inn.statistics import spread, statistics

FloatArray = npt.NDArray[np.float64]

OBSERVATIONS, DRAWS = 1_000, 200


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
    """

    parameters: FloatArray
    rows: FloatArray
    prior: Prior
    schema: Schema

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
        )

    def draw(self, observations: Observations, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw from the closest .005 of the table, with replacement."""
        scale = spread(self.rows)
        draws = np.empty((len(observations), n, self.parameters.shape[1]))
        for row, target in enumerate(statistics(observations, self.schema)):
            index, _ = nearest(self.rows, target, scale, quantile=QUANTILE)
            draws[row] = self.parameters[rng.choice(index, n)]
        return draws


def beside_abc(judge: Judge, simulations: Simulations, label: str) -> pd.DataFrame:
    """Compare a posterior with rejection ABC on the simulations it was trained on.

    Parameters
    ----------
    judge : Judge
        Of the posterior.
    simulations : Simulations
        Those that the network has seen, without the test rows.
    label : str
        What to call the posterior.

    Returns
    -------
    DataFrame
        One row a method: calibration error, mean and median re-simulation error in the observables'
        own units, and seconds a posterior. ABC is left out where givens vary, as it would need
        a table of its own for every observation.
    """
    samplers: dict[str, Sampler] = {label: judge.sampler}
    if not judge.sampler.schema.trained:
        samplers["ABC"] = Rejection.of(simulations)
    return pd.DataFrame({name: _measure(judge, s) for name, s in samplers.items()}).T


def _measure(judge: Judge, sampler: Sampler) -> pd.Series:
    rng = np.random.default_rng(judge.seed)
    tests = judge.tests.head(OBSERVATIONS)
    started = perf_counter()
    calibration = calibrate(sampler, tests, draws=DRAWS, rng=rng)
    found = {
        "calibration error": calibration.value,
        "s a posterior": (perf_counter() - started) / len(tests),
    }
    if judge.problem is not None:
        few = tests.head(max(20, judge.affordable // DRAWS))
        again = resimulate(
            sampler,
            few,
            judge.simulate,
            observed=statistics(few.observations, sampler.schema),
            scale=judge.scale,
            draws=DRAWS,
            rng=rng,
        )
        found["re-simulation mean"] = float(np.nanmean(again.errors))
        found["re-simulation median"] = float(np.nanmedian(again.errors))
    return pd.Series(found)
