"""Posterior: what a fit returns, whatever the method behind it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy.typing as npt
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sbi_inn import draws as labelled
from sbi_inn.checks import Calibration, GoodnessOfFit, Recovery, Subject, Together
from sbi_inn.checks.calibration import CALIBRATION
from sbi_inn.checks.goodness import goodness_of_fit
from sbi_inn.checks.recovery import RECOVERY
from sbi_inn.observation.schema import Schema
from sbi_inn.planning import LearningCurve, Plan
from sbi_inn.planning.reweighting import reweight
from sbi_inn.plots.style import Canvas
from sbi_inn.posterior import catalogue, checking, exports, figures, planning, resimulation, saving
from sbi_inn.posterior.core import Core
from sbi_inn.posterior.emulation import Emulation
from sbi_inn.prior import Prior
from sbi_inn.report.check import Check
from sbi_inn.report.latex import latex_table
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.simulations import Simulations
from sbi_inn.training.history import History
from sbi_inn.training.settings import Training
from sbi_inn.typing import FloatArray


class Posterior:
    """The posterior of a study, for any observation.

    Made by `fit_posterior` or `load_posterior`. Everywhere

    - `y` is one observation: a dict of observables (and givens), a Dataset, a Series or DataFrame
      of one row with labels, or the bare array where there is one observable. A ShapeError says
      where it does not fit the observations that were simulated;
    - `ys` are many: a Dataset with dim "observation", a DataFrame with one row an observation, or a
      list of such `y`, ragged or not. The ShapeError names the one that does not fit;
    - `n` is a number of draws;
    - `seed` is, by default, the fit's own. With the observation's own numbers it decides what is
      drawn: `summary(y)`, `corner(y)` and `sample(y)` show the same draws, of which other
      observations share none;
    - `width_mm` is a figure's width on paper, 180 for a double column and 85 for a single one;
      with `fig` (a Figure or SubFigure) or `ax` (an Axes) it is drawn there instead.

    Parameters
    ----------
    core : Core
        The trained method, its simulations, and how it came about; for code that builds on it.
    last_check, last_verdict : str
        What the last general check said, empty before.
    """

    def __init__(self, core: Core, *, last_check: str = "", last_verdict: str = "") -> None:
        self.core = core
        self.last_check = last_check
        self.last_verdict = last_verdict
        self._warned = False  # that the last check failed
        self._shared: Subject | None = None  # by the checks, once they were asked for

    @property
    def simulations(self) -> Simulations:
        """What it was learned from; after loading, the test simulations that were held out."""
        return self.core.simulations

    @property
    def n_simulations(self) -> int:
        """How many simulations it was learned from."""
        return self.core.n_simulations

    @property
    def seed(self) -> int:
        """The seed of the fit, and of all that is random here."""
        return self.core.seed

    @property
    def prior(self) -> Prior:
        """The prior, of the parameters that are inferred."""
        return self.core.prior

    @property
    def nuisances(self) -> tuple[str, ...]:
        """The parameters that are averaged over, not inferred (`fit_posterior(infer=...)`)."""
        return self.core.nuisances

    @property
    def schema(self) -> Schema:
        """The observation as understood."""
        return self.core.schema

    @property
    def history(self) -> History:
        """What happened in training."""
        return self.core.fitted.history

    @property
    def settings(self) -> Any:
        """Settings of the method, with everything that was chosen from the data."""
        return self.core.fitted.settings

    @property
    def problem(self) -> Problem | None:
        """What to simulate with; another one may be set."""
        return self.core.problem

    @problem.setter
    def problem(self, problem: Problem | None) -> None:
        self.core = replace(self.core, problem=problem)
        self._shared = None

    # -- draws and densities -----------------------------------------------------------------------

    def sample(self, y: Any, n: int = 1000, *, seed: int | None = None) -> xr.Dataset:
        """Draw from the posterior.

        Returns
        -------
        xarray.Dataset
            One variable per parameter, dim `draw`, with labels and units; every draw lies inside
            the prior's support.

        Examples
        --------
        >>> import sbi_inn as si
        >>> posterior = si.fit_posterior(
        ...     "two_moons",
        ...     n_simulations=500,
        ...     training=si.Training(epochs=2),
        ...     seed=1,
        ...     progress=False,
        ... )
        >>> draws = posterior.sample([0.0, 0.2])
        >>> draws.sizes, draws.equals(posterior.sample({"y": [0.0, 0.2]}))
        (Frozen({'draw': 1000}), True)
        """
        draws = self.core.sample(y, n, seed)
        self._warn_if_distrusted()
        return draws

    def sample_each(self, ys: Any, n: int = 1000, *, seed: int | None = None) -> xr.Dataset:
        """Draw from the posterior of each of many observations, `n` times: as `sample` does.

        Returns
        -------
        xarray.Dataset
            Dims `observation`, with the catalogue's own index, and `draw`.

        Raises
        ------
        MemoryError
            If the draws would take more than 4 GB: `summary_each` needs no more than a few MB.
        """
        draws = catalogue.sample_each(self.core, ys, n, seed)
        self._warn_if_distrusted()
        return draws

    def log_prob(
        self, parameters: xr.Dataset | pd.DataFrame | Mapping[str, Any], y: Any
    ) -> xr.DataArray:
        """Log posterior density in parameter units, normalised.

        Of discrete parameters it is the log probability, times the density of the others.

        Parameters
        ----------
        parameters : Dataset with dim "draw", DataFrame, or dict of scalars or arrays
            Variables that are no parameters, such as derived ones, are passed over.
        y : one observation

        Returns
        -------
        xarray.DataArray
            Dim `draw`; -inf outside the prior's support.

        Raises
        ------
        PriorError
            If a parameter is missing.
        NoDensityError
            If the method can be drawn from only, or there are more than eight discrete parameters.
        """
        return self.core.log_prob(parameters, y)

    def map_estimate(self, y: Any, *, seed: int | None = None) -> dict[str, Any]:
        """Find the parameters of highest posterior density (in parameter units, as `log_prob`).

        Starts from 4,096 draws, then climbs, for each of the best values of discrete parameters.

        Returns
        -------
        dict
            Parameter name to number, or to an array for a vector parameter.
        """
        return self.core.highest(y, seed)

    def summary(self, y: Any, n: int = 10_000, *, seed: int | None = None) -> pd.DataFrame:
        """Summarise the posterior, one row a parameter.

        Returns
        -------
        DataFrame
            Mean, sd, median, 68 % and 95 % intervals, and the width relative to the prior's.
        """
        return labelled.summary(self.sample(y, n, seed=seed))

    def summary_each(
        self, ys: Any, n: int = 1000, *, seed: int | None = None, progress: bool = True
    ) -> pd.DataFrame:
        """Summarise the posterior of each of many observations, in constant memory.

        It is made of the draws of `sample_each(ys, n)`, of which none is kept.

        Returns
        -------
        DataFrame
            One row an object, under the catalogue's own index. For a parameter `elbow` the columns
            `elbow_median`, `elbow_low68`, `elbow_high68`, `elbow_low95`, `elbow_high95`, and
            `elbow_modes`, the number of modes that its draws show: where it is over 1, look at
            `corner(y)`. Of 1,000 draws of one mode at most 1 set in 1,000 shows a second by chance
            (uniform ones, and fewer of others); one that overlaps another may stay unseen.

        Examples
        --------
        >>> import sbi_inn as si
        >>> posterior = si.fit_posterior(
        ...     "two_moons",
        ...     n_simulations=500,
        ...     training=si.Training(epochs=2),
        ...     seed=1,
        ...     progress=False,
        ... )
        >>> stars = pd.DataFrame({"y[0]": [0.0, 0.1], "y[1]": 0.2}, index=["Vega", "Deneb"])
        >>> table = posterior.summary_each(stars, progress=False)
        >>> table.index.to_list(), table.columns[:3].to_list()
        (['Vega', 'Deneb'], ['theta1_median', 'theta1_low68', 'theta1_high68'])
        """
        table = catalogue.summary_each(self.core, ys, n, seed, progress=progress)
        self._warn_if_distrusted()
        return table

    def at_tolerance(self, tolerance: float | None) -> Posterior:
        """Give this posterior with another standard deviation of the observation (method "inn").

        Parameters
        ----------
        tolerance : float or None
            In units of the observables' spread. 0: draws at exactly the observation, which have no
            density. None: the typical error of the forward network.

        Raises
        ------
        TypeError
            If the method has no forward network.
        """
        fitted = self.core.emulator("to set a tolerance").at_tolerance(tolerance)
        return Posterior(replace(self.core, fitted=fitted, stored_scale=self.core.scale))

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
        return reweight(draws, self.prior, prior, seed=self.seed if seed is None else seed)

    # -- whether to trust it -----------------------------------------------------------------------

    def check(self, y: Any = None, *, progress: bool = True) -> Check:
        """Say whether to trust the posterior, in general or at an observation.

        In general: are intervals and regions as wide as they should be, do draws land on the
        observation when they are simulated again? With `y` also: could the simulations have
        produced it, do draws at y, simulated again, look like it, does the posterior there agree
        with itself? What each check does and from when on it objects: docs/checks.md.

        Returns
        -------
        Check
            `.verdict` ("trust", "caution", "do not trust"), `.sentence`, `.table`, `.figures`,
            `.to_html("report.html")`.
        """
        observation = None if y is None else self.schema.read(y)
        general = checking.check(self.core, self._subject(), progress=progress)
        self.last_check, self.last_verdict = general.sentence, general.verdict
        self._warned = False
        if observation is None:
            return general
        return checking.check(self.core, self._subject(), observation, progress=progress)

    def calibration(self) -> Calibration:
        """Calibration over the test simulations: ranks, error, floor, table and plot."""
        return CALIBRATION.record(self._subject())

    def recovery(self) -> Recovery:
        """Point estimates against the truth of the test simulations: R2, NRMSE, contraction."""
        return RECOVERY.record(self._subject())

    def goodness_of_fit(self, y: Any) -> GoodnessOfFit:
        """Say whether the simulations could have produced an observation.

        Returns
        -------
        GoodnessOfFit
            `.p_value`, `.sticks_out`, `.sentence`, `.table`, `.plot()`.
        """
        return goodness_of_fit(self._subject(), self.schema.read(y))[0]

    def goodness_of_fit_each(self, ys: Any, *, false_discovery_rate: float = 0.05) -> pd.DataFrame:
        """Say for each of many observations whether the simulations could have produced it.

        Parameters
        ----------
        ys : many observations
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
        ValueError
            If the rate is not between 0 and 1.
        """
        return checking.goodness_of_fit_each(self._subject(), ys, false_discovery_rate)

    def goodness_of_fit_together(self, ys: Any, *, seed: int | None = None) -> Together:
        """Say whether many observations together look like simulated ones.

        Each may pass by itself and all of them still lean to one side (Schmitt et al. 2021). The
        seed is that of the test's own random subsets.

        Returns
        -------
        Together
            `.p_value`, `.verdict`, `.sentence`, `.table`, `.plot()`.
        """
        return checking.goodness_of_fit_together(self._subject(), ys, seed)

    # -- against the simulator ---------------------------------------------------------------------

    def resimulate(
        self,
        y: Any,
        n: int = 1000,
        *,
        given: Mapping[str, Any] | None = None,
        emulator: bool = False,
        seed: int | None = None,
    ) -> xr.Dataset:
        """Simulate again at posterior draws, with the observation's own givens or with others.

        Parameters
        ----------
        y : one observation
        n : int
            Number of draws.
        given : mapping, optional
            Givens by name, in place of the observation's own, within the trained range or not: a
            later last day, as in `{"days": 150}`, makes it a forecast, if what is random in the
            simulator is only the noise of each day. `error` and `scaled_error` are left out then.
        emulator : bool
            Use the forward network (method "inn") in place of the simulator.
        seed : int, optional

        Returns
        -------
        xarray.Dataset
            Dim `draw`: the observables; `error`, the Euclidean distance from the observation in the
            observables' own units; `scaled_error`, each observable divided by its spread over the
            simulations. Sets are compared by mean, standard deviation and quantiles, missing values
            are passed over. NaN where a simulation failed. The attribute `remark` says how closely
            draws of an INN keep to y.

        Raises
        ------
        SimulationError
            If there is no simulator, or some parameters were not inferred.
        ShapeError
            If `given` holds what is no given, or is no value of it.
        TypeError
            If an emulator is asked for, and the method has none.
        ValueError
            If it is asked for other givens.
        """
        if emulator and given:
            raise ValueError("other givens take the simulator: pass given= or emulator=True")
        emulation = self.emulation if emulator else None
        return resimulation.resimulate(self.core, y, n, given=given, emulation=emulation, seed=seed)

    def rejection_abc(
        self,
        y: Any,
        *,
        quantile: float | None = None,
        epsilon: float | None = None,
        n_simulations: int | None = None,
        seed: int | None = None,
    ) -> xr.Dataset:
        """Draw from the posterior by rejection ABC, the baseline beside the network.

        Parameters
        ----------
        y : one observation
        quantile, epsilon : float, optional
            As in `sbi_inn.rejection_abc`; by default the closest .005 of the simulations.
        n_simulations : int, optional
            Simulate this many anew, at the observation's own givens. By default the fit's
            simulations are used again, unless givens vary: then as many are simulated anew.
        seed : int, optional
            Of simulations made anew.

        Returns
        -------
        xarray.Dataset
            Draws, with `acceptance_rate`, `epsilon` and `n_simulations` in the attributes.
        """
        return resimulation.abc_draws(
            self.core,
            y,
            quantile=quantile,
            epsilon=epsilon,
            n_simulations=n_simulations,
            seed=seed,
        )

    def emulate(self, parameters: xr.Dataset | pd.DataFrame | Mapping[str, Any]) -> xr.Dataset:
        """Predict the observables by the network that was learned forwards (method "inn").

        Parameters
        ----------
        parameters : Dataset with dim "draw", DataFrame, or dict of scalars or arrays
            With the givens that varied in training among them.

        Returns
        -------
        xarray.Dataset
            Dim `draw`; NaN outside the prior's support. The attribute `rmse` of each observable is
            the root-mean-square error on the test simulations, in its own units.

        Raises
        ------
        PriorError, ShapeError
            If a parameter or a given is missing.
        TypeError
            If the method has no forward network.
        """
        return self.emulation.predict(parameters)

    @cached_property
    def emulation(self) -> Emulation:
        """The forward network; `.errors` is a table of its errors on the test simulations."""
        return Emulation(self.core.emulator("to emulate"), self.core)

    # -- what would make it better -----------------------------------------------------------------

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
        return planning.learning_curve(
            self.core, fractions, training=training, seed=seed, progress=progress
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
        return planning.plan(self._subject(), given, values, level=level, n=n, seed=seed)

    # -- figures -----------------------------------------------------------------------------------

    def corner(
        self,
        y: Any,
        n: int = 10_000,
        *,
        truth: Mapping[str, Any] | None = None,
        compare: Mapping[str, xr.Dataset] | None = None,
        width_mm: float = 180.0,
        fig: Canvas | None = None,
        seed: int | None = None,
    ) -> Figure:
        """Plot all marginals of one and two parameters, with the prior in grey.

        Parameters
        ----------
        y : one observation
        n : int
            Number of draws.
        truth : mapping of str to float, optional
            True parameters, marked in the figure.
        compare : mapping of str to Dataset, optional
            Other draws to overlay, by label, such as `{"ABC": posterior.rejection_abc(y)}`.
        width_mm, fig
            As everywhere.
        seed : int, optional
        """
        mine = self.sample(y, n, seed=seed)
        return figures.corner_of(
            self.core, mine, truth=truth, compare=compare, width_mm=width_mm, fig=fig
        )

    def plot_calibration(self, width_mm: float = 180.0, *, fig: Canvas | None = None) -> Figure:
        """Plot coverage and ranks over the test simulations; 85 mm fit one column of a paper."""
        return self.calibration().plot(width_mm, fig=fig)

    def plot_recovery(self, width_mm: float = 180.0, *, fig: Canvas | None = None) -> Figure:
        """Plot posterior medians and 68 % intervals against the truth of the test simulations."""
        return self.recovery().plot(width_mm, fig=fig)

    def plot_latent(
        self,
        y: Any,
        *,
        axes: tuple[int, int] = (0, 1),
        n: int = 121,
        fig: Canvas | None = None,
    ) -> Figure:
        """Plot what a grid over two latent axes maps to, one panel a parameter (fig. 4.5).

        Parameters
        ----------
        y : one observation
        axes : (int, int)
            Which latent axes, counted from 0; the others are held at 0.
        n : int
            Grid points an axis, from -3 to 3.
        fig : as everywhere

        Raises
        ------
        TypeError
            If the method has no latent.
        ValueError
            If it has no such axes.
        """
        return figures.latent(self.core, y, axes=axes, n=n, fig=fig)

    def latent_grid(self, y: Any, axis: FloatArray, axes: tuple[int, int] = (0, 1)) -> xr.Dataset:
        """Give the parameters of a grid over two latent axes, the second fastest, dim `draw`."""
        return figures.latent_grid(self.core, y, axis, axes)

    def plot_forecast(
        self,
        y: Any,
        *,
        given: Mapping[str, Any] | None = None,
        later: npt.ArrayLike | None = None,
        observable: str | None = None,
        log: bool = False,
        n: int = 1000,
        width_mm: float = 180.0,
        ax: Axes | None = None,
        seed: int | None = None,
    ) -> Figure:
        """Plot an observed series among re-simulated ones, up to its end or beyond it.

        Parameters
        ----------
        y : one observation
        given : mapping, optional
            A longer length, such as `{"days": 150}`: what follows the observation is a forecast.
            See `resimulate`, also for what is raised.
        later : array, optional
            What did follow, as far as it is known.
        observable : str, optional
            Which column of a series, of one number an entry; by default the first.
        log : bool
            Draw it on a logarithmic scale, on which 0 has a place.
        n : int
            Number of draws.
        width_mm, ax
            As everywhere.
        seed : int, optional

        Raises
        ------
        ShapeError
            If there is no such series.
        """
        return figures.forecast(
            self.core,
            y,
            n,
            given=given,
            later=later,
            observable=observable,
            log=log,
            width_mm=width_mm,
            ax=ax,
            seed=seed,
        )

    def plot_training(self, *, ax: Axes | None = None) -> Figure:
        """Plot training and validation loss; of an ensemble, the other validation losses too."""
        return figures.training(self.core, ax)

    # -- for other programs, and files -------------------------------------------------------------

    def to_datatree(self, y: Any, n: int = 4000, *, seed: int | None = None) -> xr.DataTree:
        """Give everything at one observation as ArviZ reads it.

        Where there is a simulator, it runs at every one of the `n` draws.

        Returns
        -------
        xarray.DataTree
            Groups `posterior`, `prior`, `observed_data`; `posterior_predictive` where there is a
            simulator that does not fail at every draw, `constant_data` where there are givens,
            `sample_stats` with the log posterior density `lp` where the method has one. The draws
            are independent: one `chain`.
        """
        return exports.everything(self.core, y, self.sample(y, n, seed=seed), seed)

    def to_dataframe(self, y: Any, n: int = 1000, *, seed: int | None = None) -> pd.DataFrame:
        """Give draws as a table: one row a draw, one column a scalar, such as `theta[0]`."""
        return exports.dataframe(self.sample(y, n, seed=seed))

    def to_numpy(self, y: Any, n: int = 1000, *, seed: int | None = None) -> FloatArray:
        """Give draws as an array, shape (n, dim), in the order of `prior.columns`."""
        return labelled.flat(self.sample(y, n, seed=seed))[1]

    def latex_table(
        self,
        y: Any,
        n: int = 10_000,
        *,
        interval: float = 0.68,
        caption: str = "",
        label: str = "",
        seed: int | None = None,
    ) -> str:
        """Write the posterior at one observation as a table for a paper.

        `interval`, `caption` and `label` are those of `sbi_inn.latex_table`.
        """
        draws = self.sample(y, n, seed=seed)
        return latex_table(draws, interval=interval, caption=caption, label=label)

    def save(self, path: str | Path) -> None:
        """Write the posterior to a file that `load_posterior` reads; no code is stored."""
        saving.save(self.core, path, last_check=self.last_check, last_verdict=self.last_verdict)

    def __repr__(self) -> str:
        lines = [
            f"<sbi_inn.Posterior of {', '.join(self.prior.names)} given {self.schema.example()}>",
            f"  {self.core.fitted.describe()}, trained on {self.n_simulations:,} simulations "
            f"in {self.history.seconds:.0f} s ({self.history.stopped})",
            f"  last check: {self.last_check or 'not checked yet'}",
            "  next: posterior.check()",
            "        posterior.sample(y, 10_000)",
            "        posterior.corner(y)",
        ]
        return "\n".join(lines)

    def _subject(self) -> Subject:
        """Put together what the checks share, once."""
        if self._shared is None:
            self._shared = checking.subject_of(self.core)
        return self._shared

    def _warn_if_distrusted(self) -> None:
        """Say once, after a check has failed, that it did."""
        if self.last_verdict == "do not trust" and not self._warned:
            self._warned = True
            warnings.warn(f"the last check of this posterior said: {self.last_check}", stacklevel=3)
