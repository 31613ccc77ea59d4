"""Means and log widths, regressed in turn (iteratively reweighted least squares).

The log of the squared residuals is regressed on what is known of a row, then x is again, each row
weighed by 1 / s^2 (Carroll and Ruppert 1988, ch. 2).
"""

from __future__ import annotations

import torch
from torch import Tensor

from sbi_inn.regressions.ridge import SMALLEST_VARIANCE, Design, Regressors, Ridge, Way

# Largest log weight of a row over the median row's: how much one sharp row may count.
MOST = 9.0
# Standard deviation up to which the log weights of two columns count as the same. Who weighs rows
# by weights that are off by so much has slopes whose variances are larger by a quarter at most.
ALIKE = 0.5


def in_turn(x: Tensor, on: Regressors, rounds: int) -> tuple[Ridge, Ridge]:
    """Regress x (rows, dim), and the log sizes of what is left, in so many rounds."""
    mean = on.linear(x)
    ways: list[Way | None] = [None] * x.shape[1]
    for _ in range(rounds):
        width = log_widths(mean.residual, on.all)(on.all.c)
        log_weights = (2 * (width.median(dim=0).values - width)).clamp(max=MOST)
        found: dict[int, Ridge] = {}
        for group in _alike(log_weights):
            weighed = on.weighed(log_weights[:, group].mean(dim=1).exp())
            found |= {i: weighed.linear(x[:, i : i + 1], ways[i]) for i in group}
        columns = [found[i] for i in range(len(ways))]
        ways = [one.way for one in columns]
        mean = Ridge(
            torch.cat([one.slope for one in columns], dim=1),
            torch.cat([one.offset for one in columns]),
            torch.cat([one.residual for one in columns], dim=1),
        )
    return mean, log_widths(mean.residual, on.all)


def log_widths(residual: Tensor, read: Design) -> Ridge:
    """Regress log sizes of residuals; these are so noisy that the plainest will do."""
    return read.ridge(_log_size(residual), plainest=True)


def left_out_widths(mean: Ridge, width: Ridge) -> Tensor:
    """Give the log widths of rows left out."""
    return _log_size(mean.residual) - width.residual


def _alike(log_weights: Tensor) -> list[list[int]]:
    """Group columns that weigh rows much alike: each group is decomposed once."""
    groups: list[list[int]] = []
    for i, column in enumerate(log_weights.T):
        near = (g for g in groups if (column - log_weights[:, g[0]]).std() <= ALIKE)
        group = next(near, None)
        if group is None:
            groups.append([i])
        else:
            group.append(i)
    return groups


def _log_size(residual: Tensor) -> Tensor:
    return 0.5 * (residual.square() + SMALLEST_VARIANCE).log()
