"""Means and log variances of observables, regressed in turn on the parameters.

Where noise differs from row to row by powers of ten, a regression that counts all rows alike is one
on the noisiest of them. Here each row is weighed by the widths that a log-linear model gives it
(Carroll and Ruppert 1988, ch. 3). The log width of an observable is a linear function of features,
and splines that all observables share: where one parameter says how noisy all are, all tell how.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from sbi_inn.regressions.emulator import RIDGE

# Nats an observable by which rows left out have to be likelier by widths of their own.
WORTH = 0.01
# Nats by which a column has to be less likely with shared splines, for there to be none.
LOSES = 0.3
# Rounds in which means are regressed by widths, and widths by what means leave.
ROUNDS = 3
# Steps of the first regression of widths, and of each later one.
STEPS, LATER = 8, 3
# Strength of the penalty on squared slopes of log variances: that of so many rows.
HELD = 10.0
# The same for what all columns share: splines tell little of each other's weights.
SHARED_HELD = 0.01
# Squares of what is left, in units of its variance, count up to so much in a step.
MOST = 20.0
# The same of mean squares of a row: up to so much, or so many standard deviations above one.
MOST_OF_ROW, DEVIATIONS = 3.0, 6.0
# The same where ways are compared: one row shall not decide.
WORST = 100.0
# How many squares the widths that are foreseen count for, beside those of the row itself.
FORESEEN = 10.0
# Largest log weight of a row over the median row's.
SHARPEST = 18.0
# Smallest square, in the mean one of its column, before its logarithm is taken.
SMALLEST = 1e-9
# Mean of the logarithm of a squared standard normal number.
LOG_OF_SQUARE = -1.27


class Read(NamedTuple):
    """What regressions read: features (rows, n), and splines that all columns share (rows, m)."""

    features: Tensor
    bent: Tensor

    def at(self, rows: Tensor) -> Read:
        """Give those of some rows."""
        return Read(self.features[rows], self.bent[rows])


class Uneven(NamedTuple):
    """Slopes and offsets of means, and of the logarithms of widths; (features, k) and (k,).

    Also those of the logarithms of widths by splines, which all columns share, (m,).
    """

    slope: Tensor
    offset: Tensor
    log_slope: Tensor
    log_offset: Tensor
    bends: Tensor

    def losses(self, read: Read, y: Tensor) -> Tensor:
        """Give the mean negative log density of columns (rows, k), but for a constant; (rows,)."""
        width = self.log_offset + read.features @ self.log_slope
        log_variance = 2 * (width + (read.bent @ self.bends)[:, None])
        left = y - self.offset - read.features @ self.slope
        ratio = (left.square() * torch.exp(-log_variance)).clamp(max=WORST)
        return 0.5 * (log_variance + ratio).mean(dim=1)


def best(
    read: Read, few: int, y: Tensor, parts: Sequence[tuple[Tensor, Tensor]]
) -> list[Uneven] | None:
    """Regress y (rows, k) on features (rows, n), or on the first `few`, whichever fits better.

    What fits is said by rows left out.

    Parameters
    ----------
    parts : sequence of (Tensor, Tensor)
        The places of the rows of each part, and of all others.

    Returns
    -------
    list of Uneven, or None
        Of all rows, then of those outside of each part. None if even widths fit as well.
    """
    total = read.features.shape[1]
    ways = [(total, 0), (few, ROUNDS), (total, ROUNDS)]
    found = []
    for n, rounds in ways:
        folds = [in_turn(read.at(others), y[others], n, rounds) for _, others in parts]
        each = zip(folds, parts, strict=True)
        losses = [fold.losses(read.at(part), y[part]) for fold, (part, _) in each]
        found.append((float(torch.cat(losses).mean()), folds))
    place = min((1, 2), key=lambda i: found[i][0])
    if found[place][0] > found[0][0] - WORTH:
        return None
    return [in_turn(read, y, *ways[place]), *found[place][1]]


def in_turn(read: Read, y: Tensor, n: int, rounds: int) -> Uneven:
    """Regress y on the first n features, in so many rounds; in none, with even widths."""
    features, total = _with_offset(read.features[:, :n]), read.features.shape[1]
    mean = _weighed(features, y, torch.ones_like(features[:, :1]))
    widths = _Widths(features, read.bent, y.shape[1])
    if rounds:
        for _ in range(rounds):
            widths.regress(y - features @ mean)
            mean = _weighed(features, y, widths.weights[:, None])
        widths.regress(y - features @ mean)
    else:
        widths.log_variance[0] = (y - features @ mean).square().mean(dim=0).log()
    offset, slope = mean.split([1, n])
    log_offset, log_slope = (0.5 * widths.log_variance).split([1, n])
    slope, log_slope = (F.pad(one, (0, 0, 0, total - n)) for one in (slope, log_slope))
    shared, bends = (0.5 * widths.bends).split([1, len(widths.bends) - 1])
    return Uneven(slope, offset[0], log_slope, log_offset[0] + shared, bends)


class _Widths:
    """Log variances: linear in the features, each column by itself, and splines that all share."""

    def __init__(self, features: Tensor, bent: Tensor, columns: int) -> None:
        self.features, self.bent, self.columns = features, _with_offset(bent), columns
        self.log_variance = features.new_zeros(features.shape[1], columns)
        self.bends = features.new_zeros(self.bent.shape[1])
        self.share = True
        self.weights = features.new_ones(len(features))
        held = 0.5 * columns * self.bent.T @ self.bent
        held.diagonal()[1:] += SHARED_HELD
        self.root = torch.linalg.cholesky(held)
        self.most = max(MOST_OF_ROW, 1 + DEVIATIONS * (2 / columns) ** 0.5)

    def regress(self, left: Tensor) -> None:
        """Regress them by what is left of columns (rows, k), those of the last time being known."""
        shared = self.bent @ self.bends
        start = self.log_variance if self.bends.any() else None
        steps = STEPS if start is None else LATER
        evened = left * torch.exp(-0.5 * shared)[:, None]
        self.log_variance = _log_variances(self.features, evened, start, steps)
        if not self.share:
            return self._weigh(left, shared)
        width = self.features @ self.log_variance
        square = (left.square() * torch.exp(-width)).mean(dim=1)
        for _ in range(STEPS):
            ratio = (square * torch.exp(-shared)).clamp(max=self.most)
            step = 0.5 * self.columns * self.bent.T @ (ratio - 1)
            step[1:] -= SHARED_HELD * self.bends[1:]
            self.bends = self.bends + torch.cholesky_solve(step[:, None], self.root)[:, 0]
            shared = self.bent @ self.bends
        self.share = not self._loses(left, shared)
        if not self.share:
            self.bends = torch.zeros_like(self.bends)
            return self.regress(left)
        return self._weigh(left, shared)

    def _loses(self, left: Tensor, shared: Tensor) -> bool:
        """Whether any column is better without the splines, what it leaves being as it is.

        So it is of the log of the noise, which is read beside projections: its mean bends, and a
        regression that weighs quiet rows of the others most leaves much of it.
        """
        squares, both = left.square(), shared[:, None] + self.features @ self.log_variance
        alone = self.features @ _log_variances(self.features, left, None, STEPS)
        each = [(w + (squares * torch.exp(-w)).clamp(max=WORST)).mean(dim=0) for w in (both, alone)]
        return bool((0.5 * (each[0] - each[1])).max() > LOSES)

    def _weigh(self, left: Tensor, shared: Tensor) -> None:
        """Weigh rows by their widths, and by what they leave."""
        width = self.features @ self.log_variance
        square = (left.square() * torch.exp(-width)).mean(dim=1)
        width = width.mean(dim=1) + shared
        usual = torch.exp((width.median() - width).clamp(max=SHARPEST))
        self.weights = usual * self._quieter(square * torch.exp(-shared))

    def _quieter(self, ratio: Tensor) -> Tensor:
        """Say how much less noisy each row is than foreseen, (rows,), by its mean square in that.

        As in a t law of each row. Its squares count for as many as they scatter like.
        """
        own = (2 / ratio.clamp(max=self.most).var()).clamp(max=self.columns)
        return (own + FORESEEN) / (own * ratio + FORESEEN)


def _with_offset(read: Tensor) -> Tensor:
    return torch.cat([torch.ones_like(read[:, :1]), read], dim=1)


def _weighed(read: Tensor, y: Tensor, weights: Tensor) -> Tensor:
    """Regress columns, rows being weighed alike for all of them; the offset comes first."""
    square = read.T @ (weights * read)
    # In the unit of rows that all count alike: a few that outweigh all others tell of a few slopes.
    square.diagonal()[1:] += RIDGE * read.square().sum(dim=0).mean()
    return torch.linalg.solve(square, read.T @ (weights * y))


def _log_variances(read: Tensor, left: Tensor, start: Tensor | None, steps: int) -> Tensor:
    """Regress log variances by their likelihood: Fisher scoring, which all columns share."""
    held = 0.5 * read.T @ read
    held.diagonal()[1:] += HELD
    root = torch.linalg.cholesky(held)
    squares = left.square()
    squares = squares.clamp(min=torch.finfo(squares.dtype).tiny)
    if start is None:
        logs = (squares + SMALLEST * squares.mean(dim=0)).log() - LOG_OF_SQUARE
        start = torch.cholesky_solve(0.5 * read.T @ logs, root)
    found = start
    for _ in range(steps):
        ratio = (squares * torch.exp(-(read @ found))).clamp(max=MOST)
        step = 0.5 * read.T @ (ratio - 1)
        step[1:] -= HELD * found[1:]
        found = found + torch.cholesky_solve(step, root)
    return found
