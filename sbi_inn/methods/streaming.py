"""Training rows of a table that stays on disk, read again in every epoch.

The table is read in buffers. Each buffer consists of a few randomly chosen pieces of the table, and
its rows are shuffled: the rows of a batch lie far apart in the table, and nothing is read without
being used. Simulations have no order, so that little is lost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np
import torch
from torch import Tensor

from sbi_inn.methods.latents import latents
from sbi_inn.observation.batch import Observations, join
from sbi_inn.simulation.seeds import Stream, generator
from sbi_inn.simulation.simulations import Simulations
from sbi_inn.training.device import CPU, on
from sbi_inn.typing import BoolArray, FloatArray, IntArray

# Rows that the networks' scales, their choice of observables and their linear start are learned
# from, and of a run of rows that is chosen by chance.
SAMPLE, RUN = 65_536, 2_048
# Rows that lie in memory at once, and bytes that they may take as they are read.
BUFFER, BYTES = 2**17, 2**28
# Rows of a piece: less takes longer to find than to read.
PIECE = 8_192


class Indexed(Protocol):
    """Rows in memory."""

    def __len__(self) -> int: ...
    def __getitem__(self, rows: Tensor) -> Any: ...
    def to(self, device: torch.device) -> Self:
        """Give them on a device."""
        ...


T = TypeVar("T", bound=Indexed)


@dataclass(frozen=True, eq=False)
class Streamed:
    """The training rows of a table on disk.

    Parameters
    ----------
    simulations : Simulations
    keep : array of bool, shape (rows of the table,)
        Which of them are trained on.
    seed : int
        Of the places of discrete parameters.
    """

    simulations: Simulations
    keep: BoolArray
    seed: int

    def __len__(self) -> int:
        return int(self.counts.sum())

    @cached_property
    def pieces(self) -> IntArray:
        """Where the pieces end that are read at once, from 0 on."""
        chunk, largest = _chunk(self.simulations), max(1, self.buffer // 8)
        piece = max(chunk, min(PIECE, largest) // chunk * chunk)
        return np.unique([*range(0, len(self.keep), piece), len(self.keep)])

    @cached_property
    def counts(self) -> IntArray:
        """How many training rows each piece has."""
        return np.add.reduceat(self.keep, self.pieces[:-1], dtype=np.int64)

    @cached_property
    def buffer(self) -> int:
        """Rows that lie in memory at once."""
        table, asked = self.simulations.dataset, self.simulations.schema
        assert asked is not None
        names = (*asked.asked, *self.simulations.prior.names)
        row = sum(table[name].dtype.itemsize * table[name][:1].size for name in names)
        return int(np.clip(BYTES // row, 1_024, BUFFER))

    def read(self, piece: int, noise: int) -> tuple[FloatArray, Observations]:
        """Read the training rows of a piece: latents, and observations with noise of a seed."""
        start, stop = self.pieces[piece : piece + 2]
        table, rows = (
            self.simulations.take(slice(start, stop)),
            np.flatnonzero(self.keep[start:stop]),
        )
        # Pieces shall not put equal values at equal places.
        found = latents(table, rows, seed=self.seed + 1 + piece)
        if table.noise is None:
            return found, table.observations(rows)
        rng = generator(noise, Stream.STREAMED_NOISE, piece)
        return found, replace(table, noisy={}).renewed(rows, rng)


class StreamedRows(Generic[T]):
    """Rows as the training loop takes them, of which one buffer is in memory.

    Parameters
    ----------
    streamed : Streamed
    make : callable
        Makes rows of latents and observations.
    device : torch.device
        Where they are to be, buffer by buffer.
    """

    def __init__(
        self,
        streamed: Streamed,
        make: Callable[[FloatArray, Observations], T],
        device: torch.device = CPU,
    ) -> None:
        self.streamed, self.make, self.device = streamed, make, device
        self._noise, self._held = 0, -1
        self._rows: T | None = None
        self._plan(np.arange(len(streamed.counts)))

    def __len__(self) -> int:
        return len(self.streamed)

    def to(self, device: torch.device) -> StreamedRows[T]:
        """Give them on a device, a buffer at a time."""
        return StreamedRows(self.streamed, self.make, device)

    def order(self, generator: torch.Generator, batch_size: int) -> Tensor:
        """Plan a pass, and give the order in which its rows are asked for.

        No batch is of two buffers: what is left at the end of one, less than a batch, waits for the
        next pass.
        """
        self._noise = int(torch.randint(2**62, (1,), generator=generator))
        self._plan(torch.randperm(len(self.streamed.counts), generator=generator).numpy())
        starts, stops = self.ends[:-1].tolist(), self.ends[1:].tolist()
        whole = [
            (stop - start) // batch_size * batch_size
            for start, stop in zip(starts, stops, strict=True)
        ]
        # Of ten million rows, eight bytes a place and a second copy would be worth a buffer.
        order = torch.empty(sum(whole), dtype=torch.int32 if len(self) < 2**31 else torch.int64)
        for start, stop, part in zip(starts, stops, order.split(whole), strict=True):
            part.copy_(torch.randperm(stop - start, generator=generator)[: len(part)] + start)
        return order

    def __getitem__(self, rows: Tensor) -> Any:
        """Give rows of one buffer, by their places in the plan."""
        buffer = int(np.searchsorted(self.ends, int(rows[0]), side="right")) - 1
        if buffer != self._held:
            self._rows = None  # before the next one is read: there is memory for one
            self._rows, self._held = self._read(buffer), buffer
        assert self._rows is not None
        return self._rows[rows - int(self.ends[buffer])]

    def _plan(self, pieces: IntArray) -> None:
        """Put pieces, in their order, into buffers."""
        total = np.cumsum(self.streamed.counts[pieces])
        new = np.diff((total - 1) // self.streamed.buffer, prepend=0) > 0
        self.buffers = np.split(pieces, np.flatnonzero(new))
        sizes = [self.streamed.counts[one].sum() for one in self.buffers]
        self.ends = np.cumsum([0, *sizes])
        self._held, self._rows = -1, None

    def _read(self, buffer: int) -> T:
        read = [self.streamed.read(int(piece), self._noise) for piece in self.buffers[buffer]]
        found, observations = zip(*read, strict=True)
        return on(self.make(np.concatenate(found), join(observations)), self.device)


def runs(rows: IntArray, n: int, length: int, rng: np.random.Generator) -> BoolArray:
    """Choose n of some rows in runs of a length; gives which, shape (rows,).

    What lies together in a table on disk is read together.
    """
    pieces = rng.permutation(max(1, len(rows) // length))[: -(-n // length)]
    chosen = np.zeros(len(rows), bool)
    for piece in pieces:
        chosen[piece * length : (piece + 1) * length] = True
    return chosen


def _chunk(simulations: Simulations) -> int:
    """Find how many rows the table holds together on disk."""
    names = simulations.prior.names
    sizes = [simulations.dataset[name].encoding.get("chunks") or (1,) for name in names]
    return max(int(size[0]) for size in sizes)
