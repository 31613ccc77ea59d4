"""The parameters of those simulations that look most like an observation.

Where a parameter is read off a pattern, such as a period off velocities, no smooth function of the
observables is close to it, and a network has to learn a wave for each period. The simulations that
look alike say it at once, if roughly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sbi_inn.typing import AnyArray, FloatArray

# Simulations that are kept to look among.
MOST_KEPT = 10_000
# Of so many neighbours the mean is given, and of the more of them the spread, too.
FEW, MANY = 8, 32
# Spreads from the median up to which scaled columns differ.
FURTHEST = 5.0
# Spread of neighbours, in those of the prior, that is added before its logarithm is taken.
SMALLEST = 0.1
# Observations that are looked up at once.
AT_ONCE = 500
# Weight of a neighbour, before all are divided by their sum, where it is as far as the next one.
LEAST = 1e-6


@dataclass(frozen=True)
class Neighbours:
    """Means and spreads of the parameters of neighbours, by size and by direction.

    By size, neighbours are near in scaled columns. By direction, their principal components are in
    the same proportions: so are signals of one shape and another strength. The weight of each falls
    with the square of its distance and is 0 at the next one beyond (Epanechnikov's kernel), so that
    what is given changes continuously with the observation. A simulation with the same columns is
    no neighbour: what is learned of rows would else be what each of them says of itself.

    Attributes
    ----------
    columns : array of float32, shape (rows, columns)
        Scaled columns of simulations.
    components : array of float32, shape (rows, components)
        Their principal components, scaled.
    latents : array of float32, shape (rows, dim)
        Their parameters, on the latent side of the prior.

    Examples
    --------
    >>> import numpy as np
    >>> from sbi_inn.summary_networks.neighbours import Neighbours
    >>> rng = np.random.default_rng(1)
    >>> parameter = rng.normal(size=(4_000, 1)).astype(np.float32)
    >>> y = np.hstack([np.cos(9 * parameter), np.sin(9 * parameter), parameter])
    >>> found = Neighbours.of(y, y, parameter)(y[:100], y[:100])
    >>> found.shape, bool(np.abs(found[:, :1] - parameter[:100]).max() < 0.2)
    ((100, 6), True)
    """

    columns: npt.NDArray[np.float32]
    components: npt.NDArray[np.float32]
    latents: npt.NDArray[np.float32]

    @classmethod
    def of(cls, columns: AnyArray, components: AnyArray, latents: FloatArray) -> Neighbours:
        """Keep rows to look among."""
        parts = (columns, components, latents)
        return cls(*(part[:MOST_KEPT].astype(np.float32) for part in parts))

    @property
    def width(self) -> int:
        """How many numbers it gives."""
        return 6 * self.latents.shape[1]

    def __call__(self, columns: AnyArray, components: AnyArray) -> npt.NDArray[np.float32]:
        """Give them for observations, shape (batch, width)."""
        kept, latents = torch.from_numpy(self.columns), torch.from_numpy(self.latents)
        mine, turned = torch.from_numpy(columns), torch.from_numpy(components)
        spaces = (
            (_bounded(mine), _bounded(kept)),
            (_direction(turned), _direction(torch.from_numpy(self.components))),
        )
        keys, others = keys_of(columns)[:, None], keys_of(self.columns)
        found = np.empty((len(mine), self.width), np.float32)
        for start in range(0, len(mine), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            same = torch.from_numpy(keys[part] == others)
            squares = [_squares(x[part], y).masked_fill(same, torch.inf) for x, y in spaces]
            found[part] = torch.cat([_told(each, latents) for each in squares], dim=1)
        return found

    def to_arrays(self) -> dict[str, AnyArray]:
        """Give everything as named arrays."""
        return dict(vars(self))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, AnyArray]) -> Neighbours:
        """Read back what `to_arrays` gave."""
        return cls(arrays["columns"], arrays["components"], arrays["latents"])


def _bounded(columns: Tensor) -> Tensor:
    return columns.clamp(-FURTHEST, FURTHEST)


def _direction(components: Tensor) -> Tensor:
    bounded = _bounded(components)
    return bounded / bounded.norm(dim=1, keepdim=True).clamp(min=1e-9)


def _squares(x: Tensor, y: Tensor) -> Tensor:
    """Squares of the distances between rows, (rows of x, rows of y)."""
    sizes = x.square().sum(dim=1)[:, None] + y.square().sum(dim=1)
    return torch.addmm(sizes, x, y.T, alpha=-2).clamp(min=0)


def keys_of(columns: AnyArray) -> npt.NDArray[np.uint64]:
    """Give a number for each row, which only rows share that are alike to the last bit."""
    bits = (columns.astype(np.float32) + np.float32(0)).view(np.uint32).astype(np.uint64)
    odd = np.random.default_rng(0).integers(2**63, size=bits.shape[1], dtype=np.uint64) * 2 + 1
    return (bits * odd).sum(axis=1, dtype=np.uint64)


def _told(squares: Tensor, latents: Tensor) -> Tensor:
    """Give means of few and of many neighbours, and the log spread of the many."""
    many = min(MANY, len(latents) - 1)
    square, place = squares.topk(many + 1, dim=1, largest=False)
    few, all_of_them = (_weights(square[:, : k + 1]) for k in (min(FEW, many), many))
    theirs = latents[place[:, :many]]
    first = (few * theirs[:, : few.shape[1]]).sum(dim=1)
    mean = (all_of_them * theirs).sum(dim=1)
    spread = (all_of_them * (theirs - mean[:, None]).square()).sum(dim=1).sqrt()
    return torch.cat([first, mean, (spread + SMALLEST).log()], dim=1)


def _weights(squares: Tensor) -> Tensor:
    """Weigh all but the last neighbour, shape (batch, k, 1)."""
    nearer = torch.nan_to_num(1 - squares[:, :-1] / squares[:, -1:], nan=0.0).clamp(min=LEAST)
    nearer = nearer * squares[:, :-1].isfinite()
    return (nearer / nearer.sum(dim=1, keepdim=True).clamp(min=LEAST))[:, :, None]
