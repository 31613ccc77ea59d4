"""What more simulations, more measurements or another prior would make of a posterior."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

import xarray as xr

from sbi_inn.draws import columns_of
from sbi_inn.methods import Fitted
from sbi_inn.methods.fitting import latents
from sbi_inn.prior import Prior
from sbi_inn.simulation.simulations import SimulationError, Simulations
from sbi_inn.training.loop import Training
from sbi_inn.typing import IntArray

if TYPE_CHECKING:
    from sbi_inn.checks import Subject
    from sbi_inn.planning import LearningCurve, Plan


class Outlook(ABC):
    """What would make a posterior narrower, and what another prior would make of it.

    Attributes
    ----------
    fitted : Fitted
    simulations : Simulations
    test_rows : array of int
        Rows of `simulations` that training has never seen.
    training : Training
        How it was trained.
    seed : int
    """

    fitted: Fitted
    simulations: Simulations
    test_rows: IntArray
    training: Training
    seed: int

    @property
    @abstractmethod
    def prior(self) -> Prior:
        """The prior."""

    @property
    @abstractmethod
    def seen_rows(self) -> IntArray:
        """Rows of `simulations` that training or early stopping has seen."""

    @property
    @abstractmethod
    def judge(self) -> Subject:
        """What the checks share: test simulations, the simulator and its speed."""

    def learning_curve(
        self,
        fractions: Sequence[float] = (1 / 8, 1 / 4, 1 / 2),
        *,
        training: Training | None = None,
        seed: int | None = None,
        progress: bool = True,
    ) -> LearningCurve:
        """Train on nested parts of the simulations, and predict what more of them would bring.

        Parameters
        ----------
        fractions : sequence of float
            Of the simulations; the whole is there already.
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
        from sbi_inn.planning import learning_curve

        if not len(self.seen_rows):
            raise SimulationError(
                "a learning curve trains anew on the simulations, and a posterior that was loaded "
                "has only those that were held out: ask the one that fit_posterior returned",
                self.simulations,
            )
        table = self.simulations
        latent = latents(table, self.test_rows, seed=self.seed)
        return learning_curve(
            table,
            self.fitted.settings,
            training or self.training,
            seen_rows=self.seen_rows,
            test=(latent, table.observations(self.test_rows)),
            finished=self.fitted,
            fractions=fractions,
            seed=self.seed if seed is None else seed,
            progress=progress,
        )

    def plan(
        self,
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
        from sbi_inn.planning import plan

        return plan(
            self.judge.sampler,
            given,
            values,
            columns=columns_of(self.simulations.prior_draws),
            tests=self.judge.tests,
            problem=self.judge.problem if self.prior.stated else None,
            seconds=self.judge.seconds,
            level=level,
            n=n,
            seed=self.seed if seed is None else seed,
        )

    def reweight(self, draws: xr.Dataset, prior: Prior, *, seed: int | None = None) -> xr.Dataset:
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
        from sbi_inn.planning.reweighting import reweight

        return reweight(draws, self.prior, prior, seed=self.seed if seed is None else seed)
