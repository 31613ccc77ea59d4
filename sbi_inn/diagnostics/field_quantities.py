"""Numbers that summarise a field: means of blocks, power in bands, random projections.

A field has a thousand pixels; no single one matters, and they are correlated. A few dozen of these
numbers show whether its location, width and correlations are right.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from scipy import fft

from sbi_inn.typing import AnyArray, FloatArray

BLOCKS = 64
"""Blocks at most."""

SMALLEST_BLOCK = 4
"""Pixels along a side of a block."""

PROJECTIONS = 12
"""Random projections, of all pixels."""

BANDS = 5
"""Bands of the power spectrum, equally wide in the logarithm of the wave number."""


@dataclass(frozen=True)
class Quantities:
    """What is computed of fields of one shape.

    Attributes
    ----------
    name : str
        Of the field.
    shape : tuple of int
        (n,) or (height, width).

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> quantities = Quantities("sky", (16, 16))
    >>> quantities(rng.standard_normal((7, 16, 16))).shape == (7, len(quantities.names))
    True
    >>> quantities.names[0], quantities.names[15]
    ('sky in rows 1-4, columns 1-4 (upper left)', 'sky in rows 13-16, columns 13-16 (lower right)')
    """

    name: str
    shape: tuple[int, ...]

    @property
    def block(self) -> tuple[int, ...]:
        """Sides of a block: 4 pixels, or twice as many until there are at most 64."""
        side = SMALLEST_BLOCK
        while prod(-(-n // side) for n in self.shape) > BLOCKS:
            side *= 2
        return tuple(min(side, n) for n in self.shape)

    @property
    def names(self) -> tuple[str, ...]:
        """One name each, in words."""
        blocks = [self._block_name(at) for at in np.ndindex(*self._counts)]
        bands = [
            f"power of {self.name} at {low:.0f} to {high:.0f} cycles" for low, high in self._ends
        ]
        random = [f"random projection {i + 1} of {self.name}" for i in range(PROJECTIONS)]
        return (*blocks, *bands, *random)

    def __call__(self, fields: AnyArray) -> FloatArray:
        """Compute them of fields (n, *shape): (n, quantities)."""
        n = len(fields)
        flat = fields.reshape(n, -1)
        rng = np.random.default_rng(0)
        directions = rng.standard_normal((flat.shape[1], PROJECTIONS)) / np.sqrt(flat.shape[1])
        return np.hstack([self._block_means(fields), self._powers(fields), flat @ directions])

    def covers(self, quantity: int) -> bool:
        """Whether a quantity is the mean of a block."""
        return quantity < prod(self._counts)

    @property
    def _counts(self) -> tuple[int, ...]:
        return tuple(-(-n // side) for n, side in zip(self.shape, self.block, strict=True))

    def _block_means(self, fields: AnyArray) -> FloatArray:
        for axis, side in enumerate(self.block):
            starts = np.arange(0, self.shape[axis], side)
            sizes = np.diff(np.append(starts, self.shape[axis]))
            sums = np.add.reduceat(fields, starts, axis=axis + 1)
            fields = sums / sizes.reshape(-1, *[1] * (len(self.shape) - 1 - axis))
        return fields.reshape(len(fields), -1)

    def _powers(self, fields: AnyArray) -> FloatArray:
        axes = tuple(range(1, len(self.shape) + 1))
        power = np.square(np.abs(fft.fftn(fields, axes=axes, norm="ortho"))).reshape(
            len(fields), -1
        )
        k = self._wave_numbers
        inside = np.stack([(k >= low) & (k < high) for low, high in self._ends], axis=1)
        return np.log(np.maximum(power @ (inside / inside.sum(axis=0)), 1e-300))

    @property
    def _wave_numbers(self) -> FloatArray:
        axes = [fft.fftfreq(n) * max(self.shape) for n in self.shape]
        return np.sqrt(np.square(np.stack(np.meshgrid(*axes, indexing="ij"))).sum(axis=0)).ravel()

    @property
    def _ends(self) -> list[tuple[float, float]]:
        k = self._wave_numbers
        edges = np.geomspace(1, k.max() * 1.001, BANDS + 1)
        pairs = zip(edges[:-1], edges[1:], strict=True)
        return [(low, high) for low, high in pairs if ((k >= low) & (k < high)).any()]

    def _block_name(self, at: tuple[int, ...]) -> str:
        said, where = [], []
        words = (("upper", "middle", "lower"), ("left", "centre", "right"))[-len(at) :]
        axes = ("rows", "columns") if len(at) == 2 else ("pixels",)
        for axis, i in enumerate(at):
            first, side, n = i * self.block[axis], self.block[axis], self.shape[axis]
            said.append(f"{axes[axis]} {first + 1}-{min(first + side, n)}")
            where.append(words[axis][min(int(3 * (i + 0.5) / self._counts[axis]), 2)])
        return f"{self.name} in {', '.join(said)} ({' '.join(where)})"
