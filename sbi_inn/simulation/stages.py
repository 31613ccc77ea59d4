"""Join simulations drawn in stages, each from a part of the prior, into a sample of one part.

The density of simulations is counted in rows per unit of prior mass: n draws of the whole prior
have density n everywhere. To raise the density in a box to an even level, fresh rows are added,
most of them where there are fewest; where there are more already, rows are left out. The rows in
the box are then a sample of the prior truncated to it, whichever boxes came before. Overall, a
place has as many rows as the highest level among the boxes that contain it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sbi_inn.prior import Prior
from sbi_inn.prior.box import Box
from sbi_inn.simulation.joining import join
from sbi_inn.simulation.simulations import Simulations
from sbi_inn.typing import FloatArray

PLACES = 20_000
"""Places in a box at which the density of earlier stages is looked up."""

HALVINGS = 100
"""Of an interval that holds a level: to the last bit."""


@dataclass(frozen=True)
class Stage:
    """Simulations that filled a box.

    Attributes
    ----------
    box : Box or None
        In latents of the whole prior; None: all of it.
    level : float
        Rows for each unit of prior mass in the box, with those of earlier stages.
    table : Simulations
        All that were drawn then, whatever became of them.
    """

    box: Box | None
    level: float
    table: Simulations


@dataclass(frozen=True)
class Stages:
    """Simulations of one study, stage after stage.

    Attributes
    ----------
    prior : Prior
        Without truncation.
    done : tuple of Stage

    Examples
    --------
    >>> import scipy.stats as st
    >>> import sbi_inn as si
    >>> table = si.simulate(lambda a: a, si.Prior(a=st.norm()), n=100, seed=1, progress=False)
    >>> stages = Stages.of(table)
    >>> half = Box(np.eye(1), np.zeros(1), np.full(1, np.inf), np.zeros(1, bool))
    >>> round(stages.level(half, 25, np.random.default_rng(1)))  # 50 rows are there, of 75
    150
    """

    prior: Prior
    done: tuple[Stage, ...]

    @classmethod
    def of(cls, table: Simulations) -> Stages:
        """Begin with draws of a prior, truncated or not."""
        box = table.prior.box
        level = len(table) / (1.0 if box is None else box.mass)
        return cls(table.prior.whole, (Stage(box, level, table),))

    def density(self, latents: FloatArray) -> FloatArray:
        """Rows for each unit of prior mass at latents (n, d), shape (n,)."""
        found = np.zeros(len(latents))
        for stage in self.done:
            inside = True if stage.box is None else stage.box.inside(latents)
            found = np.where(inside, np.maximum(found, stage.level), found)
        return found

    def level(self, box: Box, n: int, rng: np.random.Generator) -> float:
        """Find the level to which n fresh rows fill a box."""
        here = self.density(box.sample(PLACES, rng))
        low, high = 0.0, float(here.max()) + n / box.mass
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            enough = box.mass * np.maximum(middle - here, 0).mean() >= n
            low, high = (low, middle) if enough else (middle, high)
        return high

    def lacking(self, box: Box, level: float) -> Prior:
        """Give what fresh rows are to be drawn from."""
        return self.prior.truncated(
            box, share=lambda latents: np.maximum(1 - self.density(latents) / level, 0)
        )

    def filled(self, box: Box, level: float, table: Simulations) -> Stages:
        """Add the rows that were drawn from what was lacking."""
        return replace(self, done=(*self.done, Stage(box, level, table)))

    def inside(self, box: Box, level: float, rng: np.random.Generator) -> Simulations:
        """Give the rows in a box that make a sample of the prior truncated to it."""
        tables = []
        for stage in self.done:
            whole = replace(stage.table, prior=self.prior)
            latents = self.prior.to_latent(whole.parameters(np.arange(len(whole))))
            kept = box.inside(latents)
            kept &= rng.random(len(whole)) * self.density(latents) <= level
            tables.append(whole.take(np.flatnonzero(kept)))
        return replace(join(tables), prior=self.prior.truncated(box))
