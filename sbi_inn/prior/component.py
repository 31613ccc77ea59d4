"""What one parameter of a prior can do, whatever its distribution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from sbi_inn.typing import FloatArray

Parents = Mapping[str, FloatArray]

LATENT_MAX = 37.5
"""Latents are held within this: Phi(-37.5) = 5e-308 is about the smallest normal float64."""

LARGEST = 1e100
"""Largest entry of a vector that is told from infinity: its square still fits in float64."""

SUM_TOLERANCE = 1e-6
"""Shares may miss the sum 1 by this, as those that went through float32 do."""


class Component(Protocol):
    """One parameter: n draws of it, their density, and the map to and from N(0, I).

    Below, values have shape ``(n, *shape)``, latents ``(n, width)``, and `parents` holds the n
    values of every earlier parameter; only a dependent component looks at it.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one draw: (), (k,), or (height, width) of a map."""
        ...

    @property
    def width(self) -> int:
        """How many latents it takes."""
        ...

    @property
    def support(self) -> tuple[float, float]:
        """Bounds that hold for every entry of every draw."""
        ...

    @property
    def parents(self) -> tuple[str, ...]:
        """The earlier parameters that its distribution needs."""
        ...

    @property
    def source(self) -> object:
        """What the user gave."""
        ...

    def sample(self, n: int, rng: np.random.Generator, parents: Parents) -> FloatArray:
        """Draw n values, each inside the support and of finite density."""
        ...

    def log_prob(self, values: FloatArray, parents: Parents) -> FloatArray:
        """Log density (n,): -inf outside the support."""
        ...

    def to_latent(self, values: FloatArray, parents: Parents) -> FloatArray:
        """Map values to finite latents; outside the support, to those of its nearest end."""
        ...

    def from_latent(self, latents: FloatArray, parents: Parents) -> FloatArray:
        """Map latents to values inside the support and of finite density."""
        ...

    def config(self) -> dict[str, Any] | None:
        """Public scipy name and arguments, or None for what is code."""
        ...

    def describe(self) -> str:
        """Return a short text for `repr`."""
        ...
