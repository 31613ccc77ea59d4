"""Sets with a guaranteed coverage: conformal prediction, made local.

Split conformal prediction (Vovk, Gammerman and Shafer 2005; Lei et al. 2018) within the cells of a
partition that is learned from other rows (Mondrian; Izbicki, Shimizu and Stern 2022, arXiv
2007.12778; Cabezas et al. 2025, arXiv 2508.17077). If the rows and a new one are exchangeable, the
set holds the new truth with at least its level, in every cell and therefore on average, whatever
the posterior, the laws and the partition are. Two things make sets local: scores are normalised by
a law that depends on the observation, and what that leaves is cut into cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from sbi_inn.diagnostics.predicting_columns import PredictingColumns
from sbi_inn.diagnostics.score_law import ScoreLaw, association, learn_laws
from sbi_inn.typing import FloatArray, IntArray

FEWEST = 200  # rows, from which on half of them serves to learn how scores depend on observations
LEAF = 200  # rows of either half that a cell holds at least
DEPTH = 3  # of the tree
SIGNIFICANT = 1e-3  # p-value of a split, corrected for all that were tried
CUTS = np.linspace(0.1, 0.9, 9)  # quantiles at which a column may be split


def conformal_quantile(scores: FloatArray, level: float) -> float:
    """Return the score that a new one, exchangeable with these, stays below with this probability.

    The k-th smallest of n, k = ceil((n + 1) level): for any distribution the probability is at
    least `level`, and below level + 1 / (n + 1) where there are no ties. Infinite where k > n.

    Examples
    --------
    >>> conformal_quantile(np.arange(1.0, 20.0), 0.9), conformal_quantile(np.arange(5.0), 0.9)
    (18.0, inf)
    """
    n = len(scores)
    k = int(np.ceil((n + 1) * level - 1e-9))
    return float(np.partition(scores, k - 1)[k - 1]) if k <= n else np.inf


@dataclass(frozen=True, eq=False)
class Cells:
    """A partition by a regression tree.

    Attributes
    ----------
    column : array of int, shape (nodes,)
        That a node is split by; -1 for a cell.
    at : array, shape (nodes,)
        Values up to this go left.
    left : array of int, shape (nodes,)
        The node that they go to; the others go to the next.
    """

    column: IntArray
    at: FloatArray
    left: IntArray

    @classmethod
    def grow(cls, columns: FloatArray, targets: FloatArray, leaf: int = LEAF) -> Cells:
        """Split rows (n, p) where targets (n,) differ by more than chance, at most three deep.

        Examples
        --------
        >>> rng = np.random.default_rng(1)
        >>> y = rng.normal(size=(2_000, 3))
        >>> cells = Cells.grow(y, (y[:, 1] > 0) + rng.normal(size=2_000))
        >>> int(cells.column[0]), cells.of(np.array([[0.0, -2.0, 0.0], [0.0, 2.0, 0.0]])).tolist()
        (1, [1, 2])
        """
        nodes: list[tuple[int, float, int]] = [(-1, 0.0, -1)]
        waiting = [(0, np.arange(len(columns)), 0)]
        while waiting:
            node, rows, depth = waiting.pop()
            found = _split(columns[rows], targets[rows], leaf) if depth < DEPTH else None
            if found is None:
                continue
            column, at = found
            nodes[node] = (column, at, len(nodes))
            below = columns[rows, column] <= at
            waiting += [(len(nodes), rows[below], depth + 1)]
            waiting += [(len(nodes) + 1, rows[~below], depth + 1)]
            nodes += [(-1, 0.0, -1)] * 2
        column, at, left = zip(*nodes, strict=True)
        return cls(np.array(column), np.array(at), np.array(left))

    def of(self, columns: FloatArray) -> IntArray:
        """Give the cell of each row (m, p)."""
        node = np.zeros(len(columns), np.int64)
        for _ in range(DEPTH):
            inner = self.column[node] >= 0
            value = columns[np.arange(len(columns)), np.maximum(self.column[node], 0)]
            further = self.left[node] + (value > self.at[node])
            node = np.where(inner, further, node)
        return node


def _split(columns: FloatArray, targets: FloatArray, leaf: int) -> tuple[int, float] | None:
    """Find the column and value where the means of both sides differ most, if they do."""
    n, p = columns.shape
    if n < 2 * leaf:
        return None
    total, variance = targets.sum(), max(float(targets.var()), 1e-300)
    best, found = 0.0, None
    for at in np.quantile(columns, CUTS, axis=0):
        below = columns <= at
        count = below.sum(axis=0)
        fits = (count >= leaf) & (count <= n - leaf)
        share = np.where(fits, count * (n - count) / n, 1.0)
        gap = targets @ below - total * count / n
        score = np.where(fits, gap**2 / share / variance, 0.0)
        if score.max() > best:
            column = int(score.argmax())
            best, found = float(score[column]), (column, float(at[column]))
    p_value = stats.chi2.sf(best, 1) * p * len(CUTS)
    return found if p_value < SIGNIFICANT else None


@dataclass(frozen=True, eq=False)
class LocallyConformal:
    """Sets of scores that hold the truth with a guaranteed probability.

    Attributes
    ----------
    columns : PredictingColumns
    laws : tuple of ScoreLaw, length d
    cells : tuple of Cells, length d
    reach : tuple of array, each of shape (m,)
        How far out the truths of the other half lie, by their own law.
    where : tuple of array of int, each of shape (m,)
        In which cells these are.
    one_sided : bool
        Whether only low scores are out; else both ends.
    """

    columns: PredictingColumns
    laws: tuple[ScoreLaw, ...]
    cells: tuple[Cells, ...]
    reach: tuple[FloatArray, ...]
    where: tuple[IntArray, ...]
    one_sided: bool

    @classmethod
    def of(
        cls,
        scores: FloatArray,
        columns: FloatArray,
        rng: np.random.Generator,
        *,
        one_sided: bool = False,
    ) -> LocallyConformal:
        """Learn from one half of the rows, and calibrate by the other.

        Parameters
        ----------
        scores : array, shape (n, d)
            Normal scores of ranks of truths: N(0, 1) if the posterior is right.
        columns : array, shape (n, p)
            What is known of each observation.
        rng : numpy.random.Generator
            Halves the rows.
        one_sided : bool
            Whether only low scores are out, as for densities.
        """
        n, d = scores.shape
        order = rng.permutation(n)
        half = n // 2 if n >= FEWEST else 0
        learn, rest = order[:half], order[half:]
        first = association(columns[learn], scores[learn]) if half else None
        known = PredictingColumns.of(columns[learn] if half else columns, rng, first=first)
        laws = (ScoreLaw(),) * d
        if half:
            laws = learn_laws(scores[learn], known.families(columns[learn]), rng)
        made = cls(known, laws, (), (), (), one_sided)
        out, beyond = (made._out(scores[rows], columns[rows]) for rows in (learn, rest))
        plain, others = (known.scores(columns[rows]) for rows in (learn, rest))
        cells = tuple(Cells.grow(plain, np.clip(o, -3, 3)) for o in out.T)
        where = tuple(cell.of(others) for cell in cells)
        return cls(known, laws, cells, tuple(beyond.T), where, one_sided)

    def ends(self, columns: FloatArray, level: float) -> tuple[FloatArray, FloatArray]:
        """Give lowest and highest score of sets at observations.

        Parameters
        ----------
        columns : array, shape (m, p)
        level : float

        Returns
        -------
        low, high : array, shape (m, d)
            Infinite where there are too few rows for that level; `high` is, if sets are one-sided.
        """
        features, scores = self.columns.families(columns), self.columns.scores(columns)
        m, d = len(columns), len(self.laws)
        low, high = np.full((m, d), -np.inf), np.full((m, d), np.inf)
        for j, law in enumerate(self.laws):
            here = self.cells[j].of(scores)
            for cell in np.unique(here):
                rows = here == cell
                reach = conformal_quantile(self.reach[j][self.where[j] == cell], level)
                if np.isfinite(reach):
                    centre, width = (part[rows] for part in law.at(features, m))
                    edge = reach if self.one_sided else special.ndtri((1 + special.ndtr(reach)) / 2)
                    low[rows, j] = law.scores_of(np.full(rows.sum(), -edge), centre, width)
                    if not self.one_sided:
                        high[rows, j] = law.scores_of(np.full(rows.sum(), edge), centre, width)
        return low, high

    def fewest(self) -> int:
        """Give the number of rows that the smallest cell is calibrated by."""
        return min(int(np.bincount(where)[np.unique(where)].min()) for where in self.where)

    def _out(self, scores: FloatArray, columns: FloatArray) -> FloatArray:
        """Say how far out scores (n, d) lie by their laws: N(0, 1) if these are right."""
        features, n = self.columns.families(columns), len(scores)
        found = np.empty(scores.shape)
        for j, law in enumerate(self.laws):
            normal, _ = law.normalise(scores[:, j], *law.at(features, n))
            if self.one_sided:
                found[:, j] = -normal
            else:  # by the tail: far out in double precision
                tail = special.log_ndtr(-np.abs(normal)) + np.log(2)
                found[:, j] = -special.ndtri_exp(np.minimum(tail, -1e-300))
        return found
