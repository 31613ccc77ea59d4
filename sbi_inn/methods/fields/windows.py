"""Windows of pixels around pixels, on a torus or up to the sides."""

from __future__ import annotations

from itertools import product

import numpy as np

from sbi_inn.typing import AnyArray, IntArray


def windows(sides: tuple[int, ...], half: int, *, circular: bool) -> IntArray:
    """Give the pixels of the window around each, shape (pixels, (2 half + 1) ** sides).

    Pixels beyond the sides are -1, unless opposite sides are neighbours.

    Examples
    --------
    >>> windows((4,), 1, circular=True)[0].tolist(), windows((4,), 1, circular=False)[0].tolist()
    ([3, 0, 1], [-1, 0, 1])
    """
    steps = np.arange(-half, half + 1)
    places = np.stack(np.meshgrid(*map(np.arange, sides), indexing="ij"), -1)
    places = places.reshape(-1, 1, len(sides)) + np.array(list(product(steps, repeat=len(sides))))
    outside = ((places < 0) | (places >= sides)).any(axis=2)
    flat = np.ravel_multi_index(tuple(np.moveaxis(places % sides, -1, 0)), sides)
    found = np.asarray(flat, np.int64)
    return found if circular else np.where(outside, -1, found)


def widest(sides: tuple[int, ...], wanted: int) -> int:
    """Give the largest half width, up to the one wanted, of which no window meets itself."""
    return min(wanted, (min(sides) - 1) // 2)


def patches(fields: AnyArray, rows: IntArray, around: IntArray) -> AnyArray:
    """Cut windows out of flat fields (n, pixels): one window (d,) a row; 0 beyond the sides."""
    found = fields[rows[:, None], around]
    found[around < 0] = 0.0
    return found


def spread_out(kernels: AnyArray, around: IntArray, pixels: int) -> AnyArray:
    """Write kernels (m, d), or one for all (1, d), at their windows (m, d): shape (m, pixels)."""
    found = np.zeros((len(around), pixels + 1), np.float32)
    np.put_along_axis(found, around, np.broadcast_to(kernels, around.shape), axis=1)
    return found[:, :pixels]  # what lies beyond the sides was written to the last column
