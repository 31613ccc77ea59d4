"""ModelComparison: what comparing models returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sbi_inn.checks.candidates import Candidates
from sbi_inn.comparison import checking, evidence, figures, goodness, saving
from sbi_inn.comparison.core import Core
from sbi_inn.delegation import as_method
from sbi_inn.observation.schema import Schema
from sbi_inn.report.check import Check
from sbi_inn.simulation.simulations import Simulations
from sbi_inn.training.device import placed

P = ParamSpec("P")
R = TypeVar("R")


def _of_core(
    function: Callable[Concatenate[Core, P], R],
) -> Callable[Concatenate[ModelComparison, P], R]:
    """Hand on to a function of the core."""
    return as_method(lambda comparison: comparison.core, function, "ModelComparison")


class ModelComparison:
    """Probabilities of several models given an observation, and whether any of them fits it.

    Made by `compare_models` or `load_comparison`. In all methods

    - `y` is one observation: a dict of observables (and givens), a Dataset, a Series or a DataFrame
      of one row with labels, or the bare array if there is one observable. If it does not fit the
      simulated observations, a ShapeError says where;
    - `ys` are many observations: a Dataset with dim "observation", a DataFrame with one row per
      observation, a list of such `y`, of equal or different lengths, or a dict of them by name,
      each a dict;
    - `prior` holds prior probabilities of the models, by name; they need no new training;
    - `width_mm` is the width of a figure on paper, 180 for two columns and 85 for one; with `fig`
      (a Figure or SubFigure) or `ax` (an Axes), the plot is drawn there instead.

    Parameters
    ----------
    core : Core
        The trained networks, their simulations, and how they were made; for code that builds on it.
    last_check, last_verdict : str
        Sentence and verdict of the last check; empty if there was none.
    """

    def __init__(self, core: Core, *, last_check: str = "", last_verdict: str = "") -> None:
        self.core = core
        self.last_check = last_check
        self.last_verdict = last_verdict
        self._shared: Candidates | None = None  # by the checks, once they were asked for

    @property
    def models(self) -> tuple[str, ...]:
        """The names of the models."""
        return self.core.names

    @property
    def simulations(self) -> Mapping[str, Simulations]:
        """The simulations of each model, by name, for `fit_posterior`; empty after loading."""
        return self.core.simulations

    @property
    def n_simulations(self) -> int:
        """How many simulations were used, those of all models together."""
        return self.core.n_simulations

    @property
    def seed(self) -> int:
        """The seed of all that is random here."""
        return self.core.seed

    @property
    def schema(self) -> Schema:
        """Names, shapes and kinds of observables and givens, as read from the simulations."""
        return self.core.schema

    @property
    def settings(self) -> Any:
        """Settings of the method, including those that were chosen from the data."""
        return self.core.fitted.settings

    # -- which model -------------------------------------------------------------------------------

    table = _of_core(evidence.table)
    probabilities = _of_core(evidence.probabilities)
    probabilities_each = _of_core(evidence.probabilities_each)
    log_bayes_factors = _of_core(evidence.log_bayes_factors)
    log_bayes_factors_each = _of_core(evidence.log_bayes_factors_each)

    # -- none of them ------------------------------------------------------------------------------

    goodness_of_fit = _of_core(goodness.goodness_of_fit)
    goodness_of_fit_each = _of_core(goodness.goodness_of_fit_each)

    # -- whether to trust it -----------------------------------------------------------------------

    def check(self) -> Check:
        """Check whether the comparison can be trusted, with simulations that training has not seen.

        Are the probabilities calibrated? Do they use everything that the observation says about the
        model? Is "none of them" said of simulations as rarely as its p-value says?

        Returns
        -------
        Check
            `.verdict` ("trust", "cannot tell", "caution", "do not trust"), `.sentence`, `.table`,
            `.figures`, `.to_html("report.html")`.
        """
        if self._shared is None:
            self._shared = checking.candidates_of(self.core)
        found = checking.check(self.core, self._shared)
        self.last_check, self.last_verdict = found.sentence, found.verdict
        return found

    # -- figures -----------------------------------------------------------------------------------

    plot_decision = _of_core(figures.plot_decision)
    similarity = _of_core(figures.similarity)
    plot_similarity = _of_core(figures.plot_similarity)

    def to(self, device: str) -> ModelComparison:
        """Return this comparison with its networks on a device, as `Posterior.to` does."""
        core = replace(self.core, fitted=self.core.fitted.to(placed(device)))
        return ModelComparison(core, last_check=self.last_check, last_verdict=self.last_verdict)

    def save(self, path: str | Path) -> None:
        """Write the comparison to a file, to be read by `load_comparison`; no code is stored."""
        saving.save(self.core, path, last_check=self.last_check, last_verdict=self.last_verdict)

    def __repr__(self) -> str:
        lines = [
            f"<sbi_inn.ModelComparison of {', '.join(self.models)} given {self.schema.example()}>",
            f"  {self.core.fitted.describe()}, trained on {self.n_simulations:,} simulations in "
            f"{self.core.fitted.seconds:.0f} s",
            f"  last check: {self.last_check or 'not checked yet'}",
            "  next: comparison.check()",
            "        comparison.table(y)",
            "        comparison.goodness_of_fit(y)",
        ]
        return "\n".join(lines)
