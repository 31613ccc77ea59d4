"""Small networks that say what parameters lead to, trained side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from sbi_inn.likelihoods.learned_of_parameters import LAYERS, LearnedOfParameters
from sbi_inn.shared_work.remembered import remembered
from sbi_inn.shared_work.stacked import Stacked

# Rows from which on there are as many steps as a size says; of fewer, they grow like their root.
ROWS = 8_000
# Steps, at least.
FEWEST_STEPS = 400
# Steps before its rate is at the peak.
WARM_UP = 50
# Its weight decay.
DECAY = 1e-4
# Rows of a batch, at most.
BATCH = 256
# The same, at least, where each row tells of many values.
FEWEST_IN_BATCH = 32
# Batches in a pass, at least.
BATCHES = 4
# Largest norm of a gradient.
STEEPEST = 5.0
# Steps between looks at rows that were left out.
LOOK = 50
# Share of all steps before the first one.
FIRST_LOOK = 1 / 3
# Share of all steps after which it is late.
LATE = 0.5
# Size of the last layer's first weights, in the usual one.
QUIET = 0.1
# Smallest log of a variance, in that of what a quadratic function leaves.
LOWEST = -12.0
# Largest.
HIGHEST = 6.0


class Size(NamedTuple):
    """How large networks are, and how long they are trained.

    Attributes
    ----------
    hidden : int
        Width of the two hidden layers.
    steps : int
        Of the optimiser, at most.
    rate : float
        Peak of its learning rate.
    """

    hidden: int
    steps: int
    rate: float


# Enough to compare likelihoods by, and to say what is nearly linear; for what bends; and for what
# bends so much that more training still pays.
SMALL, LARGE = Size(64, 1_500, 5e-3), Size(128, 4_000, 1e-2)
LONG = LARGE._replace(steps=10_000)


class Table(Protocol):
    """What networks learn from, laid out for those that are trained side by side."""

    @property
    def x(self) -> Tensor:
        """Scaled parameters and givens, (rows, n)."""
        ...

    def slope(
        self, said: Tensor, networks: Tensor, rows: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Say how the sum over networks of mean losses changes with what they say.

        Of `said`, (networks, some, n_said), at rows (networks, some), by networks (networks, 1).
        Of a large row it may look at a part that is drawn.
        """
        ...

    def loss(self, weights: list[Tensor], held: list[Tensor]) -> float:
        """Give the mean loss of rows left out."""
        ...


@remembered
@torch.no_grad()
def taught(
    table: Table,
    n_said: int,
    rows: list[Tensor],
    held: list[Tensor],
    size: Size,
    beat: float = math.inf,
    most: int = BATCH,
    *,
    linear: bool = False,
) -> tuple[float, list[Tensor]]:
    """Train networks side by side that say so many numbers; the loss of rows left out, and weights.

    Batches have so many rows at most. What is said may have a linear part beside the network's.

    Those that are behind the one to `beat` after half of their training are trained no further.
    """
    beside = [torch.zeros(len(rows), table.x.shape[1], n_said)] if linear else []

    def behind(now: float, best: float, *, late: bool) -> bool:
        del now
        return late and best > beat

    return descended(table, n_said, rows, held, size, most, behind, beside)


class Ends(Protocol):
    """Whether training ends after a look."""

    def __call__(self, now: float, best: float, *, late: bool) -> bool:
        """Say it by the loss that was seen now and by the best one, this one included."""
        ...


def descended(
    table: Table,
    n_said: int,
    rows: list[Tensor],
    held: list[Tensor],
    size: Size,
    most: int,
    ends: Ends,
    beside: Sequence[Tensor] = (),
) -> tuple[float, list[Tensor]]:
    """Train networks side by side; the best loss of rows left out, and the weights that have it.

    Batches have `most` rows at most. Matrices `beside` are of linear parts of what is said.
    """
    generator = torch.Generator().manual_seed(0)
    shape = (table.x.shape[1], size.hidden, n_said)
    networks = Stacked([*drawn(len(rows), shape, generator), *beside], DECAY)
    batch = min(most, max(1, min(map(len, rows)) // BATCHES))
    steps = int(min(size.steps, max(FEWEST_STEPS, size.steps * (len(table.x) / ROWS) ** 0.5)))
    each, best, kept = torch.arange(len(rows))[:, None], math.inf, networks.copy()
    for step in range(steps):
        chosen = [mine[torch.randint(len(mine), (batch,), generator=generator)] for mine in rows]
        places = torch.stack(chosen)
        slope = table.slope(networks(table.x[places]), each, places, generator)
        networks.step(slope, STEEPEST * len(rows) ** 0.5, size.rate * rate_at(step, steps))
        if step % LOOK == LOOK - 1 and step > FIRST_LOOK * steps:
            now = table.loss(networks.weights, held)
            if now < best:
                best, kept = now, networks.copy()
            if ends(now, best, late=step > LATE * steps):
                break
    return best, kept


def put(members: Sequence[LearnedOfParameters], weights: list[Tensor]) -> None:
    """Give each its network, of those that were trained side by side."""
    for place, member in enumerate(members):
        for name, weight, bias in zip(LAYERS, weights[:6:2], weights[1::2], strict=True):
            setattr(member, name, weight[place].T.double().contiguous())
            setattr(member, f"{name}_bias", bias[place, 0].double().contiguous())
        for beside in weights[6:]:
            member.beside = beside[place].T.double().contiguous()


def rate_at(step: int, steps: int) -> float:
    """Give the share of the peak of the learning rate: a warm-up, and half a cosine."""
    return min(1.0, (step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * step / steps))


def drawn(networks: int, shape: tuple[int, int, int], generator: torch.Generator) -> list[Tensor]:
    """Draw weights; the last layer starts small, near what the quadratic function says."""
    found, (n_in, hidden, n_out) = [], shape
    for wide, narrow in ((n_in, hidden), (hidden, hidden), (hidden, n_out)):
        bound = wide**-0.5
        for rows in (wide, 1):
            shape = (networks, rows, narrow)
            uniform = torch.rand(shape, generator=generator, dtype=torch.float32)
            found.append((2 * uniform - 1) * bound)
    found[-2] *= QUIET
    found[-1] *= 0
    return found
