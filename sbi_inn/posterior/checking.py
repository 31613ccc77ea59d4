"""Whether to trust a posterior."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from sbi_inn.methods import Fitted, Summariser, Weigher
from sbi_inn.observation.batch import Observations
from sbi_inn.observation.schema import Schema
from sbi_inn.prior import Prior
from sbi_inn.simulation.again import observe_again
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.seeds import Stream, generator
from sbi_inn.simulation.simulations import SimulationError, Simulations
from sbi_inn.tables import index_of
from sbi_inn.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from sbi_inn.checks import Calibration, GoodnessOfFit, Recovery, Subject, TestSet, Together
    from sbi_inn.report import Check


TEST_ROWS = 5_000
TIMED = 10  # simulations whose time is taken, where it is not known


class Trust(ABC):
    """The checks of a posterior.

    Attributes
    ----------
    fitted : Fitted
    simulations : Simulations
    test_rows : array of int
        Rows of `simulations` that training has never seen.
    n_simulations : int
    seed : int
    problem : Problem or None
    last_check, last_verdict : str
        Sentence and verdict of the last general check, empty before.
    """

    fitted: Fitted
    simulations: Simulations
    test_rows: IntArray
    n_simulations: int
    seed: int
    problem: Problem | None
    last_check: str
    last_verdict: str
    _warned: bool

    @property
    @abstractmethod
    def prior(self) -> Prior:
        """The prior."""

    @property
    @abstractmethod
    def nuisances(self) -> tuple[str, ...]:
        """The parameters that are averaged over, not inferred."""

    @property
    @abstractmethod
    def schema(self) -> Schema:
        """The observation as understood."""

    @property
    @abstractmethod
    def scale(self) -> FloatArray:
        """Spread of each observable over all simulations."""

    @property
    @abstractmethod
    def why_not_again(self) -> str:
        """Why draws cannot be simulated again although there is a simulator; empty if they can."""

    @property
    @abstractmethod
    def remark(self) -> str:
        """What has to be known about the draws where they are simulated again."""

    @abstractmethod
    def draw(self, observations: Observations, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw flat parameter vectors, shape (observations, n, dim)."""

    @abstractmethod
    def log_ratio(
        self, flat: FloatArray, observations: Observations, *, normalised: bool
    ) -> FloatArray:
        """Log of posterior over prior density, shape (observations, n)."""

    # -- the verdict -------------------------------------------------------------------------------

    def check(self, y: Any = None, *, progress: bool = True) -> Check:
        """Say whether to trust the posterior, in general or at an observation.

        In general: are intervals and regions as wide as they should be, do draws land on the
        observation when they are simulated again? With `y` also: could the simulations have
        produced it, do draws at y, simulated again, look like it, does the posterior there agree
        with itself? What each check does and from when on it objects: docs/checks.md.

        Parameters
        ----------
        y : mapping, Dataset or array, optional
            One observation.
        progress : bool
            Show a progress bar.

        Returns
        -------
        Check
            `.verdict` ("trust", "caution", "do not trust"), `.sentence`, `.table`, `.figures`,
            `.to_html("report.html")`.

        Raises
        ------
        ShapeError
            If `y` does not fit.
        """
        observation = None if y is None else self.schema.read(y)
        general = self._check(None, progress)
        self.last_check, self.last_verdict = general.sentence, general.verdict
        self._warned = False
        return general if observation is None else self._check(observation, progress)

    def _check(self, observation: Observations | None, progress: bool) -> Check:
        from sbi_inn.checks import run_checks
        from sbi_inn.report import Check

        records, skipped = run_checks(self.judge, observation, progress=progress)
        notes = () if observation is None else tuple(self.schema.outside(observation))
        return Check(records, notes, skipped, self._about())

    def calibration(self) -> Calibration:
        """Calibration over the test simulations: ranks, error, floor, table and plot."""
        from sbi_inn.checks.calibration import CALIBRATION

        return CALIBRATION.record(self.judge)

    def recovery(self) -> Recovery:
        """Point estimates against the truth of the test simulations: R2, NRMSE, contraction."""
        from sbi_inn.checks.recovery import RECOVERY

        return RECOVERY.record(self.judge)

    def goodness_of_fit(self, y: Any) -> GoodnessOfFit:
        """Say whether the simulations could have produced an observation.

        Returns
        -------
        GoodnessOfFit
            `.p_value`, `.sticks_out`, `.sentence`, `.table`, `.plot()`.
        """
        from sbi_inn.checks.goodness import goodness_of_fit

        return goodness_of_fit(self.judge, self.schema.read(y))[0]

    def check_each(self, ys: Any, *, false_discovery_rate: float = 0.05) -> pd.DataFrame:
        """Say for each of many observations whether the simulations could have produced it.

        Parameters
        ----------
        ys : Dataset with dim "observation", DataFrame with one row an observation, or list
        false_discovery_rate : float
            Share of the flagged observations that may be false alarms (Benjamini and Hochberg
            1995).

        Returns
        -------
        DataFrame
            One row an observation, under the catalogue's own index: `p_value` of `goodness_of_fit`;
            `flagged`; `sticks_out`, the statistic that is furthest from what the nearest
            simulations have, and `sticks_out_by`, how far, in units of what is usual.

        Raises
        ------
        ShapeError
            If an observation does not fit; the message says which.
        ValueError
            If the rate is not between 0 and 1.
        """
        if not 0 < false_discovery_rate < 1:
            raise ValueError(f"expected a rate between 0 and 1; got {false_discovery_rate}")
        from sbi_inn.checks.goodness import goodness_of_fit

        found = goodness_of_fit(self.judge, self.schema.read_many(ys))
        p_values = np.array([one.p_value for one in found])
        return pd.DataFrame(
            {
                "p_value": p_values,
                "flagged": stats.false_discovery_control(p_values) <= false_discovery_rate,
                "sticks_out": [one.sticks_out for one in found],
                "sticks_out_by": [one.sticks_out_by for one in found],
            },
            index=index_of(ys, len(found)),
        )

    def check_together(self, ys: Any, *, seed: int | None = None) -> Together:
        """Say whether many observations together look like simulated ones.

        Each may pass by itself and all of them still lean to one side (Schmitt et al. 2021).

        Parameters
        ----------
        ys : as in `check_each`
        seed : int, optional
            Of the test's own random subsets.

        Returns
        -------
        Together
            `.p_value`, `.verdict`, `.sentence`, `.table`, `.plot()`.
        """
        from sbi_inn.checks import look_together

        rng = generator(self.seed if seed is None else seed, Stream.MANY_TOGETHER)
        held_out = self.judge.tests.observations
        return look_together(self.judge.sampler, held_out, self.schema.read_many(ys), rng)

    # -- what the checks share ---------------------------------------------------------------------

    @cached_property
    def judge(self) -> Subject:
        """What the checks share: test simulations, scales, the simulator."""
        from sbi_inn.checks import Subject

        return Subject(
            self,
            self.tests(),
            self.simulations,
            self.scale,
            self.problem,
            self._seconds,
            self.seed,
            self.why_not_again,
        )

    def tests(self, n: int = TEST_ROWS) -> TestSet:
        """Give simulations that training has never seen, topped up with fresh ones where cheap.

        Parameters
        ----------
        n : int
            How many are wanted.
        """
        from sbi_inn.checks import TestSet

        held_out = TestSet.of(self.simulations, self.test_rows[:n])
        # Only the table itself knows how parameters are distributed whose prior was not stated.
        return held_out.topped_up(
            n,
            self.problem if self.prior.stated else None,
            self._seconds,
            self.seed,
            schema=self.schema,
            infer=self.prior.names,
        )

    def features(self, observations: Observations) -> FloatArray:
        """Summaries that the network has learned, shape (observations, k); k may be 0."""
        if isinstance(self.fitted, Summariser):
            return self.fitted.summarise(observations)
        return np.empty((len(observations), 0))

    @property
    def evaluations(self) -> int:
        """Evaluations of the network that one draw takes."""
        return self.fitted.evaluations if isinstance(self.fitted, Weigher) else 1

    def _about(self) -> Mapping[str, str]:
        history = self.fitted.history
        return {
            "parameters": ", ".join(self.prior.names),
            "observation": self.schema.example(),
            "method": self.fitted.describe(),
            "simulations": f"{self.n_simulations:,}",
            "training": f"{history.seconds:.0f} s, {history.steps:,} steps ({history.stopped})",
            "seed": str(self.seed),
        }

    def _warn_if_distrusted(self) -> None:
        """Say once, after a check has failed, that it did."""
        if self.last_verdict == "do not trust" and not self._warned:
            self._warned = True
            warnings.warn(f"the last check of this posterior said: {self.last_check}", stacklevel=3)

    @property
    def _seconds(self) -> float:
        """What one simulation takes; measured where the table does not say it."""
        known = self.simulations.dataset.attrs.get("seconds_per_simulation")
        if known is not None:
            return float(known)
        return np.inf if self.problem is None else self._measured_seconds

    @cached_property
    def _measured_seconds(self) -> float:
        assert self.problem is not None
        rows = self.test_rows[:TIMED]
        flat = self.prior.flatten(self.simulations.parameters(rows))
        started = perf_counter()
        with suppress(SimulationError):  # every one failed, which re-simulation says
            observe_again(
                self.problem,
                self.schema,
                flat,
                self.simulations.observations(rows),
                seed=self.seed,
                stream=Stream.TIMED_SIMULATIONS,
            )
        return (perf_counter() - started) / len(rows)
