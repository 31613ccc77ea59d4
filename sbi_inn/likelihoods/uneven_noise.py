"""Means and log variances of observables, regressed in turn on the parameters.

Where noise differs from row to row by powers of ten, a regression that counts all rows alike is one
on the noisiest of them. Here each row is weighed by the widths that a log-linear model gives it
(Carroll and Ruppert 1988, ch. 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from sbi_inn.regressions.emulator import RIDGE

# Nats an observable by which rows left out have to be likelier by widths of their own.
WORTH = 0.01
# Rounds in which means are regressed by widths, and widths by what means leave.
ROUNDS = 3
# Steps of each regression of widths.
STEPS = 8
# Strength of the penalty on squared slopes of log variances: that of so many rows.
HELD = 10.0
# Squares of what is left, in units of its variance, count up to so much in a step.
MOST = 20.0
# The same where ways are compared: one row shall not decide.
WORST = 100.0
# Largest log weight of a row over the median row's.
SHARPEST = 9.0
# Smallest square, in the mean one of its column, before its logarithm is taken.
SMALLEST = 1e-9
# Mean of the logarithm of a squared standard normal number.
LOG_OF_SQUARE = -1.27


class Uneven(NamedTuple):
    """Slopes and offsets of means, and of the logarithms of widths; (features, k) and (k,)."""

    slope: Tensor
    offset: Tensor
    log_slope: Tensor
    log_offset: Tensor

    def losses(self, read: Tensor, y: Tensor) -> Tensor:
        """Give the mean negative log density of columns (rows, k), but for a constant; (rows,)."""
        log_variance = 2 * (self.log_offset + read @ self.log_slope)
        left = y - self.offset - read @ self.slope
        ratio = (left.square() * torch.exp(-log_variance)).clamp(max=WORST)
        return 0.5 * (log_variance + ratio).mean(dim=1)


def best(
    read: Tensor, few: int, y: Tensor, parts: Sequence[tuple[Tensor, Tensor]]
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
    ways = [(read.shape[1], 0), (few, ROUNDS), (read.shape[1], ROUNDS)]
    found = []
    for n, rounds in ways:
        folds = [in_turn(read[others], y[others], n, rounds) for _, others in parts]
        losses = [f.losses(read[part], y[part]) for f, (part, _) in zip(folds, parts, strict=True)]
        found.append((float(torch.cat(losses).mean()), folds))
    place = min((1, 2), key=lambda i: found[i][0])
    if found[place][0] > found[0][0] - WORTH:
        return None
    return [in_turn(read, y, *ways[place]), *found[place][1]]


def in_turn(read: Tensor, y: Tensor, n: int, rounds: int) -> Uneven:
    """Regress y on the first n features, in so many rounds; in none, with even widths."""
    total, read = read.shape[1], _with_offset(read[:, :n])
    mean = _weighed(read, y, torch.ones_like(read[:, :1]))
    log_variance = torch.zeros_like(mean)
    if not rounds:
        log_variance[0] = (y - read @ mean).square().mean(dim=0).log()
    for done in range(rounds):
        left = y - read @ mean
        log_variance = _log_variances(read, left, log_variance if done else None)
        width = read @ log_variance
        width = (width - width.median(dim=0).values).mean(dim=1, keepdim=True)
        mean = _weighed(read, y, torch.exp((-width).clamp(max=SHARPEST)))
    found = []
    for one in (mean, 0.5 * log_variance):
        slope = one.new_zeros(total, y.shape[1])
        slope[:n] = one[1:]
        found += [slope, one[0]]
    return Uneven(*found)


def _with_offset(read: Tensor) -> Tensor:
    return torch.cat([torch.ones_like(read[:, :1]), read], dim=1)


def _weighed(read: Tensor, y: Tensor, weights: Tensor) -> Tensor:
    """Regress columns, rows being weighed alike for all of them; the offset comes first."""
    square = read.T @ (weights * read)
    square.diagonal()[1:] += RIDGE * square.diagonal().mean()
    return torch.linalg.solve(square, read.T @ (weights * y))


def _log_variances(read: Tensor, left: Tensor, start: Tensor | None) -> Tensor:
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
    for _ in range(STEPS):
        ratio = (squares * torch.exp(-(read @ found))).clamp(max=MOST)
        step = 0.5 * read.T @ (ratio - 1)
        step[1:] -= HELD * found[1:]
        found = found + torch.cholesky_solve(step, root)
    return found
