"""The parameters of a prior together, inside a box on its latent side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sbi_inn.prior.box import Box
from sbi_inn.prior.joint import Joint, Values
from sbi_inn.typing import FloatArray

Share = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True, eq=False)
class TruncatedJoint:
    """What `Joint` does, of the prior truncated to a box and renormalised there.

    Attributes
    ----------
    whole : Joint
        Without the box.
    box : Box
        On the latent side of `whole`.
    share : callable or None
        From latents (n, d) of `whole` to the shares (n,) of the draws there that `sample` keeps;
        None keeps all.
    """

    whole: Joint
    box: Box
    share: Share | None = None

    def sample(self, n: int, rng: np.random.Generator) -> dict[str, FloatArray]:
        """Draw n rows."""
        found, missing = [np.empty((0, self.box.dim))], n
        while missing > 0:
            latents = self.box.sample(n, rng)
            if self.share is not None:
                latents = latents[rng.random(n) < self.share(latents)]
            found.append(latents[:missing])
            missing -= len(found[-1])
        return self.whole.from_latent(np.concatenate(found))

    def from_latent(self, latents: FloatArray) -> dict[str, FloatArray]:
        """Map latents (n, latent_dim) to values."""
        return self.whole.from_latent(self.box.from_latent(latents))

    def to_latent(self, values: Values, n: int, within: FloatArray) -> FloatArray:
        """Map n rows to latents; discrete ones to places (n or 1, discrete) within their pieces."""
        return self.box.to_latent(self.whole.to_latent(values, n, within))

    def log_density(self, latents: FloatArray) -> FloatArray:
        """Log density of the latents of draws, at latents (n, latent_dim), shape (n,)."""
        return self.box.log_density(latents)

    def log_prob(self, values: Values, n: int) -> FloatArray:
        """Log density of n rows: -inf outside the support and the box."""
        found = self.whole.log_prob(values, n) - self.box.log_mass
        middle = np.full((1, len(self.whole.discrete)), 0.5)
        inside = self.box.inside(self.whole.to_latent(values, n, middle))
        return np.where(inside, found, -np.inf)
