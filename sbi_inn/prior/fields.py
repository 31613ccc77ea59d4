"""Where the fields of a prior are among its latents, and what makes noise a field again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sbi_inn.prior.drawn import DrawnField
from sbi_inn.prior.gaussian_component import GaussianComponent
from sbi_inn.prior.joint import Joint
from sbi_inn.prior.root import Root


@dataclass(frozen=True, eq=False)
class FieldPlace:
    """A profile or a map among the parameters.

    Attributes
    ----------
    name : str
    shape : tuple of int
        (n,) or (height, width).
    latents : slice
        Which latents of the prior are its pixels.
    columns : slice
        Which columns of the flat parameters are.
    root : Root or None
        From its latents, which are white noise, to the Gaussian field before it is bent, but for
        mean and scale: at the medians of what its spectrum depends on. None where its latents are
        no white noise, as of a `Drawn` field.
    """

    name: str
    shape: tuple[int, ...]
    latents: slice
    columns: slice
    root: Root | None


def fields_of(joint: Joint) -> tuple[FieldPlace, ...]:
    """Find the fields of a prior."""
    kinds = GaussianComponent | DrawnField
    if not any(isinstance(c, kinds) for c in joint.components.values()):
        return ()
    width = sum(c.width for c in joint.components.values())
    medians = joint.from_latent(np.zeros((1, width)))
    return tuple(
        FieldPlace(
            name,
            component.shape,
            joint.latent[name],
            joint.flat[name],
            component.typical(medians) if isinstance(component, GaussianComponent) else None,
        )
        for name, component in joint.components.items()
        if isinstance(component, kinds)
    )
