"""Findings of conditional ranks in parts of the observations that more than one column bounds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import stats

from sbi_inn.checks.phrases import percent
from sbi_inn.checks.predictors import DEPENDENCE, LOCATION, WIDTH, Predictors, Score
from sbi_inn.checks.record import Finding, Limits, corrected
from sbi_inn.diagnostics.regions import find_regions
from sbi_inn.diagnostics.tied_values import Part, explained_within, likeliest
from sbi_inn.typing import BoolArray, FloatArray

# In a part of the observations, 3 % or more: there a shift is what matters to whoever observed one.
SHIFT_IN_PART = Limits("shift in a part, in sd", caution=0.6, distrust=1.2)
WIDTH_IN_PART = Limits(
    "log of the width ratio in a part", caution=float(np.log(1.5)), distrust=float(np.log(2.5))
)
CORRELATION_IN_PART = Limits("correlation in a part", caution=0.6, distrust=1.2)
IN_PART = {LOCATION: SHIFT_IN_PART, WIDTH: WIDTH_IN_PART, DEPENDENCE: CORRELATION_IN_PART}


@dataclass(frozen=True)
class InPart:
    """What was found in a part of the observations.

    Attributes
    ----------
    finding : Finding
    columns : tuple of int
        The predictors that bound the part.
    rows : bool array, shape (n,)
        Test simulations in it.
    """

    finding: Finding
    columns: tuple[int, ...]
    rows: BoolArray

    def misses(self, row: FloatArray, predictors: Predictors) -> bool:
        """Say whether an observation, a row (p,), lies outside the part."""
        return any(
            outside(row[c], predictors.columns[self.rows, c], predictors.columns[~self.rows, c])
            for c in self.columns
        )


def outside(y: float, values: FloatArray, others: FloatArray) -> bool:
    """Say whether y is not among the values of a column in some rows, but among those of others."""
    known = values[np.isfinite(values)]
    if np.isnan(y) or not known.size:
        return bool(np.isnan(y) != np.isnan(values).any())
    elsewhere = y in others and y not in known
    return bool(elsewhere or not known.min() <= y <= known.max())


def in_regions(
    scores: FloatArray,
    about: tuple[Score, ...],
    predictors: Predictors,
    columns: FloatArray,
    looks: int,
) -> Iterator[InPart]:
    """Say of each score what it is in a region that one half of the tests has chosen.

    Parameters
    ----------
    scores : array, shape (n, s)
    about : tuple of Score, length s
    predictors : Predictors
    columns : array, shape (n, p)
        Their normal scores.
    looks : int
        That p-values are corrected for.
    """
    for score, region in zip(about, find_regions(columns, scores), strict=True):
        if region is None:
            continue
        rows = predictors.columns[region.inside]
        where = " and ".join(predictors.where(c, rows[:, c]) for c in region.columns)
        share, size = percent(region.inside.mean()), score.size(region.mean)
        words = f"where {where}, {share} of the observations, {score.words(region.mean)}"
        p_value = corrected(2 * stats.norm.sf(abs(region.z)), looks)
        error = abs(size / region.z) if region.z else 0.0
        finding = Finding(size, error, IN_PART[score.kind], p_value, words)
        yield InPart(finding, region.columns, region.inside)


def in_ties(
    scores: FloatArray,
    about: tuple[Score, ...],
    predictors: Predictors,
    columns: FloatArray,
    looks: int,
    parts: list[Part],
) -> Iterator[InPart]:
    """Say of each score what is predicted of it where a column has an unusual value.

    Parameters as for `in_regions`; `parts` are those that ties set apart.
    """
    if not parts:
        return
    looks *= len(parts)
    parts = likeliest(parts, columns, scores)
    found = [explained_within(part, columns, scores) for part in parts]
    rms, p_values = (np.stack([one[side] for one in found]) for side in (0, 1))
    for i, score in enumerate(about):
        best = int(p_values[:, i].argmin())
        part, much = parts[best], float(rms[best, i])
        size = min(score.size(much), score.size(-much))
        where, m = _where(predictors, part), part.rows.sum()
        words = (
            f"where {where}, {percent(m / len(scores))} of the observations, "
            f"{score.off_by(size)}: the network has not read all that is observed there"
        )
        p_value = corrected(p_values[best, i], looks)
        error = float(1 / np.sqrt(2 * m))
        finding = Finding(size, error, IN_PART[score.kind], p_value, words)
        yield InPart(finding, (part.column,), part.rows)


def _where(predictors: Predictors, part: Part) -> str:
    """Say which value a column has in a part, or has not."""
    values = predictors.columns[:, part.column]
    there = predictors.where(part.column, values[part.rows])
    other = values[~part.rows]
    if not part.unusual or len(np.unique(other)) != 1 or not np.isfinite(other).all():
        return there
    if len(np.unique(values[part.rows])) == 1:
        return there
    return f"{predictors.names[part.column]} is not {other[0]:.3g}"
