"""Random numbers for a batch of observations, with a separate stream for each row."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from sbi_inn.observation.batch import Observations
from sbi_inn.simulation.seeds import Stream, sequence
from sbi_inn.typing import AnyArray, FloatArray

BITS = 128  # of a digest: that of a Philox generator's key


class RowGenerators:
    """Stands where a batch is drawn with one numpy Generator, and serves each row by itself.

    What a row gets depends on its key and on how often the batch was drawn for, and on nothing
    else: neither on the other rows nor on how many numbers an earlier call took.

    Parameters
    ----------
    keys : array of uint64, shape (rows, 2)
        One key a row.
    branch : int
        Branches of the same keys share no numbers.
    """

    def __init__(self, keys: npt.NDArray[np.uint64], branch: int = 0) -> None:
        self.keys = keys
        self.branch = branch
        self._calls = 0

    @classmethod
    def at(cls, observations: Observations, seed: int) -> RowGenerators:
        """Derive the keys from a seed and from each observation's own numbers.

        Of equal observations in a batch the first gets what it would get alone, and the others
        numbers of their own: they are different objects.
        """
        keys = digests(observations, seed, Stream.DRAWS)
        _, group, counts = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
        order = np.argsort(group.ravel(), kind="stable")
        before = np.arange(len(keys)) - np.repeat(np.cumsum(counts) - counts, counts)
        keys[order, 1] += before.astype(np.uint64)  # how often the observation came before
        return cls(keys)

    def __getitem__(self, rows: Any) -> RowGenerators:
        """Choose rows, whose streams begin anew."""
        return RowGenerators(self.keys[rows], self.branch)

    def child(self, place: int) -> RowGenerators:
        """Give streams of the same rows that share no numbers with these, nor with other places."""
        return RowGenerators(self.keys, self.branch + 1 + place)

    def __iter__(self) -> Iterator[np.random.Generator]:
        """Give each row's generator in turn; it serves until the next one is asked for.

        One generator is set to the start of each stream, which takes a third of the time that
        making new ones does.
        """
        self._calls += 1
        bits = np.random.Philox(key=0)
        generator, state = np.random.Generator(bits), bits.state
        # The first words count the numbers that are drawn.
        state["state"]["counter"] = np.array([0, 0, self.branch, self._calls], np.uint64)
        for key in self.keys:
            state["state"]["key"] = key
            bits.state = state
            yield generator

    def standard_normal(self, size: tuple[int, ...], dtype: Any = np.float64) -> FloatArray:
        """Draw normal numbers, of shape (rows, ...)."""
        out = np.empty(size, dtype)
        for row, rng in zip(out, self, strict=True):
            rng.standard_normal(out=row, dtype=dtype)
        return out

    def random(self, size: tuple[int, ...]) -> FloatArray:
        """Draw numbers from 0 to 1, of shape (rows, ...)."""
        out = np.empty(size)
        for row, rng in enumerate(self):
            out[row] = rng.random(size[1:])
        return out

    def gumbel(self, *, size: tuple[int, ...]) -> FloatArray:
        """Draw numbers of a Gumbel distribution, of shape (rows, ...)."""
        return np.stack([rng.gumbel(size=size[1:]) for rng in self])

    def permuted(self, x: AnyArray, *, axis: int, out: AnyArray | None = None) -> AnyArray:
        """Put the entries of each row (axis 1) in random order."""
        parts = [rng.permuted(row, axis=axis - 1) for row, rng in zip(x, self, strict=True)]
        return np.stack(parts, out=out)


Random = np.random.Generator | RowGenerators


def rows_of(rng: Random, rows: Any) -> Random:
    """Choose the rows that are drawn for; one generator serves any."""
    return rng[rows] if isinstance(rng, RowGenerators) else rng


def digests(observations: Observations, seed: int, stream: Stream) -> npt.NDArray[np.uint64]:
    """Digest a seed, a stream of it and the numbers of each observation, shape (rows, 2).

    Equal observations have equal digests: -0 is 0, all NaN are one, and the entries of a set have
    no order (those of a series have).

    Examples
    --------
    >>> once = Observations(np.array([[0.0, np.nan], [1.0, 2.0]]), {})
    >>> again = Observations(np.array([[-0.0, -np.nan], [1.0, 2.5]]), {})
    >>> (digests(once, 1, Stream.DRAWS) == digests(again, 1, Stream.DRAWS)).all(axis=1)
    array([ True, False])
    """
    key = sequence(seed, stream).generate_state(4, np.uint64).tobytes()
    sets = [
        (_canonical(padded.values), padded.sizes, name in observations.series)
        for name, padded in sorted(observations.sets.items())
    ]
    found = bytearray()
    for row, vector in enumerate(_canonical(observations.vector)):
        digest = blake2b(vector.tobytes(), digest_size=BITS // 8, key=key)
        for values, sizes, ordered in sets:
            entries = values[row, : sizes[row]]
            if not ordered:
                entries = entries[np.lexsort(entries.T)]
            digest.update(len(entries).to_bytes(8, "little") + entries.tobytes())
        found += digest.digest()
    return np.frombuffer(found, np.uint64).reshape(-1, 2)


def _canonical(values: FloatArray) -> FloatArray:
    """Copy numbers so that what is equal has the same bytes."""
    values = np.ascontiguousarray(values, np.float64) + 0.0
    values[np.isnan(values)] = np.nan
    return values
