"""Inputs of the pyramid: images on the grid of the field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sbi_inn.errors import ShapeError
from sbi_inn.methods.fields.forward import pixel_maps, shapes_of
from sbi_inn.methods.fields.gaussian import GaussianPosterior, Seen
from sbi_inn.observation.batch import Observations
from sbi_inn.observation.schema import Schema
from sbi_inn.typing import AnyArray, FloatArray, IntArray

Lift = Callable[[dict[str, Any]], Any]

OWN = 2
"""Images that the Gaussian start gives: the mean of the field, and of its white noise."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """Images on the grid of a field, for the pyramid.

    They are the means of the Gaussian start; each observable on the grid, scaled, with flags of
    what is missing; and what a user's function makes of the observation.

    Attributes
    ----------
    pixels : array of int, shape (channels, features)
        Of each channel on the grid, which pixel each feature of `Observations.vector` shows.
    scale : array, shape (channels + lifted, 2)
        Mean and spread of each, and of what is lifted.
    gaps : array of bool, shape (channels,)
        Which of them have a flag.
    lift : callable or None
    """

    pixels: IntArray
    scale: FloatArray
    gaps: AnyArray
    lift: Lift | None = field(default=None, repr=False)

    @classmethod
    def fit(cls, observations: Observations, sides: tuple[int, ...], lift: Lift | None) -> Inputs:
        """Learn the scales from training rows.

        Raises
        ------
        ShapeError
            If what is lifted is no finite image on the grid.
        """
        pixels = channels_of(observations, sides)
        raw = _cut(observations.vector, pixels, sides)
        others = (0, *range(2, raw.ndim))
        gaps = np.asarray(np.isnan(raw).any(axis=others))
        scale = [(np.nanmean(one), np.nanstd(one)) for one in np.moveaxis(raw, 1, 0)]
        if lift is not None:
            lifted = _lifted(observations, sides, lift)
            scale.append((lifted.mean(), lifted.std()))
        table = np.array(scale, dtype=np.float64).reshape(-1, 2)
        table[:, 1] = np.where(table[:, 1] > 0, table[:, 1], 1.0)
        return cls(pixels, table, gaps, lift)

    @property
    def channels(self) -> int:
        """How many images there are."""
        return OWN + len(self.pixels) + int(self.gaps.sum()) + (self.lift is not None)

    def observed(self, observations: Observations, sides: tuple[int, ...]) -> AnyArray:
        """Give all but the means, float32 of shape (batch, ..., *sides)."""
        raw = _cut(observations.vector, self.pixels, sides)
        raw = self._scaled(raw, self.scale[: len(self.pixels)])
        parts = [np.nan_to_num(raw), np.isnan(raw[:, self.gaps])]
        if self.lift is not None:
            lifted = _lifted(observations, sides, self.lift)[:, None]
            parts.append(self._scaled(lifted, self.scale[-1:]))
        return np.concatenate(parts, axis=1).astype(np.float32)

    def means(self, start: GaussianPosterior, seen: Seen, cells: IntArray, n: int) -> AnyArray:
        """Give the means of the Gaussian start for n rows, float32 of shape (n, 2, *sides)."""
        found = start.means(seen, cells, n).reshape(n, OWN, *start.sides)
        return found.astype(np.float32)

    def to_arrays(self) -> dict[str, AnyArray]:
        """Give everything but the user's function as named arrays."""
        return {"pixels": self.pixels, "scale": self.scale, "gaps": self.gaps}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, AnyArray], lift: Lift | None) -> Inputs:
        """Read back what `to_arrays` gave."""
        return cls(arrays["pixels"], arrays["scale"], arrays["gaps"], lift)

    def _scaled(self, images: FloatArray, scale: FloatArray) -> FloatArray:
        ones = [1] * (images.ndim - 2)
        return (images - scale[:, 0].reshape(-1, *ones)) / scale[:, 1].reshape(-1, *ones)


def channels_of(observations: Observations, sides: tuple[int, ...]) -> IntArray:
    """Find the observables on the grid of a field, channel by channel, as `Inputs.pixels`."""
    width = observations.vector.shape[1]
    start, found = 0, [np.empty((0, width), np.int64)]
    for shape in shapes_of(observations).values():
        size = int(np.prod(shape))
        for pixels in pixel_maps(shape, sides):
            whole = np.full((1, width), -1)
            whole[0, start : start + size] = pixels
            found.append(whole)
        start += size
    return np.concatenate(found)


def _cut(vector: FloatArray, pixels: IntArray, sides: tuple[int, ...]) -> FloatArray:
    """Cut channels out of features, shape (batch, channels, *sides)."""
    found = np.empty((len(vector), len(pixels), int(np.prod(sides))))
    for channel, where in enumerate(pixels):
        features = np.flatnonzero(where >= 0)
        found[:, channel, where[features]] = vector[:, features]
    return found.reshape(len(vector), len(pixels), *sides)


def _lifted(observations: Observations, sides: tuple[int, ...], lift: Lift) -> FloatArray:
    """Call a user's function with each observation, shape (batch, *sides)."""
    schema, found = observations.schema, np.empty((len(observations), *sides))
    assert isinstance(schema, Schema)
    for row in range(len(found)):
        image = np.asarray(lift(schema.unstack(observations, row)), dtype=float)
        if image.shape != sides or not np.isfinite(image).all():
            what = f"shape {image.shape}" if image.shape != sides else "values that are not finite"
            raise ShapeError(
                f"lift= has to give a finite image on the grid of the field, shape {sides}; got "
                f"{what}"
            )
        found[row] = image
    return found
