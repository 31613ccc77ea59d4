"""What may predict the place of truths among their draws, and scores of that place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sbi_inn.checks.goodness import names
from sbi_inn.checks.phrases import by_about, wrong_width
from sbi_inn.checks.record import Sampler
from sbi_inn.checks.subject import Here, Subject
from sbi_inn.checks.survey import Survey
from sbi_inn.diagnostics.conditional_ranks import (
    SCORE_OF_CORRELATION,
    Design,
    column_scores,
    location_scores,
    score_of_width,
    width_of_score,
    width_scores,
)
from sbi_inn.diagnostics.patterns import Patterns
from sbi_inn.observation.batch import Observations
from sbi_inn.observation.image import Grid
from sbi_inn.observation.schema import Schema
from sbi_inn.observation.statistics import (
    described_with_givens,
    finer,
    finer_names,
    given_names,
)
from sbi_inn.simulation.seeds import Stream, generator
from sbi_inn.typing import AnyArray, BoolArray, FloatArray, IntArray

_ROWS = 200  # that are copied together, which stay in the cache
DRAWS = 200  # at one observation, for their mean and width
LOCATION, WIDTH, DEPENDENCE = "location", "width", "dependence"
_GAP = "a gap in "
LEARNED = "a feature that the network learned from"  # with this its name begins
GOES_WITH = 0.7  # correlation from which on such a feature is said to go with a statistic


@dataclass(frozen=True)
class Score:
    """What one score is about.

    Attributes
    ----------
    kind : str
        "location", "width" or "dependence".
    of : str
        The parameter, or two of them.
    """

    kind: str
    of: str

    def size(self, mean: float) -> float:
        """Give the effect behind a mean score: a shift in sd, log of a width, a correlation."""
        if self.kind == WIDTH:
            return abs(float(np.log(width_of_score(mean))))
        return abs(mean) / (SCORE_OF_CORRELATION if self.kind == DEPENDENCE else 1)

    def means(self, size: float) -> tuple[float, float]:
        """Give the mean scores, below and above 0, behind an effect of this size."""
        if self.kind == WIDTH:
            return score_of_width(float(np.exp(size))), score_of_width(float(np.exp(-size)))
        most = size * (SCORE_OF_CORRELATION if self.kind == DEPENDENCE else 1)
        return -most, most

    def words(self, mean: float, error: float | None = None) -> str:
        """Say what a mean score tells of the posteriors, such as that they are too low."""
        noise = "" if error is None else f" +- {error:.2f}"
        if self.kind == WIDTH:
            return f"posteriors of {self.of} are {wrong_width(width_of_score(mean))}"
        size, side = f"{self.size(mean):.2f}{noise}", "low" if mean > 0 else "high"
        if self.kind == LOCATION:
            return f"posteriors of {self.of} are too {side} by {size} sd"
        return f"the correlation of {self.of} is too {side} by {size}"

    def off_by(self, size: float) -> str:
        """Say how far off posteriors are, now one way and now the other."""
        if self.kind == WIDTH:
            return f"posteriors of {self.of} are too wide or too narrow {by_about(np.expm1(size))}"
        what = "posteriors" if self.kind == LOCATION else "correlations"
        unit = " sd" if self.kind == LOCATION else ""
        return f"{what} of {self.of} are off by {size:.2f}{unit}"


@dataclass(frozen=True)
class Predictors:
    """What might predict where the truth lies.

    Attributes
    ----------
    columns : array, shape (n, p)
        In their own units; NaN where one is missing.
    names : tuple of str, length p
    read : int
        How many of them, the first, the network reads: the others are means and widths of draws.
    kept : int array, shape (p,)
        Which of all that was looked at they are: what does not vary predicts nothing.
    """

    columns: FloatArray
    names: tuple[str, ...]
    read: int
    kept: IntArray

    def scores(self, rows: FloatArray | None = None) -> FloatArray:
        """Give normal scores of the columns, or of further rows."""
        return column_scores(self.columns, self.columns if rows is None else rows)

    def where(self, column: int, rows: FloatArray) -> str:
        """Say where in a column some of its values lie, such as "y1 is high (above 2)"."""
        values, name = self.columns[:, column], self.names[column]
        known = rows[np.isfinite(rows)]
        if name.startswith(_GAP):
            return f"{name.removeprefix(_GAP)} is {'missing' if known.min() else 'there'}"
        if not known.size:
            return f"{name} is missing"
        low, high = known.min(), known.max()
        if low == high:
            return f"{name} is {low:.3g}"
        if high >= np.nanmax(values):
            return f"{name} is high (above {low:.3g})"
        if low <= np.nanmin(values):
            return f"{name} is low (below {high:.3g})"
        return f"{name} lies between {low:.3g} and {high:.3g}"


def scores_of(subject: Subject) -> tuple[FloatArray, tuple[Score, ...]]:
    """Give the scores of all ranks over the test simulations, shape (n, s), and what they are of.

    Of a simulator without noise no products: an exact posterior of it is a surface, across which
    a network is as wide as it resolves, and along it as dependent as that makes it.
    """
    found, columns = subject.survey(), subject.sampler.columns
    parts = [location_scores(found.ranks), width_scores(found.ranks)]
    about = [Score(kind, column) for kind in (LOCATION, WIDTH) for column in columns]
    if not subject.deterministic:
        parts.append(location_scores(found.products))
        about += [Score(DEPENDENCE, f"{columns[i]} and {columns[j]}") for i, j in found.pairs]
    return np.concatenate(parts, axis=1), tuple(about)


def predictors_of(subject: Subject) -> tuple[Predictors, Design]:
    """Give what might predict the scores of a posterior, and features of it; made once."""
    return subject.once("predictors", lambda: _predictors(subject))


def _predictors(subject: Subject) -> tuple[Predictors, Design]:
    sampler, found = subject.sampler, subject.survey()
    seen = found.tests.observations
    read, read_names = _read(subject, seen, *(part[: len(seen)] for part in subject.read))
    # What is always the same predicts nothing; where it is missing may.
    parts = read, np.isnan(read), _pooled(found)
    vary = [_varies(part) for part in parts]
    columns = _side_by_side(parts, vary)
    scores = column_scores(columns, columns)
    read_names = _likened(scores[:, : vary[0].sum()], read_names, vary[0])
    known = (*read_names, *(_GAP + name for name in read_names), *own_names(sampler))
    kept = np.flatnonzero(np.concatenate(vary))
    names_kept = tuple(known[i] for i in kept)
    predictors = Predictors(columns, names_kept, int(vary[0].sum() + vary[1].sum()), kept)
    rng = generator(subject.seed, Stream.CONDITIONAL_RANKS)
    return predictors, Design.of(scores, rng)


def _side_by_side(parts: Sequence[AnyArray], kept: Sequence[BoolArray]) -> FloatArray:
    """Put columns that are kept (n, k) of each part side by side, some rows at a time."""
    n = len(parts[0])
    found = np.empty((n, sum(int(some.sum()) for some in kept)))
    for first in range(0, n, _ROWS):
        here = slice(first, first + _ROWS)
        found[here] = np.hstack([p[here][:, some] for p, some in zip(parts, kept, strict=True)])
    return found


def _varies(columns: AnyArray) -> BoolArray:
    """Say which columns (n, k) have more than one finite value."""
    if np.isfinite(columns).all():
        return np.asarray(columns.max(axis=0) != columns.min(axis=0))
    return np.array([len(np.unique(c[np.isfinite(c)])) > 1 for c in columns.T], bool)


def drawn_at(here: Here) -> FloatArray:
    """Draw at an observation, with what is derived, for means and widths; shape (DRAWS, d)."""
    sampler = here.subject.sampler
    return here.once(
        "draws for conditional ranks",
        lambda: sampler.extended(sampler.draw(here.observation, DRAWS, here.subject.rng())[0]),
    )


def row_of(here: Here, draws: FloatArray) -> FloatArray:
    """Give the normal scores of the predictors at an observation with these draws, shape (p,)."""
    predictors, _ = predictors_of(here.subject)
    return predictors.scores(columns_at(here, draws)[None])[0]


def columns_at(here: Here, draws: FloatArray) -> FloatArray:
    """Give the predictors at an observation with these draws, in their own units, shape (p,)."""
    predictors, _ = predictors_of(here.subject)
    sampler, seen = here.subject.sampler, here.observation
    described = described_with_givens(seen, sampler.schema)
    read, _ = _read(here.subject, seen, described, sampler.features(seen))
    own = np.concatenate([draws.mean(axis=0), _log(draws.var(axis=0))])
    return np.concatenate([read[0], np.isnan(read[0]), own])[predictors.kept]


def weights_by_givens(here: Here, draws: FloatArray) -> dict[str, FloatArray]:
    """Give the weights of the simulations whose givens are nearest; none where none varies."""
    predictors, design = predictors_of(here.subject)
    schema = here.subject.sampler.schema
    known = {*given_names(schema), *schema.sets}
    columns = [i for i, name in enumerate(predictors.names) if name in known]
    if not columns:
        return {}
    return design.nearest(row_of(here, draws), columns, " in what is given")


def _read(
    subject: Subject, observations: Observations, columns: FloatArray, learned: FloatArray
) -> tuple[FloatArray, tuple[str, ...]]:
    """Give statistics and givens of observations, which are the columns, and their names.

    Of sets, series and images also what the network has learned, and finer statistics: a network
    that has not learned to read something has no feature of it either.
    """
    schema = subject.sampler.schema
    labels = names(schema)
    if not (schema.sets or schema.images):
        return columns, labels
    patterns = [p.of_images(g.cut(observations.vector)) for g, p in _patterns(subject).values()]
    labels += finer_names(schema)
    for name, (_, found) in _patterns(subject).items():
        labels += tuple(f"pattern {i} of {name}" for i in range(1, found.axes.shape[1] + 1))
    what = f"{LEARNED} {_what_is_read(schema)}"
    named = (f"{what} (number {i})" for i in range(1, learned.shape[1] + 1))
    parts = [columns, finer(observations, schema), *patterns, learned]
    return np.concatenate(parts, axis=1), (*labels, *named)


def _patterns(subject: Subject) -> dict[str, tuple[Grid, Patterns]]:
    """Give the patterns of all images of the tests, by name; learned once."""

    def learn() -> dict[str, tuple[Grid, Patterns]]:
        vector = subject.survey().tests.observations.vector
        grids = subject.sampler.schema.seen_grids
        return {name: (grid, Patterns.of(grid.cut(vector))) for name, grid in grids.items()}

    return subject.once("patterns", learn)


def _likened(scores: FloatArray, labels: tuple[str, ...], varies: BoolArray) -> tuple[str, ...]:
    """Say of learned features which statistic they go with: a number alone tells a reader nothing.

    By the correlation of normal scores (n, k), which are of the labels that vary.
    """
    learned = np.array([label.startswith(LEARNED) for label in labels])
    if not learned.any():
        return labels
    among = learned[varies]
    # Without a copy of all of them, which takes longer.
    squares = np.einsum("ij,ij->j", scores, scores) / len(scores)
    sd = np.sqrt(squares - scores.mean(axis=0) ** 2)
    own = (scores[:, among] - scores[:, among].mean(axis=0)) / sd[among]
    # Rounded: which of several that say the same is named is not up to the last digit.
    alike = np.abs((own.T @ scores)[:, ~among] / (len(own) * sd[~among])).round(6)
    statistics = np.array(labels)[varies & ~learned]
    found = list(labels)
    for i, row in zip(np.flatnonzero(varies & learned), alike, strict=True):
        if row.max(initial=0.0) >= GOES_WITH:
            found[i] = f"{labels[i].removesuffix(')')}, which goes with {statistics[row.argmax()]})"
    return tuple(found)


def _what_is_read(schema: Schema) -> str:
    """Say from what features are learned, where that is of one kind."""
    kinds = {"series" if length in schema.series else "set" for length in schema.sets}
    kinds |= {"image"} if schema.images else set()
    return f"the {kinds.pop()}" if len(kinds) == 1 else "the observation"


def own_names(sampler: Sampler) -> tuple[str, ...]:
    """Name means and widths of the draws."""
    columns = sampler.columns
    return tuple(f"the posterior {what} of {c}" for what in ("mean", "width") for c in columns)


def _pooled(found: Survey) -> FloatArray:
    """Give mean and log variance of draws and truth together, (n, 2 dim).

    Of these, which tell truth and draws no more apart, the rank of the truth does not depend.
    """
    m, gap = found.draws, found.truth - found.mean
    mean = found.mean + gap / (m + 1)
    variance = m / (m + 1) * (found.sd**2 + gap**2 / (m + 1))
    # Rounded: the last digits of a sum tell which of equal values the truth is.
    return _rounded(np.concatenate([mean, _log(variance)], axis=1))


def _rounded(values: FloatArray) -> FloatArray:
    """Keep seven digits, also of what single precision has no number for."""
    digits, exponents = np.frexp(values)
    return np.ldexp(digits.astype(np.float32).astype(np.float64), exponents)


def _log(variance: FloatArray) -> FloatArray:
    return np.log(np.maximum(variance, np.finfo(float).tiny))
