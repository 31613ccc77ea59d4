"""Measure how much observations tell about each parameter: evidence, without a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sbi_inn.checks.fields import FieldSurvey, Summed, field_survey
from sbi_inn.checks.kind import CheckKind
from sbi_inn.checks.phrases import percent
from sbi_inn.checks.record import Finding, Limits, Record
from sbi_inn.checks.subject import Subject
from sbi_inn.checks.survey import Survey
from sbi_inn.diagnostics.recovery import (
    contraction,
    nrmse,
    r_squared,
    rank_correlation,
    z_scores,
)
from sbi_inn.draws import Column, columns_of, flat
from sbi_inn.plots.recovery import plot_contraction, plot_recovery
from sbi_inn.plots.style import DOUBLE_COLUMN_MM, Canvas
from sbi_inn.typing import FloatArray

FIELDS = 2_000  # draws of the prior that say how widely what sums up a field is spread

# There are none: an exact posterior may well know little of a parameter.
NONE = Limits("variance not explained", caution=np.inf, distrust=np.inf)


@dataclass(frozen=True, repr=False)
class Recovery(Record):
    """Point estimates compared with the truth, and z-scores with contraction.

    Attributes
    ----------
    truth, mean, sd, median, low, high : array, shape (n, dim)
        True parameters; mean, standard deviation, median and ends of the 68 % interval of the
        draws.
    prior_sd : array, shape (dim,)
    columns : tuple of Column
    """

    truth: FloatArray
    mean: FloatArray
    sd: FloatArray
    median: FloatArray
    low: FloatArray
    high: FloatArray
    prior_sd: FloatArray
    columns: tuple[Column, ...]

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """One that is never objected to."""
        return (Finding(float(1 - self.r_squared.min()), 0.0, NONE, 1.0, self.well),)

    @cached_property
    def r_squared(self) -> FloatArray:
        """Share of the variance of each parameter that its posterior median explains."""
        return r_squared(self.truth, self.median)

    @cached_property
    def contraction(self) -> FloatArray:
        """1 - posterior over prior variance, shape (n, dim)."""
        return contraction(self.sd, self.prior_sd)

    @property
    def well(self) -> str:
        """Say which parameters the observations tell most and least about."""
        best, least = int(self.r_squared.argmax()), int(self.r_squared.argmin())
        # Medians that are worse than a constant explain nothing, rather than less than that.
        best_part, least_part = (percent(max(self.r_squared[i], 0)) for i in (best, least))
        said = f"the observations explain {best_part} of {self.columns[best].name}"
        if best == least:
            return said
        return f"{said}, and {least_part} of {self.columns[least].name}"

    @property
    def table(self) -> pd.DataFrame:
        """One row a parameter: R2, NRMSE, median z-score (absolute) and contraction.

        Of a prior with heavy tails a few truths decide on R2 and NRMSE; on `rank_correlation`
        (Spearman's, of truth and posterior median) no single one does.
        """
        z = z_scores(self.truth, self.mean, self.sd)
        return pd.DataFrame(
            {
                "R2": self.r_squared,
                "NRMSE": nrmse(self.truth, self.median),
                "rank_correlation": rank_correlation(self.truth, self.median),
                "median_abs_z": np.median(np.abs(z), axis=0),
                "contraction": np.median(self.contraction, axis=0),
            },
            index=pd.Index([column.name for column in self.columns], name="parameter"),
        )

    def plot(self, width_mm: float = DOUBLE_COLUMN_MM, fig: Canvas | None = None) -> Figure:
        """Medians with 68 % intervals against the truth."""
        return plot_recovery(
            self.truth,
            self.median,
            self.low,
            self.high,
            self.columns,
            r_squared=self.r_squared,
            nrmse=nrmse(self.truth, self.median),
            width_mm=width_mm,
            fig=fig,
        )

    def more_figures(self, width_mm: float = DOUBLE_COLUMN_MM) -> dict[str, Figure]:
        """Show z-scores against contraction: posteriors that are too narrow leave |z| < 3."""
        z = z_scores(self.truth, self.mean, self.sd)
        drawn = np.isfinite(z).all(axis=1)
        names = [column.label for column in self.columns]
        figure = plot_contraction(z[drawn], self.contraction[drawn], names, width_mm=width_mm)
        return {"z-scores against contraction": figure}


def check_recovery(subject: Subject) -> Recovery:
    """Look at estimates over the test simulations; of a field, at those of what sums it up."""
    if subject.sampler.prior.fields:
        return _of_field(subject)
    found, prior = subject.survey(), subject.simulations.prior_draws
    return _made(found, flat(prior)[1], columns_of(prior))


def _of_field(subject: Subject) -> Recovery:
    """Look at means of blocks, powers and projections, other parameters and derived quantities."""
    found, names = field_survey(subject), subject.sampler.prior.names
    drawn = subject.simulations.prior_draws.isel(draw=slice(FIELDS))
    flat_prior = subject.sampler.prior.flatten({name: drawn[name].values for name in names})
    columns = tuple(Column(name, name, name, "", np.nan) for name in found.names)
    return _made(found, Summed(subject.sampler)(flat_prior), columns)


def _made(found: Survey | FieldSurvey, prior: FloatArray, columns: tuple[Column, ...]) -> Recovery:
    """Compare what was found with draws of the prior, shape (draws, dim)."""
    estimates = (found.truth, found.mean, found.sd, found.median, found.low, found.high)
    return Recovery(*estimates, prior.std(axis=0), columns)


RECOVERY = CheckKind(
    name="recovery",
    question="What do observations say about each parameter at all?",
    explanation="How close estimates come to the true parameters, and how much narrower than the "
    "prior the posterior is.",
    run=check_recovery,
)
