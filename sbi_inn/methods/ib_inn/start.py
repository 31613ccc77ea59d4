"""A quadratic logistic regression, from which a classifier starts.

If both models are normal distributions, the log Bayes factor is quadratic in the observation; for
many others it nearly is. The weights are found in seconds to the last digit, whereas an optimiser's
steps leave noise; and their uncertainty follows from the curvature of the likelihood.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sbi_inn.summary_networks import Batch
from sbi_inn.training.device import to_numpy
from sbi_inn.typing import AnyArray

# Columns whose products in pairs are read too; of more, those of the first so many.
PAIRED = 20
# Training rows for each weight: with fewer, rows are learned by heart.
ROWS_A_WEIGHT = 10
# Ridges that are tried, on standardised features: of the mean log-likelihood.
RIDGES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
# Rounds in which each weight gets a ridge of its own, and the rows that these look at.
ROUNDS, ROUNDS_ROWS = 12, 60_000
# The strongest ridge of a weight, with which it is gone.
STRONGEST = 1e8
LEAST = 1e-3  # and the weakest, which keeps curvatures positive
# Rows that it is fitted to at most.
ENOUGH = 200_000
# Sets of weights that are drawn from their uncertainty.
DRAWS = 16
STEPS = 200
# Entries of a set, in units of which its size is read.
SIZE = 100.0


@dataclass(frozen=True)
class Start:
    """Weights of a logistic regression on columns, their squares and their products.

    Attributes
    ----------
    scale : Tensor, shape (2, features)
        Mean and standard deviation of each feature.
    pairs : Tensor of int, shape (2, products)
    weights : Tensor, shape (1 + features, classes)
    draws : Tensor, shape (draws, 1 + features, classes)
        Other weights that the training rows allow.
    """

    scale: Tensor
    pairs: Tensor
    weights: Tensor
    draws: Tensor

    @classmethod
    def fit(
        cls,
        table: Tensor,
        labels: Tensor,
        held_out: tuple[Tensor, Tensor],
        classes: int,
        seed: int,
    ) -> Start | None:
        """Fit to rows of columns (rows, k); the ridge is the one that held-out rows like best.

        None where there are too few rows for as many weights.
        """
        table, labels = table[:ENOUGH], labels[:ENOUGH]
        pairs = _pairs(table.shape[1], len(table) / ROWS_A_WEIGHT / (classes - 1))
        if pairs is None:
            return None
        raw = _features(table, pairs)
        spread = raw.std(dim=0)
        scale = torch.stack([raw.mean(dim=0), torch.where(spread > 1e-6, spread, torch.inf)])
        start = cls(scale, pairs, torch.empty(0), torch.empty(0))
        seen, new = start._read(table), start._read(held_out[0])
        weights, best, ridge = torch.zeros(seen.shape[1], classes).double(), np.inf, RIDGES[0]
        found = weights
        for strength in RIDGES:
            found = _regress(seen, labels, found, strength)
            loss = F.cross_entropy(new @ found, held_out[1]).item()
            if loss >= best:
                break
            weights, best, ridge = found, loss, strength
        strengths = torch.full_like(weights, 2 * len(seen) * ridge)
        relevant, own = _relevant(seen[:ROUNDS_ROWS], labels[:ROUNDS_ROWS], weights, strengths)
        if F.cross_entropy(new @ relevant, held_out[1]).item() < best:
            weights, strengths = relevant, own
        return cls(scale, pairs, weights, _draws(seen, weights, strengths, seed))

    def __call__(self, table: Tensor) -> Tensor:
        """Give logits of columns (rows, k), shape (rows, classes)."""
        return (self._read(table) @ self.weights).float()

    def drawn(self, table: Tensor) -> Tensor:
        """Give logits by other weights, shape (draws, rows, classes)."""
        return (self._read(table) @ self.draws).float()

    def _read(self, table: Tensor) -> Tensor:
        scaled = (_features(table, self.pairs) - self.scale[0]) / self.scale[1]
        return F.pad(scaled, (1, 0), value=1.0)

    def to_arrays(self) -> dict[str, AnyArray]:
        """Give everything as named arrays."""
        return {name: to_numpy(value) for name, value in vars(self).items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, AnyArray]) -> Start:
        """Read back what `to_arrays` gave."""
        return cls(**{name: torch.from_numpy(value) for name, value in arrays.items()})


def columns_of(batch: Batch) -> Tensor | None:
    """Give what a start reads: sizes of sets, then scaled observables and moments; None without.

    What the entries of a set say adds up: log odds are a size times a mean, a product of two
    columns.
    """
    if batch.exact is None:
        return None
    sizes = [s.sizes.to(batch.exact.dtype)[:, None] / SIZE for s in batch.sets.values()]
    return torch.cat([*sizes, batch.exact], dim=1)


def start_of(start: Start | None, batch: Batch, classes: int) -> Tensor:
    """Give the logits of the start, zero where there is none, shape (rows, classes)."""
    columns = columns_of(batch)
    if start is None or columns is None:
        return torch.zeros(len(batch), classes)
    return start(columns)


def _pairs(columns: int, most: float) -> Tensor | None:
    """Choose the products: of all columns, or squares alone, or none; None where that is much."""
    paired = min(columns, PAIRED)
    products = list(itertools.combinations_with_replacement(range(paired), 2))
    squares = [(i, i) for i in range(columns)]
    every = sorted({*products, *squares})
    for chosen in (every, squares, []):
        if 0 < columns + len(chosen) < most:
            return torch.tensor(chosen, dtype=torch.int64).reshape(-1, 2).t()
    return None


def _features(table: Tensor, pairs: Tensor) -> Tensor:
    table = table.double()
    return torch.cat([table, table[:, pairs[0]] * table[:, pairs[1]]], dim=1)


def _regress(x: Tensor, labels: Tensor, weights: Tensor, ridge: float) -> Tensor:
    """Minimise the cross-entropy with a ridge, by a quasi-Newton method."""
    weights = weights.clone().requires_grad_()
    optimiser = torch.optim.LBFGS(
        [weights],
        max_iter=STEPS,
        history_size=20,
        line_search_fn="strong_wolfe",
        tolerance_grad=1e-6,
        tolerance_change=1e-9,
    )

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = F.cross_entropy(x @ weights, labels) + ridge * weights[1:].square().sum()
        value.backward()
        return value

    optimiser.step(loss)  # pyright: ignore[reportArgumentType]
    return weights.detach()


def _relevant(
    x: Tensor, labels: Tensor, weights: Tensor, strengths: Tensor
) -> tuple[Tensor, Tensor]:
    """Give each weight a ridge of its own, as strong as makes the rows most probable.

    Most products say nothing: their ridges grow until they are gone, and with them the noise that
    each of hundreds of weights would bring (MacKay 1992; Tipping 2001).

    Returns
    -------
    weights, strengths : Tensor, shape (1 + features, classes)
    """
    centred = weights - weights.mean(dim=1, keepdim=True)
    weights, strengths = centred, strengths.clone()
    strengths[0] = LEAST
    one_hot = F.one_hot(labels, weights.shape[1]).double()
    for _ in range(ROUNDS):
        slope = x.t() @ (one_hot - torch.softmax(x @ weights, dim=1)) - strengths * weights
        curvature = _curvature(x, weights, strengths)
        step = torch.cholesky_solve(slope.reshape(-1, 1), torch.linalg.cholesky(curvature))
        weights = weights + step.reshape(weights.shape).clamp(-1, 1)
        variance = torch.linalg.inv(curvature).diagonal().reshape(weights.shape)
        known = (1 - strengths * variance).clamp(1e-6, 1)
        found = (known / weights.square().clamp(min=1e-12)).clamp(LEAST, STRONGEST)
        strengths[1:] = (strengths * found).sqrt()[1:]
    return weights, strengths


def _curvature(x: Tensor, weights: Tensor, strengths: Tensor) -> Tensor:
    """Give the curvature of minus the log-likelihood with its ridges, a square matrix."""
    width, classes = weights.shape
    p = torch.softmax(x @ weights, dim=1)
    found = torch.zeros(width, classes, width, classes, dtype=torch.float64)
    for i, j in itertools.combinations_with_replacement(range(classes), 2):
        spread = p[:, i] * ((1.0 if i == j else 0.0) - p[:, j])
        found[:, i, :, j] = found[:, j, :, i] = (x * spread[:, None]).t() @ x
    # A ridge keeps what all classes share, which the likelihood does not see, where it is.
    return found.reshape(width * classes, -1) + torch.diag(strengths.reshape(-1).clamp(min=LEAST))


def _draws(x: Tensor, weights: Tensor, strengths: Tensor, seed: int) -> Tensor:
    """Draw weights from the normal law that the curvature of the log-likelihood gives."""
    flat = _curvature(x, weights, strengths)
    noise = torch.randn(
        len(flat), DRAWS, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    factor = torch.linalg.cholesky(flat)
    steps = torch.linalg.solve_triangular(factor.t(), noise, upper=True)
    return weights + steps.t().reshape(DRAWS, *weights.shape)
