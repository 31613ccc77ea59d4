"""Posterior: what a fit returns, whatever the method behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from sbi_inn.checks import Subject
from sbi_inn.observation.schema import Schema
from sbi_inn.posterior import (
    catalogue,
    checking,
    exports,
    fields,
    figures,
    further,
    latents,
    placement,
    planning,
    recalibration,
    resimulation,
    sampling,
    saving,
    verification,
    weighting,
)
from sbi_inn.posterior import intervals as sets
from sbi_inn.posterior.core import Core
from sbi_inn.posterior.emulation import Emulation
from sbi_inn.posterior.growth import Grown
from sbi_inn.posterior.handing_on import anew, drawing, moved, of_core, of_subject
from sbi_inn.posterior.networks import networks
from sbi_inn.posterior.refining import refinement
from sbi_inn.posterior.verification import Verification
from sbi_inn.prior import Prior
from sbi_inn.report.check import Check
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.simulations import Simulations
from sbi_inn.training.history import History


class Posterior:
    """The posterior of a study, for any observation.

    Made by `fit_posterior` or `load_posterior`. In all methods

    - `y` is one observation: a dict of observables (and givens), a Dataset, a Series or a DataFrame
      of one row with labels, or the bare array if there is one observable. If it does not fit the
      simulated observations, a ShapeError says where;
    - `ys` are many observations: a Dataset with dim "observation", a DataFrame with one row per
      observation, a list of such `y`, of equal or different lengths, or a dict of them by name,
      each a dict. The ShapeError names the one that does not fit;
    - `n` is the number of draws;
    - `seed` is by default the seed of the fit (`refine` and `train_more` say what they use). The
      draws depend on the seed and on the observation: `summary(y)`, `corner(y)` and `sample(y)`
      use the same draws, and other observations have other ones;
    - `width_mm` is the width of a figure on paper, 180 for two columns and 85 for one; with `fig`
      (a Figure or SubFigure) or `ax` (an Axes), the plot is drawn there instead.

    Parameters
    ----------
    core : Core
        The trained method, its simulations, and how it was made; for code that builds on it.
    last_check, last_verdict : str
        Sentence and verdict of the last general check; empty if there was none.
    last_numbers : dict
        Numbers that this check measured; empty if there was none.
    """

    def __init__(
        self,
        core: Core,
        *,
        last_check: str = "",
        last_verdict: str = "",
        last_numbers: Mapping[str, verification.Numbers] | None = None,
    ) -> None:
        self.core = core
        self.last_check = last_check
        self.last_verdict = last_verdict
        self.last_numbers = dict(last_numbers or {})
        self._warned = False  # that the last check failed
        self._shared: Subject | None = None  # by the checks, once they were asked for

    @property
    def simulations(self) -> Simulations:
        """The simulations of the fit; after loading, only the held-out test simulations."""
        return self.core.simulations

    @property
    def n_simulations(self) -> int:
        """How many simulations the fit used, the held-out ones included."""
        return self.core.n_simulations

    @property
    def seed(self) -> int:
        """The seed of the fit, and the default seed of all that is random here."""
        return self.core.seed

    @property
    def prior(self) -> Prior:
        """The prior of the parameters that are inferred."""
        return self.core.prior

    @property
    def nuisances(self) -> tuple[str, ...]:
        """The parameters that are averaged over, not inferred (`fit_posterior(infer=...)`)."""
        return self.core.nuisances

    @property
    def schema(self) -> Schema:
        """Names, shapes and kinds of observables and givens, as read from the simulations."""
        return self.core.schema

    @property
    def history(self) -> History:
        """How the training went: losses, steps, seconds, and why it stopped."""
        return self.core.fitted.history

    @property
    def networks(self) -> pd.DataFrame:
        """The networks that draws come from, one row each, indexed by number or kind from 1.

        Columns: `weight`, the share of the draws; `asked`, at which observations: "everywhere", or
        where posteriors are "narrow" or "wide"; `validation_loss`, in nats, the smaller the better;
        `description`, how it reads the observation and starts. Networks that were left out have no
        row.
        """
        return networks(self.core)

    @property
    def settings(self) -> Any:
        """Settings of the method, including those that were chosen from the data."""
        return self.core.fitted.settings

    @property
    def problem(self) -> Problem | None:
        """The simulator with its prior, if there is one; it can be set."""
        return self.core.problem

    @problem.setter
    def problem(self, problem: Problem | None) -> None:
        self.core = self.core.with_problem(problem)
        self._shared = None

    @property
    def growth(self) -> Grown | None:
        """How the number of simulations grew, and why it stopped (`fit_posterior(until=...)`).

        It has `.stages`, `.stopped` and `.table`. It is None without `until`, and not saved to
        files.
        """
        return self.core.grown

    @property
    def emulation(self) -> Emulation:
        """The forward network (method "inn"); `.errors` is a table of its errors on test data."""
        return self.core.emulation

    # -- draws and densities -----------------------------------------------------------------------

    sample = drawing(sampling.sample)
    summary = drawing(sampling.summary)
    log_prob = of_core(sampling.log_prob)
    map_estimate = of_core(sampling.map_estimate)
    reweight = of_core(planning.reweight)
    importance = of_core(weighting.importance)
    encode = of_core(latents.encode)
    decode = drawing(latents.decode)

    # -- many observations -------------------------------------------------------------------------

    sample_each = drawing(catalogue.sample_each)
    summary_each = drawing(catalogue.summary_each)

    # -- whether to trust it -----------------------------------------------------------------------

    def check(self, y: Any = None, *, progress: bool = True) -> Check:
        """Check whether the posterior can be trusted, in general or at an observation.

        In general: are intervals and regions as wide as they should be? Do simulations from
        posterior draws look like the observation? With `y` also: could the simulations have
        produced y? Do simulations from the draws at y look like it? Is the posterior at y
        consistent with itself? docs/checks.md says what each check does, and when it objects.

        Parameters
        ----------
        y : one observation, optional
        progress : bool
            Show progress bars.

        Returns
        -------
        Check
            `.verdict` ("trust", "cannot tell", "caution", "do not trust"), `.sentence`, `.table`,
            `.figures`, `.to_html("report.html")`.
        """
        observation = None if y is None else self.schema.read(y)
        general = checking.check(self.core, self._subject(), progress=progress)
        self.last_check, self.last_verdict = general.sentence, general.verdict
        self.last_numbers = {verification.AS_CHECKED: verification.numbers(general, self.core)}
        self._warned = False
        if observation is None:
            return general
        return checking.check(self.core, self._subject(), observation, progress=progress)

    def verify(self, *, progress: bool = True) -> Verification:
        """Compute the numbers of the last check again, and compare them with the saved ones.

        This uses the simulator if there is one, and otherwise the held-out simulations, which are
        in the file.

        Returns
        -------
        Verification
            `.agrees`, `.sentence`, `.table`.

        Raises
        ------
        LoadError
            If there are no numbers, because the posterior was not checked before it was saved.
        """
        again = self.problem is not None and bool(self.last_numbers)
        general = checking.check(self.core, self._subject(), progress=progress) if again else None
        return verification.verify(self.core, self.last_numbers, general)

    calibration = of_subject(checking.calibration)
    recovery = of_subject(checking.recovery)
    goodness_of_fit = of_subject(checking.goodness_of_fit)
    goodness_of_fit_each = of_subject(checking.goodness_of_fit_each)
    goodness_of_fit_together = of_subject(checking.goodness_of_fit_together)

    # -- sets with a guarantee ---------------------------------------------------------------------

    intervals = of_subject(sets.intervals)
    regions = of_subject(sets.regions)

    # -- what would make it better -----------------------------------------------------------------

    def recalibrate(self, simulations: Simulations | int | None = None) -> Posterior:
        """Correct miscalibration, with simulations that were not used in training.

        The rank of a true value among posterior draws should be uniformly distributed. How the
        ranks are really distributed is learned as a smooth function of the observation, and
        corrected: first for each parameter, then for all of them together, by weights on draws.
        Each part of the correction is as simple as held-out ranks allow, so that an exact posterior
        is left as it is (docs/intervals.md).

        Parameters
        ----------
        simulations : Simulations or int, optional
            Simulations from the prior that this posterior has not used, or how many to run.
            Default: 5,000 if they take less than ten seconds; otherwise half of the held-out ones,
            and the other half is left for `check()`.

        Returns
        -------
        Posterior
            A new one; this one is not changed.

        Raises
        ------
        SimulationError
            If the simulations are of another study, fewer than 50, or those used in training.
        PriorError
            If they have parameters outside the support of this posterior's prior.
        TypeError
            If `simulations` is neither a table nor a number of at least 50.
        ValueError
            If the prior has more than 200 latents, as one of a field does.
        """
        seconds = checking.seconds_of(self.core)
        return Posterior(recalibration.recalibrate(self.core, simulations, seconds))

    learning_curve = of_core(planning.learning_curve)
    plan = of_subject(planning.plan)
    information = of_subject(planning.information)

    refine = anew(refinement.refine)
    train_more = anew(further.train_more)

    # -- against the simulator ---------------------------------------------------------------------

    resimulate = of_core(resimulation.resimulate)
    rejection_abc = of_core(resimulation.rejection_abc)
    emulate = of_core(resimulation.emulate)

    def at_tolerance(self, tolerance: float | None) -> Posterior:
        """Return this posterior with another standard deviation of the observation (method "inn").

        Parameters
        ----------
        tolerance : float or None
            In units of each observable's spread. 0: draws fit exactly the observation, and have no
            density. None: the typical error of the forward network.

        Raises
        ------
        TypeError
            If the method has no forward network.
        """
        fitted = self.core.emulator("to set a tolerance").at_tolerance(tolerance)
        return Posterior(replace(self.core, fitted=fitted, stored_scale=self.core.scale))

    # -- figures -----------------------------------------------------------------------------------

    corner = drawing(figures.corner)
    plot_calibration = of_subject(figures.plot_calibration)
    plot_recovery = of_subject(figures.plot_recovery)
    plot_latent = of_core(figures.plot_latent)
    latent_grid = of_core(figures.latent_grid)
    plot_forecast = of_core(figures.plot_forecast)
    plot_training = of_core(figures.plot_training)
    plot_forest = drawing(figures.plot_forest)

    # -- fields ------------------------------------------------------------------------------------

    maps = drawing(fields.maps)
    plot_field = drawing(fields.plot_field)

    # -- on a device, for other programs, and in files ---------------------------------------------

    to = moved(placement.to)
    to_datatree = drawing(exports.to_datatree)
    to_dataframe = drawing(exports.to_dataframe)
    to_numpy = drawing(exports.to_numpy)
    latex_table = drawing(exports.latex_table)

    def save(self, path: str | Path) -> None:
        """Write the posterior to a file, to be read by `load_posterior`; no code is stored.

        The file holds the method and its weights, the prior, the schema, the held-out simulations,
        the training settings, versions, the simulator's name, a hash of its source, and the numbers
        of the last check, so that anybody can `verify` it.
        """
        if self.last_numbers and verification.HELD_OUT not in self.last_numbers:
            self.last_numbers[verification.HELD_OUT] = verification.on_held_out(self.core)
        last = saving.Last(self.last_check, self.last_verdict, self.last_numbers)
        saving.save(self.core, path, last)

    def __repr__(self) -> str:
        lines = [
            f"<sbi_inn.Posterior of {', '.join(self.prior.names)} given {self.schema.example()}>",
            f"  {self.core.fitted.describe()}, trained on {self.n_simulations:,} simulations "
            f"in {self.history.seconds:.0f} s ({self.history.stopped})",
            *self._where(),
            *([] if self.growth is None else [f"  {self.growth.brief}"]),
            f"  last check: {self.last_check or 'not checked yet'}",
            "  next: posterior.check()",
            "        posterior.sample(y, 10_000)",
            "        posterior.corner(y)",
        ]
        return "\n".join(lines)

    def _where(self) -> list[str]:
        """Say where a refined posterior holds."""
        refined, box = self.core.refined, self.prior.box
        if refined is None or box is None:
            return []
        rounds = f"{refined.rounds} round{'s' if refined.rounds > 1 else ''}"
        return [
            f"  refined in {rounds} at {refined.brief}: holds in its neighbourhood, where "
            f"{box.mass:.2g} of the prior's mass is"
        ]

    def _subject(self) -> Subject:
        """Put together what the checks share, once."""
        if self._shared is None:
            self._shared = checking.subject_of(self.core)
        return self._shared


def checked(core: Core, general: Check) -> Posterior:
    """Make a posterior that has been checked already."""
    return Posterior(
        core,
        last_check=general.sentence,
        last_verdict=general.verdict,
        last_numbers={verification.AS_CHECKED: verification.numbers(general, core)},
    )
