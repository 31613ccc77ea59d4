"""Names and shapes of one observation, learned from the simulations, and how real data are read.

A `Schema` turns whatever a user calls an observation into `Observations`: plain float arrays, which
the networks and the diagnostics use.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from sbi_inn.errors import ShapeError
from sbi_inn.observation.batch import Observations, PaddedSet, join
from sbi_inn.observation.columns import by_column
from sbi_inn.observation.description import Description, brief, numbers
from sbi_inn.observation.labels import by_label, by_name, rows_of, several_expected
from sbi_inn.typing import AnyArray, BoolArray, FloatArray, IntArray

# Numbers that are put side by side at once: as many as stay in the cache of a processor.
_PIECE = 100_000


@dataclass(frozen=True)
class Schema(Description):
    """Names, shapes and kinds of the observables and givens, and how observations are read.

    Attributes are those of `Description`.
    """

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Schema:
        """Rebuild a schema from what `dataclasses.asdict` gave, as JSON holds it."""
        return cls(
            observables={name: tuple(shape) for name, shape in config["observables"].items()},
            sets={name: tuple(columns) for name, columns in config["sets"].items()},
            givens=tuple(config["givens"]),
            constants=config["constants"],
            trained={name: (low, high) for name, (low, high) in config["trained"].items()},
            given_shapes={name: tuple(shape) for name, shape in config["given_shapes"].items()},
            missing=config["missing"],
            series=tuple(config["series"]),
            images=tuple(config["images"]),
            channels=config.get("channels"),
        )

    def read(self, y: Any) -> Observations:
        """Turn one observation into a batch of one.

        Parameters
        ----------
        y : mapping, Dataset, Series, DataFrame or array
            Values by name, or by the names of their entries (`flux[0]`, `flux[1]`, ...): a mapping,
            a Series or a DataFrame with one row; a Dataset, or one row of it. A DataFrame with the
            columns of a set, one row an entry, is that set. A bare array or number where there is
            one observable.

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
        ys : Dataset with dim "observation", DataFrame with one row an observation, sequence or dict
            A sequence holds observations as `read` takes them, ragged or not. A dict holds them by
            name, each as a mapping.

        Raises
        ------
        ShapeError
            As `read`, naming the observation; if there is none; or if some values of a dict are
            mappings and others not.
        """
        if isinstance(ys, xr.Dataset) and "observation" not in ys.dims:
            raise ShapeError(f"expected a dim 'observation'; got dims {tuple(ys.dims)}")
        with suppress(ShapeError):  # whose observation is found below
            whole = by_column(ys, self)
            if whole is not None:
                observations = self.stack(*whole)
                self.warn_outside(observations)
                return observations
        labels = _labels(ys)
        if isinstance(ys, xr.Dataset):
            ys = [ys.isel(observation=i) for i in range(ys.sizes["observation"])]
        elif isinstance(ys, pd.DataFrame):
            ys = rows_of(ys, self)
        elif isinstance(ys, Mapping):
            ys = by_name(ys)
        elif not isinstance(ys, Sequence | np.ndarray):
            raise several_expected(type(ys).__name__)
        if len(ys) == 0:
            raise ShapeError("expected at least one observation; got none")
        batch = []
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for index, y in enumerate(ys):
                try:
                    batch.append(self.read(y))
                except ShapeError as error:
                    name = index if labels is None else labels[index]
                    raise ShapeError(f"observation {name}: {error}") from None
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
            padded = observations.sets[length]
            values |= self._cut(padded.values[row, : padded.sizes[row]], columns)
        return values

    def fold(self, vector: FloatArray) -> dict[str, AnyArray]:
        """Cut rows of features (rows, k) into observables and, if they are there, givens, by name.

        Each has the shape (rows, *shape of the observable).
        """
        return self._cut(vector, (*self.fixed, *self.givens))

    def _cut(self, values: AnyArray, names: Sequence[str]) -> dict[str, AnyArray]:
        """Cut the last axis into what is so called, each of its own shape; of names, the first."""
        found, start = {}, 0
        for name in names:
            stop = start + math.prod(self.shape(name))
            if start < values.shape[-1]:
                shape = (*values.shape[:-1], *self.shape(name))
                found[name] = values[..., start:stop].reshape(shape)
            start = stop
        return found

    def outside(self, observations: Observations) -> list[str]:
        """Say which givens and set sizes lie outside the range seen in training.

        And of what more is missing than training has ever seen missing.
        """
        first, names = self.observable_columns(), self.given_columns
        seen = {n: observations.vector[:, first + i] for i, n in enumerate(names)}
        seen |= {n: s.sizes for n, s in observations.sets.items()}
        sentences, pictures = [], set()
        for name, (low, high) in self.trained.items():
            out = seen[name][(seen[name] < low) | (seen[name] > high)]
            picture = name.partition("[")[0]
            if out.size and picture not in pictures:  # one pixel of an image is enough
                pictures |= {picture} & {*self.images}
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
            padded = observations.sets[length]
            for name, gone in self._cut(np.isnan(padded.values), columns).items():
                entries = gone.reshape(*gone.shape[:2], -1).mean(axis=2).sum(axis=1)
                shares[name] = np.asarray(entries / np.maximum(padded.sizes, 1), np.float64)
        return shares | {"observation": _share(np.isnan(observations.vector))}

    def warn_outside(self, observations: Observations) -> None:
        """Warn about every given or set size outside the trained range."""
        for sentence in self.outside(observations):
            warnings.warn(f"{sentence}: the posterior extrapolates", stacklevel=3)

    def _by_name(self, y: Any) -> dict[str, AnyArray]:
        y = by_label(y, self)
        if not isinstance(y, Mapping):
            if len(self.asked) != 1:
                raise ShapeError(f"expected an observation like {self.example()}; got {brief(y)}")
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
        full = bool(entries.all())  # then nothing has to be picked out, or filled in
        parts = []
        for name in columns:
            value = numbers(name, values[name])
            if value.shape[2:] != self.observables[name] or value.shape[1] < width:
                raise ShapeError(
                    f"expected {name} of shape {(width, *self.observables[name])}; "
                    f"got {value.shape[1:]}"
                )
            part = value[:, :width].reshape(len(value), width, -1)
            self._check_finite(name, part if full else part[entries])
            parts.append(part if full else np.where(entries[:, :, None], part, 0.0))
        return PaddedSet(_interleaved(parts), sizes)


def _interleaved(parts: Sequence[FloatArray]) -> FloatArray:
    """Put columns (batch, width, k) side by side, a few rows at a time, which stay in the cache."""
    batch, width, _ = parts[0].shape
    found = np.empty((batch, width, sum(part.shape[2] for part in parts)))
    rows = max(1, _PIECE // max(math.prod(found.shape[1:]), 1))
    for first in range(0, batch, rows):
        here = slice(first, first + rows)
        np.concatenate([part[here] for part in parts], axis=2, out=found[here])
    return found


def _share(gone: BoolArray) -> FloatArray:
    """Share of each row that is gone, shape (rows,)."""
    return gone.reshape(len(gone), -1).mean(axis=1) if gone[0:1].size else np.zeros(len(gone))


def _labels(ys: Any) -> Sequence[Any] | None:
    """Give what a catalogue calls its observations, if it has names for them."""
    if isinstance(ys, pd.DataFrame):
        return ys.index.tolist()
    if isinstance(ys, xr.Dataset):
        return ys["observation"].values.tolist() if "observation" in ys.coords else None
    return list(ys) if isinstance(ys, Mapping) else None
