"""The entries of a set, as numbers that a law of them is learned of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from sbi_inn.likelihoods.entry_columns import ABSENT, even_between
from sbi_inn.observation.batch import Observations, PaddedSet
from sbi_inn.summary_networks.columns import named
from sbi_inn.summary_networks.location import location_scale, squash, thinned
from sbi_inn.typing import AnyArray, BoolArray, FloatArray, IntArray

# Names of arrays in files.
SCALE, READ, LEVELS = "scale:", "read", "levels"
DISCRETE, GAPS, LOGGED, STEP = "discrete", "gaps", "logged", "step"
# Entries of a set of single numbers that are read; of a larger one so many, evenly spaced in their
# order. Of several columns, which have no order, more are read: what is not read is lost.
MOST, MOST_OF_SEVERAL = 256, 1_000
# Numbers of a set that are read in all, at most, and of one entry.
MOST_NUMBERS, MOST_OF_ENTRY = 2_500, 30
# Share of entries, among all of some sets, that have a value of their own, at least, of those that
# have none of the values that recur.
DIFFERENT = 0.99
# Values of a discrete column, at most; those that recur in a continuous one, at most; and the share
# of entries that such a value has, at least.
FEW, FEW_RECURRING, RECURRING = 8, 3, 0.01
# How far from a whole number a multiple of a step may be.
EXACT = 1e-3
# Of counts, and of what else has steps, so many of the smallest values are columns of their own.
FIRST = 6
# What is added to the others, in steps, is as even as can be: multiples of this without their whole
# part.
GOLDEN = 0.6180339887498949
# How much less the log width of logarithms varies between sets, where these are read.
ALIKE = 0.5
# Sets that are looked at to see that.
LOOKED_AT = 500


def of_one_set(observations: Observations) -> bool:
    """Whether what is observed is a single set."""
    beside = observations.vector.shape[1] > observations.givens or observations.grids
    return not beside and not observations.series and len(observations.sets) == 1


@dataclass(frozen=True)
class Column:
    """What values a column of entries has.

    A discrete column becomes one of yes and no, 1 and -1, for each value but the last: is it this
    one, if it is none of those before? So do values that recur in a continuous column, as where a
    measurement ends, and whether a value is missing at all.

    Attributes
    ----------
    levels : array, shape (n,)
        Values that recur; all but the last of a discrete column.
    discrete : bool
        Whether there are no others.
    gaps : bool
        Whether some are missing.
    logged : bool
        Whether the logarithm of others is read.
    step : float
        Others are multiples of it, as counts are of 1: they are read with up to half of it added or
        taken away. 0 for what is continuous.
    """

    levels: FloatArray
    discrete: bool
    gaps: bool
    logged: bool = False
    step: float = 0.0

    @classmethod
    def of(cls, values: FloatArray, there: BoolArray) -> Column | None:
        """Look at values (sets, entries), where these are there; None if it is neither.

        Some may be missing. Where values are positive, and their logarithms vary about as much in
        each set while they themselves do not, a parameter multiplies them.
        """
        gaps = bool(np.isnan(values[there]).any())
        there = there & ~np.isnan(values)
        known = values[there]
        found, counts = np.unique(known, return_counts=True)
        if len(found) <= FEW:
            return cls(found[:-1], discrete=True, gaps=gaps)
        levels = found[counts >= max(2, RECURRING * len(known))]
        others = len(known) - counts[np.isin(found, levels)].sum()
        different = others > 0 and (len(found) - len(levels)) >= DIFFERENT * others
        step = 0.0
        if not different or len(levels) > FEW_RECURRING:
            levels = levels[:0]
            if not _given(values, there):  # else its law does not matter
                step = _step(found)
                levels = found[:FIRST][counts[:FIRST] >= RECURRING * len(known)]
                if not step:
                    return None
        logged = _multiplied(values, there & ~np.isin(values, levels))
        return cls(levels, discrete=False, gaps=gaps, logged=logged, step=step)

    @property
    def width(self) -> int:
        """How many columns it becomes."""
        return len(self.levels) + self.gaps + (not self.discrete)

    def __call__(self, values: FloatArray, scale: FloatArray) -> list[FloatArray]:
        """Give these for values (...) and their median and spread; `ABSENT` what does not apply."""
        there, found = np.ones(values.shape, dtype=bool), []
        known = ~np.isnan(values)
        for is_it in ([~known] if self.gaps else []) + [values == level for level in self.levels]:
            found.append(np.where(there, np.where(is_it, 1.0, -1.0), ABSENT))
            there &= ~is_it
        if not self.discrete:
            place = np.arange(values.shape[-1]) * GOLDEN % 1.0 - 0.5
            values = self.as_read(np.where(there, values + self.step * place, 1.0))
            scaled = squash(values[..., None], scale[:, None])[..., 0]
            found.append(np.where(there, scaled, ABSENT))
        return found

    def as_read(self, values: FloatArray) -> FloatArray:
        """Give logarithms where these are read."""
        return np.log(np.maximum(values, np.finfo(float).tiny)) if self.logged else values

    def scale(self, values: FloatArray) -> FloatArray:
        """Give the median and spread of what is read of values (n,) that do not recur, (2,)."""
        others = values[~np.isnan(values) & ~np.isin(values, self.levels)]
        if self.discrete:
            return np.array([0.0, 1.0])
        return location_scale(self.as_read(thinned(others[:, None])))[:, 0]


@dataclass(frozen=True)
class Entries:
    """How many entries a set has, and their numbers, scaled.

    Where there is a single set and nothing else, they are all that is known.

    Attributes
    ----------
    name : str
        Of the set.
    read : int
        How many entries are given; a smaller set has zeros after them.
    scale : array, shape (2, columns)
        Median and spread of what is continuous.
    columns : tuple of Column

    Examples
    --------
    >>> from sbi_inn.observation.batch import Observations, PaddedSet
    >>> from sbi_inn.summary_networks.entries import Column, Entries
    >>> two = PaddedSet(np.array([[[3.0], [1.0], [2.0]], [[1.0], [0.0], [0.0]]]), np.array([3, 1]))
    >>> seen = Observations(np.empty((2, 0)), {"n": two})
    >>> continuous = Column(np.empty(0), discrete=False, gaps=False)
    >>> Entries("n", 3, np.array([[0.0], [1.0]]), (continuous,))(seen)
    array([[3., 1., 2., 3.],
           [1., 1., 0., 0.]], dtype=float32)
    """

    name: str
    read: int
    scale: FloatArray
    columns: tuple[Column, ...]

    @classmethod
    def fit(cls, observations: Observations) -> Entries | None:
        """Learn it from a batch; None where there is more than one set, or entries are too many.

        Also None where a column is neither discrete nor continuous, nor has even steps.
        """
        if not of_one_set(observations):
            return None
        ((name, padded),) = observations.sets.items()
        if padded.sizes.max() < 2:
            return None
        some = padded[:LOOKED_AT]
        found = [Column.of(values, some.mask) for values in np.moveaxis(some.values, 2, 0)]
        columns = tuple(one for one in found if one is not None)
        width = sum(one.width for one in columns)
        if len(columns) < len(found) or not 0 < width <= MOST_OF_ENTRY:
            return None
        most = MOST if len(columns) == 1 else min(MOST_OF_SEVERAL, MOST_NUMBERS // width)
        every = zip(columns, padded.values[padded.mask].T, strict=True)
        scale = np.stack([column.scale(values) for column, values in every], axis=1)
        return cls(name, min(padded.values.shape[1], most), scale, columns)

    @property
    def n_columns(self) -> int:
        """How many numbers it gives of an entry."""
        return sum(column.width for column in self.columns)

    @property
    def width(self) -> int:
        """How many numbers it gives."""
        return 1 + self.read * self.n_columns

    def __call__(self, observations: Observations) -> npt.NDArray[np.float32]:
        """Give them, shape (batch, width): of entries, one after the other."""
        entries, size = self._ordered(observations.sets[self.name])
        there = np.arange(self.read) < size
        parts = [
            np.where(there, part, 0.0)
            for values, column, scale in zip(
                np.moveaxis(entries, 2, 0), self.columns, self.scale.T, strict=True
            )
            for part in column(values, scale)
        ]
        flat = np.stack(parts, axis=2).reshape(len(size), -1)
        return np.hstack([size, flat]).astype(np.float32)

    def _ordered(self, padded: PaddedSet) -> tuple[FloatArray, IntArray]:
        """Give the entries that are read, (batch, read, columns), and how many are known.

        An entry is left out where a value is missing that never was. Single numbers are in order.
        """
        never = ~np.array([column.gaps for column in self.columns])
        known = padded.mask & ~np.isnan(padded.values[:, :, never]).any(axis=2)
        size = known.sum(axis=1, keepdims=True)
        by = np.where(known, 0.0, np.inf)
        if len(self.columns) == 1:
            last = np.finfo(float).max  # what is missing comes after what is there
            by = np.where(known, np.nan_to_num(padded.values[:, :, 0], nan=last), np.inf)
        beyond = max(0, self.read - known.shape[1])
        order = np.pad(np.argsort(by, axis=1, kind="stable"), ((0, 0), (0, beyond)))
        place = np.arange(self.read)
        at = np.where(size > self.read, ((place + 0.5) * size / self.read).astype(int), place)
        at = np.take_along_axis(order, at, axis=1)
        return np.take_along_axis(padded.values, at[:, :, None], axis=1), size

    def to_arrays(self) -> dict[str, AnyArray]:
        """Give everything as named arrays."""
        levels = np.full((len(self.columns), FEW), np.nan)
        for row, column in zip(levels, self.columns, strict=True):
            row[: len(column.levels)] = column.levels
        return {
            SCALE + self.name: self.scale,
            READ: np.array(self.read),
            LEVELS: levels,
            DISCRETE: np.array([column.discrete for column in self.columns]),
            GAPS: np.array([column.gaps for column in self.columns]),
            LOGGED: np.array([column.logged for column in self.columns]),
            STEP: np.array([column.step for column in self.columns]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, AnyArray]) -> Entries:
        """Read back what `to_arrays` gave; older files know of single numbers alone."""
        ((name, scale),) = named(SCALE, arrays).items()
        no = np.zeros(1, dtype=bool)
        levels = arrays.get(LEVELS, np.full((1, FEW), np.nan))
        said = (arrays.get(name, no).tolist() for name in (DISCRETE, GAPS, LOGGED, STEP))
        each = zip(levels, *said, strict=True)
        columns = tuple(Column(mine[~np.isnan(mine)], *others) for mine, *others in each)
        return cls(name, int(arrays[READ]), scale, columns)


def _given(values: FloatArray, there: BoolArray) -> bool:
    """Whether sets (sets, entries) differ no more than their entries do.

    As where all have the same times, or doses of the same law.
    """
    scaled = torch.from_numpy(np.where(there, values / np.abs(values[there]).max(), 0.0))
    return all(even_between(scaled**power, torch.from_numpy(there)) for power in (1, 2))


def _step(found: FloatArray) -> float:
    """Give what different values, in their order, are multiples of apart; 0 if nothing is."""
    gaps = np.diff(found)
    step = float(gaps.min())
    return step if np.allclose(gaps / step, np.round(gaps / step), atol=EXACT) else 0.0


def _multiplied(values: FloatArray, there: BoolArray) -> bool:
    """Whether logarithms of values (sets, entries) vary in sets more alike than they do."""
    if not (values[there] > 0).all():
        return False
    there = there & (there.sum(axis=1, keepdims=True) > 2)
    rows = there.any(axis=1)
    values = np.where(there, values, np.nan)[rows]
    with np.errstate(divide="ignore"):
        plain, logged = (np.log(np.nanstd(each, axis=1)) for each in (values, np.log(values)))
    both = np.isfinite(plain) & np.isfinite(logged)
    return bool(both.any()) and logged[both].var() < ALIKE * plain[both].var()
