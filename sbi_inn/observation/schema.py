"""What one observation looks like, learned from the simulations, and the way in for real data.

A `Schema` knows the names and shapes of the observables, which of them are columns of an
exchangeable set or of a time series, which are images, and which givens vary. It turns whatever a
user calls an observation into `Observations`: plain float arrays that the networks and the
diagnostics work on.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from sbi_inn.errors import ShapeError
from sbi_inn.observation.batch import Observations, PaddedSet, join
from sbi_inn.observation.columns import by_column, row_of, rows_of, scalar_names
from sbi_inn.observation.image import Grid
from sbi_inn.typing import AnyArray, BoolArray, FloatArray, IntArray

Range = tuple[float, float]


@dataclass(frozen=True)
class Schema:
    """Names, shapes and meaning of the observables and givens of a study.

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
        The range of every set size and every number of the givens seen in training.
    given_shapes : dict of str to tuple of int
        Shape of each given that is more than a number.
    missing : dict of str to float
        The observables and givens of which training has seen missing values, which are NaN, and the
        largest share of their entries that was missing at once; under "observation", of them all.
    series : tuple of str
        Which of the lengths in `sets` are those of time series. One that is no given is the same
        in every simulation, and among the constants.
    images : tuple of str
        Which observables are images.
    """

    observables: dict[str, tuple[int, ...]]
    sets: dict[str, tuple[str, ...]]
    givens: tuple[str, ...]
    constants: dict[str, float]
    trained: dict[str, Range]
    given_shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    missing: dict[str, float] = field(default_factory=dict)
    series: tuple[str, ...] = ()
    images: tuple[str, ...] = ()

    @property
    def fixed(self) -> tuple[str, ...]:
        """The observables that belong to no set or series."""
        paired = {name for columns in self.sets.values() for name in columns}
        return tuple(name for name in self.observables if name not in paired)

    @property
    def asked(self) -> tuple[str, ...]:
        """The names an observation must have."""
        return (*self.observables, *self.givens)

    @property
    def columns(self) -> tuple[str, ...]:
        """One name for each feature of `Observations.vector`."""
        names = (*self.fixed, *self.givens)
        return tuple(c for name in names for c in scalar_names(name, self.shape(name)))

    @property
    def given_columns(self) -> tuple[str, ...]:
        """One name for each number of the givens, the last features of `Observations.vector`."""
        return tuple(c for name in self.givens for c in scalar_names(name, self.shape(name)))

    def shape(self, name: str) -> tuple[int, ...]:
        """Give the shape of an observable or given; of a set's column, that of one entry."""
        return self.observables.get(name, self.given_shapes.get(name, ()))

    def observable_columns(self) -> int:
        """Count the leading features of `Observations.vector` that are observables, not givens."""
        return sum(math.prod(self.observables[name]) for name in self.fixed)

    @property
    def grids(self) -> dict[str, Grid]:
        """Where the pixels of the images are, by name."""
        found, start = {}, 0
        for name in self.fixed:
            shape = self.observables[name]
            if name in self.images:
                found[name] = Grid(shape, start)
            start += math.prod(shape)
        return found

    @property
    def lengths(self) -> dict[str, int]:
        """The lengths that are no givens: those of series with as many entries every time."""
        return {n: int(self.constants[n]) for n in self.series if n not in self.trained}

    def example(self) -> str:
        """Write an observation as a user would type it."""
        if len(self.asked) == 1 and not self.sets:
            (name,) = self.asked
            shape = self.shape(name)
            return f"an array of shape {shape}" if shape else "a number"
        lengths = {}
        for n, columns in self.sets.items():
            entries = self.lengths.get(n, n)
            lengths |= {
                c: f"({entries}, ...)" if self.observables[c] else f"({entries},)" for c in columns
            }
        parts = [f"{n!r}: {lengths.get(n, self.shape(n) or 'number')}" for n in self.asked]
        return "{" + ", ".join(parts) + "}"

    # -- reading -----------------------------------------------------------------------------------

    def read(self, y: Any) -> Observations:
        """Turn one observation into a batch of one.

        Parameters
        ----------
        y : mapping, Dataset or array
            Values by name; a bare array or number where there is one observable.

        Raises
        ------
        ShapeError
            If a name is missing or unknown, a shape differs, a value is infinite, or NaN where
            training has seen no missing values.
        """
        values = self._by_name(y)
        sizes: dict[str, IntArray] = {}
        for length, columns in self.sets.items():
            found = {c: len(values[c]) if values[c].ndim else 0 for c in columns}
            if len(set(found.values())) > 1 or min(found.values()) == 0:
                kind = "series" if length in self.series else "set"
                raise ShapeError(
                    f"the columns {', '.join(columns)} are one {kind} of {length} entries and need "
                    f"the same length of at least 1; got lengths {found}"
                )
            size = found[columns[0]]
            if size != self.lengths.get(length, size):
                raise ShapeError(
                    f"expected {', '.join(columns)} with {self.lengths[length]} entries, as in "
                    f"every simulation; got {size}. For other lengths, draw them in training: "
                    f"given={{{length!r}: st.randint(...)}}"
                )
            if length in values and int(values[length]) != size:
                raise ShapeError(f"{length} = {values[length]} was given with {size} entries")
            sizes[length] = np.array([size])
        observations = self.stack({n: values[n][None] for n in self.asked}, sizes)
        self.warn_outside(observations)
        return observations

    def read_many(self, ys: Any) -> Observations:
        """Turn many observations into a batch.

        Parameters
        ----------
        ys : Dataset with dim "observation", DataFrame with one row an observation, or sequence
            A sequence holds observations as `read` takes them, ragged or not.

        Raises
        ------
        ShapeError
            As `read`, naming the observation; or if there is none.
        """
        if isinstance(ys, xr.Dataset) and "observation" not in ys.dims:
            raise ShapeError(f"expected a dim 'observation'; got dims {tuple(ys.dims)}")
        whole = by_column(ys, self)
        if whole is not None:
            with suppress(ShapeError):  # whose observation is found below
                observations = self.stack(*whole)
                self.warn_outside(observations)
                return observations
        if isinstance(ys, xr.Dataset):
            ys = [row_of(ys, i, self) for i in range(ys.sizes["observation"])]
        elif isinstance(ys, pd.DataFrame):
            ys = rows_of(ys, self)
        elif isinstance(ys, Mapping) or not isinstance(ys, Sequence | np.ndarray):
            raise ShapeError(
                "expected many observations: a list, a DataFrame with one row an observation or a "
                f"Dataset with dim 'observation'; got {type(ys).__name__}"
            )
        if len(ys) == 0:
            raise ShapeError("expected at least one observation; got none")
        batch = []
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for index, y in enumerate(ys):
                try:
                    batch.append(self.read(y))
                except ShapeError as error:
                    raise ShapeError(f"observation {index}: {error}") from None
        for message in dict.fromkeys(str(w.message) for w in caught):
            warnings.warn(message, stacklevel=2)
        return join(batch)

    def stack(self, values: Mapping[str, AnyArray], sizes: Mapping[str, IntArray]) -> Observations:
        """Build a batch from arrays with a leading axis; sets are padded to their largest size.

        Parameters
        ----------
        values : mapping of str to array, shape (batch, ...)
        sizes : mapping of str to array of int, shape (batch,)
            The size of every set.

        Raises
        ------
        ShapeError
            If a shape differs from the schema's, a value is infinite, or NaN where training has
            seen no missing values.
        """
        batch = len(next(iter(values.values())))
        features = [self._features(name, values[name]) for name in (*self.fixed, *self.givens)]
        vector = np.concatenate(features, axis=1) if features else np.empty((batch, 0))
        sets = {
            length: self._pad(columns, values, np.asarray(sizes[length], np.int64))
            for length, columns in self.sets.items()
        }
        return Observations(vector, sets, len(self.given_columns), self)

    def unstack(self, observations: Observations, row: int) -> dict[str, AnyArray]:
        """Write one row of a batch as the mapping a user would pass; the inverse of `read`."""
        values = {name: v[0] for name, v in self.fold(observations.vector[[row]]).items()}
        for length, columns in self.sets.items():
            padded, start = observations.sets[length], 0
            for name in columns:
                shape = self.observables[name]
                width = int(np.prod(shape))
                entries = padded.values[row, : padded.sizes[row], start : start + width]
                values[name] = entries.reshape(-1, *shape)
                start += width
        return values

    def fold(self, vector: FloatArray) -> dict[str, AnyArray]:
        """Cut rows of features (rows, k) into observables and, if they are there, givens, by name.

        Each has the shape (rows, *shape of the observable).
        """
        values: dict[str, AnyArray] = {}
        start = 0
        for name in (*self.fixed, *self.givens):
            shape = self.shape(name)
            width = int(np.prod(shape))
            if start < vector.shape[1]:
                values[name] = vector[:, start : start + width].reshape(-1, *shape)
            start += width
        return values

    def outside(self, observations: Observations) -> list[str]:
        """Say which givens and set sizes lie outside the range seen in training.

        And of what more is missing than training has ever seen missing.
        """
        first, names = self.observable_columns(), self.given_columns
        seen = {n: observations.vector[:, first + i] for i, n in enumerate(names)}
        seen |= {n: s.sizes for n, s in observations.sets.items()}
        sentences = []
        for name, (low, high) in self.trained.items():
            out = seen[name][(seen[name] < low) | (seen[name] > high)]
            if out.size:
                sentences.append(
                    f"{name} = {out[0]:g} is outside the trained range {low:g} to {high:g}"
                )
        gaps = []
        for name, share in self.shares_missing(observations).items():
            most = self.missing.get(name, 0.0)
            if share > most and not (name == "observation" and gaps):
                gaps.append(
                    f"{share:.0%} of the {name} is missing, where training has seen at most "
                    f"{most:.0%} missing"
                )
        return sentences + gaps

    def shares_missing(self, observations: Observations) -> dict[str, float]:
        """Give the largest share of each observable and given that is missing, if any is."""
        shares = self._shares_missing(observations)
        return {name: float(s.max()) for name, s in shares.items() if s.max(initial=0.0) > 0}

    def _shares_missing(self, observations: Observations) -> dict[str, FloatArray]:
        folded = self.fold(observations.vector)
        shares = {name: _share(np.isnan(value)) for name, value in folded.items()}
        for length, columns in self.sets.items():
            padded, start = observations.sets[length], 0
            for name in columns:
                width = int(np.prod(self.observables[name]))
                gone = np.isnan(padded.values[:, :, start : start + width])
                per_entry = gone.mean(axis=2).sum(axis=1)
                shares[name] = np.asarray(per_entry / np.maximum(padded.sizes, 1), np.float64)
                start += width
        return shares | {"observation": _share(np.isnan(observations.vector))}

    def warn_outside(self, observations: Observations) -> None:
        """Warn about every given or set size outside the trained range."""
        for sentence in self.outside(observations):
            warnings.warn(f"{sentence}: the posterior extrapolates", stacklevel=3)

    # -- helpers -----------------------------------------------------------------------------------

    def _by_name(self, y: Any) -> dict[str, AnyArray]:
        if isinstance(y, xr.Dataset):
            y = {str(name): y[name].values for name in y.data_vars}
        if not isinstance(y, Mapping):
            if len(self.asked) != 1:
                raise ShapeError(f"expected an observation like {self.example()}; got {_brief(y)}")
            y = {self.asked[0]: y}
        missing = [name for name in self.asked if name not in y]
        unknown = [n for n in y if n not in (*self.asked, *self.sets, *self.constants)]
        if missing or unknown:
            parts = [f"{', '.join(missing)} missing"] if missing else []
            parts += [f"{', '.join(map(str, unknown))} unknown"] if unknown else []
            raise ShapeError(
                f"expected an observation like {self.example()}; got names "
                f"{', '.join(map(str, y)) or '(none)'}: {'; '.join(parts)}"
            )
        for name, constant in self.constants.items():
            if name in y and not (np.asarray(y[name]) == constant).all():
                raise ShapeError(f"{name} is {constant:g} in every simulation; got {y[name]}")
        return {name: numbers(name, value) for name, value in y.items()}

    def _features(self, name: str, value: AnyArray) -> FloatArray:
        shape = self.shape(name)
        value = numbers(name, value)
        if value.shape[1:] != shape:
            raise ShapeError(f"expected {name} of shape {shape}; got {value.shape[1:]}")
        self._check_finite(name, value)
        return value.reshape(len(value), -1)

    def _check_finite(self, name: str, value: AnyArray) -> None:
        """Raise ShapeError where a value is infinite, or missing as training has never seen it."""
        if np.isinf(value).any():
            raise ShapeError(f"expected finite numbers in {name}; got infinity")
        if name not in self.missing and np.isnan(value).any():
            raise ShapeError(
                f"expected finite numbers in {name}; got NaN, and training has seen no missing "
                f"values of {name}. To train for them, pass noise= a function that returns {name} "
                "with NaN where it is missing"
            )

    def _pad(
        self, columns: Sequence[str], values: Mapping[str, AnyArray], sizes: IntArray
    ) -> PaddedSet:
        width = int(sizes.max(initial=0))
        entries = np.arange(width) < sizes[:, None]
        parts = []
        for name in columns:
            value = numbers(name, values[name])
            if value.shape[2:] != self.observables[name] or value.shape[1] < width:
                raise ShapeError(
                    f"expected {name} of shape {(width, *self.observables[name])}; "
                    f"got {value.shape[1:]}"
                )
            part = value[:, :width].reshape(len(value), width, -1)
            self._check_finite(name, part[entries])
            parts.append(np.where(entries[:, :, None], part, 0.0))
        return PaddedSet(np.concatenate(parts, axis=2), sizes)


def _share(gone: BoolArray) -> FloatArray:
    """Share of each row that is gone, shape (rows,)."""
    return gone.reshape(len(gone), -1).mean(axis=1) if gone[0:1].size else np.zeros(len(gone))


def numbers(name: str, value: Any) -> AnyArray:
    """Read an array of numbers, or raise ShapeError under this name."""
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            array = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        if "inhomogeneous" in str(error):
            raise ShapeError(
                f"expected {name} as one array of numbers; got lists of different lengths"
            ) from None
        raise ShapeError(f"expected numbers in {name}; got {_brief(value)}") from None
    return array.astype(np.float64, copy=False)


def _brief(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return f"an array of shape {shape}" if shape is not None else repr(value)[:80]
