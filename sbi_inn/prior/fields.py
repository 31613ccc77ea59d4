"""Where the fields of a prior are among its latents, and the map from noise to a field."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sbi_inn.prior.continuous import Continuous
from sbi_inn.prior.curve import normal_log_density
from sbi_inn.prior.drawn import DrawnField
from sbi_inn.prior.gaussian_component import GaussianComponent
from sbi_inn.prior.joint import Joint
from sbi_inn.prior.root import Root
from sbi_inn.prior.tabulated import Tabulated
from sbi_inn.typing import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class FieldPlace:
    """A profile or a map among the parameters.

    Below, the Gaussian field is the one before it is bent: mean + root(white noise), where the
    latents of the field are the white noise. Of a `Drawn` field it is the latents themselves.

    Attributes
    ----------
    name : str
    shape : tuple of int
        (n,) or (height, width).
    latents : slice
        Which latents of the prior are its pixels.
    columns : slice
        Which columns of the flat parameters are.
    parents : array of int
        The latents that its mean, sd and spectrum are functions of.
    white : bool
        Whether its latents are white noise: not those of a `Drawn` field.
    """

    name: str
    shape: tuple[int, ...]
    latents: slice
    columns: slice
    parents: IntArray
    white: bool
    _joint: Joint = field(repr=False)

    def roots(self, latents: FloatArray) -> tuple[FloatArray, Root | None]:
        """Give mean and root of the Gaussian field for rows of the prior's latents.

        Returns
        -------
        array, shape (n, *shape)
        Root or None
            A `Fourier` for each row, or one root for all; None for a `Drawn` field.
        """
        component, n = self._joint.components[self.name], len(latents)
        if not isinstance(component, GaussianComponent):
            return np.zeros((n, *self.shape)), None
        mean, root = component.affine(self._joint.from_latent(latents), n)
        return np.broadcast_to(mean, (n, *self.shape)), root

    @property
    def pixel(self) -> Continuous | Tabulated | None:
        """What maps a pixel of the Gaussian field to its own units; None where nothing does."""
        component = self._joint.components[self.name]
        if isinstance(component, DrawnField):
            return component.pixel
        return component.bend if isinstance(component, GaussianComponent) else None

    def bend(self, fields: FloatArray) -> FloatArray:
        """Log density of pixels in their own units over that in the Gaussian field's, by pixel."""
        pixel, flat = self.pixel, fields.reshape(-1, 1)
        if pixel is None:
            return np.zeros(fields.shape)
        change = pixel.log_prob(pixel.from_latent(flat, {}), {}) - normal_log_density(flat[:, 0])
        return change.reshape(fields.shape)

    def gaussian(self, latents: FloatArray) -> FloatArray:
        """Give the Gaussian field at rows of the prior's latents, shape (n, *shape)."""
        mean, root = self.roots(latents)
        white = latents[:, self.latents].reshape(-1, *self.shape)
        return white if root is None else mean + root.colour(white)


def fields_of(joint: Joint) -> tuple[FieldPlace, ...]:
    """Find the fields of a prior."""
    found = []
    for name, component in joint.components.items():
        if isinstance(component, GaussianComponent | DrawnField):
            white = isinstance(component, GaussianComponent)
            above = _latents(joint, component.parents) if white else np.arange(0)
            where = joint.latent[name], joint.flat[name]
            found.append(FieldPlace(name, component.shape, *where, above, white, joint))
    return tuple(found)


def _latents(joint: Joint, names: tuple[str, ...]) -> IntArray:
    width = sum(c.width for c in joint.components.values())
    parts = [np.arange(width)[joint.latent[name]] for name in names]
    return np.concatenate([*parts, np.arange(0)]).astype(np.int64)
