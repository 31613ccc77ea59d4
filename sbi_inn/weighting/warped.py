"""Proposals in the latent space of a network, where a roughly known posterior is simple."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sbi_inn.typing import BoolArray, FloatArray
from sbi_inn.weighting.proposal import Part
from sbi_inn.weighting.student import fitted

FAR = 37.5  # where a draw goes that has left the numbers: there the prior has no weight


class Flow(Protocol):
    """A network at one observation: between its own latents and those of the prior."""

    def decode(self, latents: FloatArray) -> FloatArray:
        """Find the points (n, d) that latents (n, d) stand for."""
        ...

    def encode(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Find the latents (n, d) of points (n, d), and the log-determinants (n,)."""
        ...


@dataclass(frozen=True)
class Warped:
    """A proposal that is drawn from among the latents of a flow.

    The flow has learned thin and curved shapes; what it got wrong of them, such as their width, is
    left for the proposal.

    Attributes
    ----------
    flow : Flow
    base : Part
        Among the latents.
    """

    flow: Flow
    base: Part

    def draw(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw points, shape (n, d)."""
        points = self.flow.decode(self.base.draw(n, rng))
        return np.nan_to_num(points, nan=FAR, posinf=FAR, neginf=-FAR)

    def log_prob(self, points: FloatArray) -> FloatArray:
        """Log density of points (n, d), shape (n,)."""
        latents, log_det = self.flow.encode(points)
        known = _known(latents)
        found = self.base.log_prob(np.where(known[:, None], latents, 0.0)) + log_det
        return np.where(known, found, -np.inf)


def fitted_through(
    flow: Flow, points: FloatArray, log_weights: FloatArray, rng: np.random.Generator
) -> Warped:
    """Fit a mixture of Student's t to weighted points (n, d), among the latents of a flow."""
    latents, _ = flow.encode(points)
    known = _known(latents)
    return Warped(flow, fitted(latents[known], log_weights[known], rng))


def _known(latents: FloatArray) -> BoolArray:
    """Say which rows are numbers: too far out a flow overflows."""
    return np.asarray(np.isfinite(latents).all(axis=1))
