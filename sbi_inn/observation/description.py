"""Names, shapes and meaning of observables and givens, and the words for them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sbi_inn.errors import ShapeError
from sbi_inn.observation.image import Channels, Grid
from sbi_inn.observation.plain import plain
from sbi_inn.typing import AnyArray, IntArray

Shape = tuple[int, ...]
Range = tuple[float, float]


@dataclass(frozen=True)
class Description:
    """What one observation of a study consists of: the part of a `Schema` that is no array.

    Attributes
    ----------
    observables : dict of str to tuple of int
        Name and shape of each observable; of a set's column, the shape of one entry.
    sets : dict of str to tuple of str
        The name of a length, and the observables that are paired columns of that set or series.
    givens : tuple of str
        Givens that vary between simulations and are no lengths.
    constants : dict of str to float
        Givens with one value, never asked for.
    trained : dict of str to (low, high)
        The range of every set size and every number of the givens that training covers.
    given_shapes : dict of str to tuple of int
        Shape of each given that is more than a number.
    missing : dict of str to float
        The observables and givens of which training has seen missing values, which are NaN, and the
        largest share of their entries that was missing at once; under "observation", of them all.
    series : tuple of str
        Which of the lengths in `sets` are those of time series. One that is no given is the same
        in every simulation, and among the constants.
    images : tuple of str
        Which observables and givens are images or profiles.
    channels : {"first", "last"} or None
        Which axis of images holds their channels, where there may be more than three.
    """

    observables: dict[str, Shape]
    sets: dict[str, tuple[str, ...]]
    givens: tuple[str, ...]
    constants: dict[str, float]
    trained: dict[str, Range]
    given_shapes: dict[str, Shape] = field(default_factory=dict)
    missing: dict[str, float] = field(default_factory=dict)
    series: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    channels: Channels | None = None

    @property
    def paired(self) -> dict[str, str]:
        """The observables that are columns of a set or series, and the name of its length."""
        return {name: length for length, columns in self.sets.items() for name in columns}

    @property
    def fixed(self) -> tuple[str, ...]:
        """The observables that belong to no set or series."""
        paired = self.paired
        return tuple(name for name in self.observables if name not in paired)

    @property
    def asked(self) -> tuple[str, ...]:
        """The names an observation must have."""
        return (*self.observables, *self.givens)

    @property
    def columns(self) -> tuple[str, ...]:
        """One name for each feature of `Observations.vector`."""
        return tuple(c for name in (*self.fixed, *self.givens) for c in self.scalars(name))

    @property
    def given_columns(self) -> tuple[str, ...]:
        """One name for each number of the givens, the last features of `Observations.vector`."""
        return tuple(c for name in self.givens for c in self.scalars(name))

    def shape(self, name: str) -> Shape:
        """Give the shape of an observable or given; of a set's column, that of one entry."""
        return self.observables.get(name, self.given_shapes.get(name, ()))

    def scalars(self, name: str) -> tuple[str, ...]:
        """Name the numbers of an observable or given; of a set's column, those of one entry."""
        return scalar_names(name, self.shape(name))

    def observable_columns(self) -> int:
        """Count the leading features of `Observations.vector` that are observables, not givens."""
        return sum(math.prod(self.observables[name]) for name in self.fixed)

    @property
    def vectors(self) -> dict[str, IntArray]:
        """Places in `Observations.vector` of the observables of one axis, by name."""
        found, start = {}, 0
        for name in self.fixed:
            shape = self.shape(name)
            if len(shape) == 1 and name not in self.images:
                found[name] = np.arange(start, start + shape[0])
            start += math.prod(shape)
        return found

    @property
    def grids(self) -> dict[str, Grid]:
        """Where the pixels of the images are, by name: of observables, then of givens."""
        found, start = {}, 0
        for name in (*self.fixed, *self.givens):
            shape = self.shape(name)
            if name in self.images:
                found[name] = Grid(shape, start, self.channels)
            start += math.prod(shape)
        return found

    @property
    def seen_grids(self) -> dict[str, Grid]:
        """Where the pixels of the observables that are images are, by name."""
        return {name: grid for name, grid in self.grids.items() if name in self.observables}

    @property
    def plain_givens(self) -> tuple[str, ...]:
        """The givens that are no images."""
        return tuple(name for name in self.givens if name not in self.images)

    @property
    def lengths(self) -> dict[str, int]:
        """The lengths that are no givens: those of series with as many entries every time."""
        return {n: int(self.constants[n]) for n in self.series if n not in self.trained}

    def example(self) -> str:
        """Write an observation as a user would type it."""
        if len(self.asked) == 1 and not self.sets:
            shape = self.shape(self.asked[0])
            return f"an array of shape {shape}" if shape else "a number"
        return "{" + ", ".join(f"{name!r}: {self._axes(name)}" for name in self.asked) + "}"

    def _axes(self, name: str) -> str:
        """Write the shape of one observable or given."""
        shape = self.shape(name)
        if name not in self.paired:
            return str(shape or "number")
        entries = self.lengths.get(self.paired[name], self.paired[name])
        return f"({entries}, ...)" if shape else f"({entries},)"


def scalar_names(name: str, shape: Shape) -> tuple[str, ...]:
    """Name the entries of an array: `y` stays `y`, a vector gives `y[0]`, `y[1]`, ...

    >>> scalar_names("flux", (2,))
    ('flux[0]', 'flux[1]')
    """
    if not shape:
        return (name,)
    return tuple(f"{name}[{','.join(map(str, index))}]" for index in np.ndindex(*shape))


def numbers(name: str, value: Any) -> AnyArray:
    """Read an array of numbers, or raise ShapeError under this name."""
    try:
        array = np.asarray(plain(value))
        unreal = array.dtype.kind in "cmM"
        if not unreal and array.dtype.kind not in "biuf":
            array = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        if "inhomogeneous" in str(error):
            raise ShapeError(
                f"expected {name} as one array of numbers; got lists of different lengths"
            ) from None
        raise ShapeError(f"expected numbers in {name}; got {brief(value)}") from None
    if unreal:
        raise ShapeError(
            f"expected real numbers in {name}; got {array.dtype}. Give real and imaginary parts, "
            "or times since a start, as observables of their own"
        )
    return array.astype(np.float64, copy=False)


def brief(value: Any) -> str:
    """Write a value in a few words, for messages."""
    shape = getattr(value, "shape", None)
    return f"an array of shape {shape}" if shape is not None else repr(value)[:80]
