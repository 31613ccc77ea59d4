"""The distribution of observables given a field: linear, Gaussian, learned in closed form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from sbi_inn.methods.fields.noise_level import NoiseLevel
from sbi_inn.methods.fields.slopes import (
    GAIN,
    Rows,
    dense,
    filled,
    left_over,
    local,
    stationary,
)
from sbi_inn.observation.batch import Observations
from sbi_inn.prior.root import Fourier, Root
from sbi_inn.typing import AnyArray, FloatArray, IntArray

SELDOM = 0.01
"""Share of the rows in which an observable has to be there, to be looked at."""

STEADY = 1e-12
"""Spread of an observable, in units of its size, below which it is always the same."""

SHARP = -9.0
"""Log of the share of its variance that windows leave of an observable, below which all is said."""

NONE = np.empty((0, 0))
"""No turn."""

MOST_TOGETHER = 512
"""Observables whose noise may be correlated."""

ROWS_EACH = 10
"""Training rows for each of them."""


@dataclass(frozen=True, eq=False)
class Forward:
    """observables = offset + slopes @ field + others @ numbers + noise, the field being flat.

    The numbers are the other parameters, on the latent side of the prior.

    Attributes
    ----------
    outputs : array of int, shape (m,)
        Which features of `Observations.vector` they are.
    offset : array, shape (m,)
    slopes : float32 array, shape (m, pixels)
    others : array, shape (m, numbers)
    level : NoiseLevel
        Variance of the noise.
    turn : array, shape (m, m), or empty
        What makes the noise independent: rows to multiply observables by.
    """

    outputs: IntArray
    offset: FloatArray
    slopes: AnyArray
    others: FloatArray
    level: NoiseLevel
    turn: FloatArray

    def read(
        self, observations: Observations, numbers: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Give what the field is to explain (rows, m), NaN where missing, and log variances.

        Parameters
        ----------
        observations : Observations
        numbers : array, shape (rows, numbers)
            As many, or any number for a single observation; without numbers none are needed.
        """
        left = observations.vector[:, self.outputs] - self.offset
        if self.others.size:
            left = left - numbers @ self.others.T
        return (left @ self.turn.T if self.turn.size else left), self.level(observations)

    @property
    def seen_slopes(self) -> FloatArray:
        """The slopes of what `read` gives, shape (m, pixels)."""
        return (self.turn @ self.slopes if self.turn.size else self.slopes).astype(np.float64)

    def to_arrays(self) -> dict[str, AnyArray]:
        """Give everything as named arrays; slopes that are mostly zero as those that are not."""
        names = ("outputs", "offset", "others", "turn")
        found = {name: getattr(self, name) for name in names}
        found |= {f"level-{name}": value for name, value in vars(self.level).items()}
        places = np.flatnonzero(self.slopes)
        found["shape"] = np.array(self.slopes.shape)
        if 2 * len(places) < self.slopes.size:
            return found | {"places": places, "slopes": self.slopes.ravel()[places]}
        return found | {"slopes": self.slopes.ravel()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, AnyArray]) -> Forward:
        """Read back what `to_arrays` gave."""
        slopes = np.zeros(int(arrays["shape"].prod()), np.float32)
        slopes[arrays.get("places", slice(None))] = arrays["slopes"]
        level = {n.removeprefix("level-"): v for n, v in arrays.items() if n.startswith("level-")}
        shape = tuple(int(n) for n in arrays["shape"])
        kept: dict[str, Any] = {
            name: arrays[name] for name in ("outputs", "offset", "others", "turn")
        }
        return cls(slopes=slopes.reshape(shape), level=NoiseLevel(**level), **kept)


def learn(
    fields: FloatArray,
    numbers: FloatArray,
    observations: Observations,
    folds: tuple[IntArray, IntArray],
    root: Root | None,
) -> Forward:
    """Regress the observables on fields and other parameters.

    An observable on the field's own grid, an image or a profile, looks at a window of pixels, or at
    all of them; the others look at all of them. What predicts validation rows better is kept.

    Parameters
    ----------
    fields : array, shape (n, *sides)
    numbers : array, shape (n, numbers)
    observations : Observations
        As many.
    folds : (array of int, array of int)
        Rows to train on, and to validate on.
    root : Root or None
        What makes white noise such a field.
    """
    train, sides = folds[0], fields.shape[1:]
    outputs = _outputs(observations, train)
    observed = observations.vector[:, outputs]
    centre = np.nanmean(observed[train], axis=0)
    scale = np.nanstd(observed[train], axis=0)
    mean = fields[train].mean(axis=0)
    flat = (fields - mean).reshape(len(fields), -1).astype(np.float32)
    white = flat if root is None else root.whiten(fields - mean).reshape(flat.shape)
    standard = (observed - centre) / scale
    others = _on_numbers(standard[train], numbers[train])
    rows = Rows(flat, (standard - numbers @ others.T).astype(np.float32), *folds)
    slopes = np.zeros((len(outputs), flat.shape[1]), np.float32)
    for pixels, where in _parts(observations, outputs, sides):
        part = rows.of(where)
        slopes[where] = _slopes(part, white.astype(np.float32), root, sides, pixels)
    # What was laid to the numbers while the field was noise is looked at again.
    others += _on_numbers(rows.less(slopes).observed[train], numbers[train])
    slopes, others = slopes * scale[:, None], others * scale[:, None]
    offset = centre - slopes @ mean.ravel()
    silent = Forward(outputs, offset, slopes, others, NoiseLevel.none(), NONE)
    left = silent.read(observations, numbers)[0]
    left -= fields.reshape(len(fields), -1) @ slopes.T.astype(np.float64)
    return _with_noise(silent, left, observations, folds)


def _on_numbers(observed: AnyArray, numbers: FloatArray) -> FloatArray:
    """Regress observables (n, m) on numbers (n, k) of mean 0, each where it is there: (m, k)."""
    there = ~np.isnan(observed)
    if not numbers.shape[1]:
        return np.zeros((observed.shape[1], 0))
    centred = np.where(there, observed - np.nanmean(observed, axis=0), 0.0)
    moments = centred.T @ numbers
    grams = np.einsum("nm,nk,nl->mkl", there.astype(float), numbers, numbers, optimize=True)
    grams += 1e-6 * len(numbers) * np.eye(numbers.shape[1])
    return np.linalg.solve(grams, moments[..., None])[..., 0]


def _outputs(observations: Observations, train: IntArray) -> IntArray:
    """Find the observables that are there and differ from row to row."""
    seen = observations.vector[train, : observations.vector.shape[1] - observations.givens]
    found = np.flatnonzero((~np.isnan(seen)).mean(axis=0) > SELDOM)
    spread, size = np.nanstd(seen[:, found], axis=0), np.abs(np.nanmean(seen[:, found], axis=0))
    return found[spread > STEADY * size]


def _parts(
    observations: Observations, outputs: IntArray, sides: tuple[int, ...]
) -> list[tuple[IntArray | None, IntArray]]:
    """Cut observables into channels on the field's grid, with the pixel of each, and the others."""
    start, found = 0, []
    left = np.ones(len(outputs), bool)
    for shape in shapes_of(observations).values():
        for pixels in pixel_maps(shape, sides):
            where = np.flatnonzero(np.isin(outputs - start, np.flatnonzero(pixels >= 0)))
            if len(where):
                found.append((pixels[outputs[where] - start], where))
                left[where] = False
        start += prod(shape)
    return found + ([(None, np.flatnonzero(left))] if left.any() else [])


def shapes_of(observations: Observations) -> dict[str, tuple[int, ...]]:
    """Give the shapes of observables and givens in `Observations.vector`, in their order."""
    schema = observations.schema
    if schema is None:
        return {}
    return {name: schema.shape(name) for name in (*schema.fixed, *schema.givens)}


def pixel_maps(shape: tuple[int, ...], sides: tuple[int, ...]) -> list[IntArray]:
    """Say for each channel which pixel each number shows, -1 for none; empty off the grid.

    Examples
    --------
    >>> pixel_maps((2, 4), (4,))
    [array([ 0,  1,  2,  3, -1, -1, -1, -1]), array([-1, -1, -1, -1,  0,  1,  2,  3])]
    """
    place = np.arange(prod(sides)).reshape(sides)
    if shape == sides:
        return [place.ravel()]
    if shape[1:] != sides and shape[:-1] != sides:
        return []
    first = shape[1:] == sides
    channels = np.full((shape[0 if first else -1], *shape), -1)
    for channel in range(len(channels)):
        channels[(channel, channel) if first else (channel, ..., channel)] = place
    return [channel.ravel() for channel in channels]


def _slopes(
    rows: Rows,
    white: AnyArray,
    root: Root | None,
    sides: tuple[int, ...],
    pixels: IntArray | None,
) -> AnyArray:
    """Learn the slopes of some observables, by windows if they lie on the grid."""
    found = np.zeros((rows.observed.shape[1], rows.fields.shape[1]), np.float32)
    if pixels is not None:
        circular = isinstance(root, Fourier)
        found = stationary(rows, sides, pixels, circular=circular)
        found += filled(lambda r: local(r, sides, pixels, circular=circular), rows.less(found))
        if left_over(rows, found) < SHARP:
            return found
    whole = filled(dense, Rows(white, rows.observed, rows.train, rows.validation))
    if root is not None:  # slopes on white noise are turned to those on the field
        whole = root.whiten(whole.reshape(-1, *sides).astype(np.float64)).reshape(whole.shape)
    return whole if left_over(rows, whole) < left_over(rows, found) - GAIN else found


def _with_noise(
    forward: Forward,
    left: FloatArray,
    observations: Observations,
    folds: tuple[IntArray, IntArray],
) -> Forward:
    """Learn from residuals (n, m) how noisy observables are, and whether noise is correlated."""
    level = NoiseLevel.fit(left, observations, folds)
    plain = replace(forward, level=level)
    train, validation = folds
    m = left.shape[1]
    if m > MOST_TOGETHER or ROWS_EACH * m > len(train) or np.isnan(left).any():
        return plain
    standard = left / np.exp(level(observations) / 2)
    covariance = standard[train].T @ standard[train] / len(train)
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, 1e-6)
    turned = standard[validation] @ vectors
    together = (np.square(turned) / values).sum(axis=1).mean() + np.log(values).sum()
    if together > np.square(standard[validation]).sum(axis=1).mean() - m * GAIN:
        return plain
    # The level of each observable is taken out first: the noise that is left has a spread of 1.
    turn = (vectors / np.sqrt(values)).T / np.exp(level.base / 2)
    return replace(forward, turn=turn, level=replace(level, base=np.zeros(m)))
