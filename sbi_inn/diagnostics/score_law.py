"""The distribution of normal scores of ranks, given what is known of each observation.

For an exact posterior, the normal score of the rank of a truth among the draws is N(0, 1), whatever
was observed. Here the scores of an inexact posterior get a distribution whose centre and width are
smooth functions of the observation, and whose shape is free. Each part is as simple as held-out
scores allow, so that nothing is learned for an exact posterior.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import special, stats

from sbi_inn.diagnostics.predicting_columns import FAMILIES, Standardised
from sbi_inn.diagnostics.rank_density import RankDensity, p_value
from sbi_inn.prior.curve import Curve, normal_log_density
from sbi_inn.typing import FloatArray, IntArray

FOLDS = 5
SIGNALS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)  # variance of what features explain, expected
STEPS = 4  # of Newton, for the log of the width
FAR = 6.0  # scores are cut off there: one of them must not decide
WIDEST = 1.5  # the log of a width at the most
PENALTIES = (1.0, 4.0, 16.0, 64.0, 256.0)  # on what bends a smooth shape
SIGNIFICANT = 0.01  # p-value of ranks, from which on smooth shapes are learned
FEWEST = 40  # scores that features are tried with; with fewer, constants
Features = Mapping[str, FloatArray]


@dataclass(frozen=True)
class Part:
    """A number that depends on the observation: a constant and slopes of one family of features.

    Attributes
    ----------
    family : str
        Empty where it is a constant.
    constant : float
    slopes : array, shape (k,)
    """

    family: str
    constant: float
    slopes: FloatArray

    def at(self, features: Features, n: int) -> FloatArray:
        """Evaluate, shape (n,)."""
        if not self.family:
            return np.full(n, self.constant)
        return self.constant + features[self.family] @ self.slopes


NOTHING = Part("", 0.0, np.empty(0))


@dataclass(frozen=True)
class ScoreLaw:
    """The law of one score, whose centre and log width depend on the observation.

    Attributes
    ----------
    centre, log_width : Part
    shape : Curve or None
        What makes scores, less their centre and over their width, normal; None: they are.
    """

    centre: Part = NOTHING
    log_width: Part = NOTHING
    shape: Curve | None = None

    @property
    def exact(self) -> bool:
        """Whether it is N(0, 1), whatever the observation."""
        parts = (self.centre, self.log_width)
        return self.shape is None and not any(part.family or part.constant for part in parts)

    @property
    def depends(self) -> bool:
        """Whether it is another one at another observation."""
        return bool(self.centre.family or self.log_width.family)

    def normalise(
        self, scores: FloatArray, centre: FloatArray, log_width: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Map scores to N(0, 1), and give the log of the slope; all arrays of one shape."""
        normal = (scores - centre) * np.exp(-log_width)
        if self.shape is None:
            return normal, -log_width + np.zeros_like(normal)
        found, log_slope = self.shape.forward(normal.ravel())
        return found.reshape(normal.shape), log_slope.reshape(normal.shape) - log_width

    def scores_of(
        self, normal: FloatArray, centre: FloatArray, log_width: FloatArray
    ) -> FloatArray:
        """Map N(0, 1) to scores: the inverse of `normalise`."""
        if self.shape is not None:
            normal = self.shape.inverse(normal.ravel()).reshape(normal.shape)
        return centre + np.exp(log_width) * normal

    def at(self, features: Features, n: int) -> tuple[FloatArray, FloatArray]:
        """Give centre and log width, each of shape (n,)."""
        width = np.clip(self.log_width.at(features, n), -WIDEST, WIDEST)
        return np.clip(self.centre.at(features, n), -FAR, FAR), width

    def to_config(self) -> dict[str, Any]:
        """Give it as JSON would hold it."""
        parts = {"centre": self.centre, "log_width": self.log_width}
        written = {
            n: {"family": p.family, "constant": p.constant, "slopes": p.slopes.tolist()}
            for n, p in parts.items()
        }
        return {**written, "shape": self.shape and self.shape.to_lists()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> ScoreLaw:
        """Read back what `to_config` gave."""
        centre, width = (
            Part(part["family"], float(part["constant"]), np.asarray(part["slopes"], float))
            for part in (config["centre"], config["log_width"])
        )
        shape = config["shape"]
        return cls(centre, width, Curve.from_lists(shape) if shape else None)


def learn_laws(
    scores: FloatArray, features: Features, rng: np.random.Generator, *, calibrated: bool = False
) -> tuple[ScoreLaw, ...]:
    """Learn the laws of scores, each as simple as held-out ones allow.

    Parameters
    ----------
    scores : array, shape (n, d)
    features : mapping of str to array, shape (n, k)
        By family, from simple to flexible.
    rng : numpy.random.Generator
        Deals the rows into five parts, each predicted from the other four.
    calibrated : bool, default False
        Whether the laws are used as they are, and not calibrated by other rows: widths and shapes
        are then learned around held-out predictions, and shapes may be smooth ones.

    Returns
    -------
    tuple of ScoreLaw, length d
        For centre and width: nothing, a constant, or a family of features with a ridge penalty;
        the simplest whose held-out log density is within a standard error of the best.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> y = rng.normal(size=(2_000, 1))
    >>> scores = np.column_stack([rng.normal(size=2_000), 0.5 * y[:, 0] + rng.normal(size=2_000)])
    >>> right, wrong = learn_laws(scores, {"linear": y}, rng)
    >>> right.exact, wrong.centre.slopes.round(1)
    (True, array([0.5]))
    """
    scores = np.clip(np.asarray(scores, float), -FAR, FAR)
    n, d = scores.shape
    folds = rng.permutation(np.arange(n) % FOLDS)
    known = {k: features[k] for k in FAMILIES if k in features and features[k].shape[1]}
    tried = known if n >= FEWEST else {}
    bases = {k: _Ridge(f, folds) for k, f in tried.items()}
    centre = _chosen(_centres(scores, bases, folds), d)
    around = np.column_stack([centre[j][1][:, j] for j in range(d)])
    width = _chosen(_widths(scores, around, bases, folds), d)
    laws, normal = [], np.empty((n, d))
    for j in range(d):
        middle = _refitted(centre[j][0], scores[:, j], None, bases)
        # Rows lie too close to a centre that was fitted to them: widths would be too small.
        from_here = around[:, j] if calibrated else middle.at(tried, n)
        law = ScoreLaw(middle, _refitted(width[j][0], scores[:, j], from_here, bases))
        if calibrated:
            normal[:, j] = (scores[:, j] - from_here) * np.exp(-width[j][1][:, j])
        else:
            normal[:, j] = law.normalise(scores[:, j], *law.at(tried, n))[0]
        laws.append(law)
    shapes = [_shape(column, folds) for column in normal.T]
    if calibrated:
        shapes = _smooth_shapes(normal, folds, shapes, all(law.exact for law in laws))
    return tuple(replace(law, shape=shape) for law, shape in zip(laws, shapes, strict=True))


def association(columns: FloatArray, scores: FloatArray) -> FloatArray:
    """Say how much each column (n, p) goes with scores (n, d) or their squares, shape (p,).

    Rank correlations with the columns, the largest of each.
    """
    ranked = stats.rankdata(np.where(np.isfinite(columns), columns, 0.0), axis=0)
    targets = np.concatenate([scores, scores**2], axis=1)
    x, y = ranked - ranked.mean(axis=0), targets - targets.mean(axis=0)
    norms = np.sqrt((x**2).sum(axis=0))[:, None] * np.sqrt((y**2).sum(axis=0))
    products = x.T @ y
    found = np.divide(products, norms, out=np.zeros_like(products), where=norms > 0)
    return np.abs(found).max(axis=1)


Kind = tuple[str, float]  # a family, and the signal that is expected of it
NONE, CONSTANT = ("", 0.0), ("", 1.0)


class _Ridge:
    """Features of one family, ready for ridge regressions on all rows and on those of each fold."""

    def __init__(self, features: FloatArray, folds: IntArray) -> None:
        self.n = len(features)
        self.parts = []
        for fold in (*range(FOLDS), None):
            train = folds != fold if fold is not None else np.ones(self.n, bool)
            basis = Standardised.of(features[train])
            held = features[~train] if fold is not None else features
            parts = basis.components(features[train]), basis.components(held)
            self.parts.append((basis, *parts))

    def part(self, fold: int | None) -> tuple[Standardised, FloatArray, FloatArray]:
        """Give basis, components of the rows to learn from, and of the rows to predict."""
        return self.parts[FOLDS if fold is None else fold]


def _linear(basis: Standardised, rows: FloatArray, y: FloatArray, signal: float) -> FloatArray:
    """Fit components to y (n, d) by ridge, coefficients (c, d)."""
    precision = basis.total / signal
    moments = rows.T @ y
    return moments / (len(rows) * basis.variances + precision)[:, None]


def _log_width(
    basis: Standardised, rows: FloatArray, squares: FloatArray, signal: float
) -> tuple[FloatArray, FloatArray]:
    """Fit the log width of residuals by Newton: coefficients (c, d) and constants (d,)."""
    precision = basis.total / signal
    constant = 0.5 * np.log(np.maximum(squares.mean(axis=0), 1e-6))
    slopes = np.zeros((rows.shape[1], squares.shape[1]))
    for _ in range(STEPS):
        s = np.clip(constant + rows @ slopes, -WIDEST, WIDEST)
        pull = np.minimum(squares * np.exp(-2 * s), FAR**2) - 1
        gradient = rows.T @ pull - precision * slopes
        slopes = slopes + gradient / (2 * len(rows) * basis.variances + precision)[:, None]
        constant = constant + 0.5 * pull.mean(axis=0)
    return slopes, constant


def _centres(
    scores: FloatArray, bases: Mapping[str, _Ridge], folds: IntArray
) -> dict[Kind, tuple[FloatArray, FloatArray]]:
    """Predict held-out centres by every kind: log densities (n, d) and centres (n, d)."""
    kinds = [NONE, CONSTANT, *((name, signal) for name in bases for signal in SIGNALS)]
    found = {kind: (np.empty(scores.shape), np.empty(scores.shape)) for kind in kinds}
    for fold in range(FOLDS):
        held, train = folds == fold, folds != fold
        mean = scores[train].mean(axis=0)
        for kind in kinds:
            name, signal = kind
            if not name:
                inside = outside = np.zeros(scores.shape[1]) if kind == NONE else mean
            else:
                basis, rows, others = bases[name].part(fold)
                slopes = _linear(basis, rows, scores[train] - mean, signal)
                inside, outside = mean + rows @ slopes, mean + others @ slopes
            width = np.sqrt(np.mean((scores[train] - inside) ** 2, axis=0))
            found[kind][1][held] = outside
            found[kind][0][held] = _log_normal(scores[held] - outside, np.log(width))
    return found


def _widths(
    scores: FloatArray, around: FloatArray, bases: Mapping[str, _Ridge], folds: IntArray
) -> dict[Kind, tuple[FloatArray, FloatArray]]:
    """Predict held-out widths by every kind: log densities (n, d) and log widths (n, d)."""
    squares = (scores - around) ** 2
    kinds = [NONE, CONSTANT, *((name, signal) for name in bases for signal in SIGNALS[:-1])]
    found = {kind: (np.empty(scores.shape), np.empty(scores.shape)) for kind in kinds}
    for fold in range(FOLDS):
        held, train = folds == fold, folds != fold
        constant = 0.5 * np.log(np.maximum(squares[train].mean(axis=0), 1e-6))
        for kind in kinds:
            name, signal = kind
            if not name:
                width = np.zeros(scores.shape[1]) if kind == NONE else constant
            else:
                basis, rows, others = bases[name].part(fold)
                slopes, level = _log_width(basis, rows, squares[train], signal)
                width = np.clip(level + others @ slopes, -WIDEST, WIDEST)
            found[kind][1][held] = width
            found[kind][0][held] = _log_normal((scores - around)[held], found[kind][1][held])
    return found


def _log_normal(gap: FloatArray, log_width: FloatArray) -> FloatArray:
    """Log density of N(0, width^2), up to a constant."""
    return -log_width - 0.5 * gap**2 * np.exp(-2 * log_width)


def _chosen(
    found: Mapping[Kind, tuple[FloatArray, FloatArray]], d: int
) -> list[tuple[Kind, FloatArray]]:
    """Choose for each score the simplest kind that is within a standard error of the best."""
    kinds = list(found)
    chosen = []
    for j in range(d):
        kind = simplest(kinds, [found[kind][0][:, j] for kind in kinds], lambda kind: kind[0])
        chosen.append((kind, found[kind][1]))
    return chosen


def simplest(
    kinds: Sequence[Any], log_densities: Sequence[FloatArray], group: Callable[[Any], Any]
) -> Any:
    """Choose the simplest kind whose held-out log density is within a standard error of the best.

    Parameters
    ----------
    kinds : sequence
        From simple to flexible.
    log_densities : sequence of array, shape (n,)
        Of the same rows.
    group : callable
        Kinds of one group are equally simple: of these the best is taken.
    """
    means = np.array([one.mean() for one in log_densities])
    best = int(means.argmax())
    for i, kind in enumerate(kinds):
        behind = log_densities[best] - log_densities[i]
        if means[best] - means[i] <= behind.std() / np.sqrt(len(behind)):
            equals = [k for k, other in enumerate(kinds) if group(other) == group(kind) and k >= i]
            return kinds[max(equals, key=lambda k: means[k])] if group(kind) else kind
    return kinds[best]


def _refitted(
    kind: Kind, scores: FloatArray, around: FloatArray | None, bases: Mapping[str, _Ridge]
) -> Part:
    """Fit the chosen kind to all rows: a centre, or around given ones a log width."""
    name, signal = kind
    if kind == NONE:
        return NOTHING
    squares = None if around is None else (scores - around) ** 2
    if not name:
        mean = scores.mean() if squares is None else 0.5 * np.log(max(squares.mean(), 1e-6))
        return Part("", float(mean), np.empty(0))
    basis, rows, _ = bases[name].part(None)
    if squares is None:
        level = scores.mean()
        of_components = _linear(basis, rows, (scores - level)[:, None], signal)
    else:
        of_components, constant = _log_width(basis, rows, squares[:, None], signal)
        level = constant[0]
    slopes, offset = basis.coefficients(of_components)
    return Part(name, float(level + offset[0]), slopes[:, 0])


def _shape(normal: FloatArray, folds: IntArray) -> Curve | None:
    """Learn what makes scores normal, where held-out ones say that they are not."""
    if len(normal) < FEWEST or len(np.unique(normal)) < FEWEST:
        return None
    bent = np.empty(len(normal))
    try:
        for fold in range(FOLDS):
            held = folds == fold
            found, log_slope = Curve.fit(normal[~held]).forward(normal[held])
            bent[held] = normal_log_density(found) + log_slope
        plain = normal_log_density(normal)
        chosen = simplest((None, "curve"), (plain, bent), lambda kind: None)
        return Curve.fit(normal) if chosen else None
    except ValueError:  # float64 cannot tell them apart
        return None


def _smooth_shapes(
    normal: FloatArray, folds: IntArray, shapes: Sequence[Curve | None], right: bool
) -> list[Curve | None]:
    """Learn smooth shapes of scores (n, d) where there is no other, for they have less noise.

    The smooth shape of the highest held-out log density is taken: its gain is expected, even if
    within its noise. To leave an exact posterior alone, something has to be wrong beyond chance
    first: the laws so far (not `right`), a shape, or the ranks of one score.
    """
    ranks = special.ndtr(normal)
    right = right and all(shape is None for shape in shapes)
    right = right and min(map(p_value, ranks.T)) * ranks.shape[1] > SIGNIFICANT
    if right or len(normal) < FEWEST:
        return list(shapes)
    return [
        _smooth_shape(column, folds) if shape is None else shape
        for column, shape in zip(ranks.T, shapes, strict=True)
    ]


def _smooth_shape(ranks: FloatArray, folds: IntArray) -> Curve | None:
    gains = {}
    for penalty in PENALTIES:
        each = [
            RankDensity.fit(ranks[folds != fold], penalty).log_density(ranks[folds == fold]).sum()
            for fold in range(FOLDS)
        ]
        gains[penalty] = sum(each)
    best = max(gains, key=gains.__getitem__)
    return RankDensity.fit(ranks, best).curve() if gains[best] > 0 else None
