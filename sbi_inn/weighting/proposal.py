"""What is drawn from and then weighted: a mixture of parts, each with a density."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import logsumexp
from scipy.stats import norm

from sbi_inn.typing import FloatArray


class Part(Protocol):
    """Something on the latent side of the prior that can be drawn from, and evaluated."""

    def draw(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw points, shape (n, d)."""
        ...

    def log_prob(self, points: FloatArray) -> FloatArray:
        """Log density of points (n, d), shape (n,), normalised."""
        ...


@dataclass(frozen=True)
class PriorPart:
    """The prior, on its latent side N(0, I) in d dimensions.

    As a small part of a proposal it bounds every weight: none exceeds the largest likelihood
    divided by its share (Hesterberg 1995, Technometrics 37, 185: defensive mixtures).
    """

    dim: int

    def draw(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw points, shape (n, d)."""
        return rng.standard_normal((n, self.dim))

    def log_prob(self, points: FloatArray) -> FloatArray:
        """Log density of points (n, d), shape (n,)."""
        return norm.logpdf(points).sum(axis=1)


@dataclass(frozen=True)
class Proposal:
    """A mixture of parts.

    Attributes
    ----------
    parts : sequence of Part
    shares : array, shape (parts,)
    """

    parts: Sequence[Part]
    shares: FloatArray

    def draw(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw points, shape (n, d), in random order; each part gives its share of them.

        The shares are rounded to whole draws by chance, so that they are right on average.
        """
        marks = (np.arange(n) + rng.random()) / n
        edges = np.cumsum(self.shares)
        counts = np.diff(np.searchsorted(marks, [0.0, *(edges / edges[-1])[:-1], 2.0]))
        drawn = [part.draw(int(k), rng) for part, k in zip(self.parts, counts, strict=True) if k]
        return rng.permutation(np.concatenate(drawn))

    def log_prob(self, points: FloatArray) -> FloatArray:
        """Log density of points (n, d), shape (n,)."""
        return logsumexp(self.log_each(points), axis=1, b=self.shares)

    def log_each(self, points: FloatArray) -> FloatArray:
        """Log density of each part at points (n, d), shape (n, parts)."""
        return np.stack([part.log_prob(points) for part in self.parts], axis=1)
