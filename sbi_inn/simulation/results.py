"""The outcome of a run, gathered block by block, in any order."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sbi_inn.simulation.blocks import (
    FAILED,
    INVALID,
    LOST,
    OK,
    STATUS,
    TIMEOUT,
    Block,
    Failure,
)
from sbi_inn.simulation.failure import SimulationError
from sbi_inn.simulation.outputs import Layout
from sbi_inn.typing import FloatArray

FEW = 20
"""Outputs that no table can hold, up to which a run goes on however many that are of it."""

MOSTLY = 0.5
"""Share of them beyond which it does not."""


class Results:
    """Arrays of the observables of `rows` simulations, filled in any order.

    Parameters
    ----------
    rows : int
    widths : mapping of str to int
        The largest length of every set, to which its columns are padded with NaN.

    Attributes
    ----------
    done : int
        The simulations so far, up to the first that is missing.
    status : array of int, shape (rows,)
        Indices of `STATUS`.
    values : dict of str to array, shape (rows, ...)
        NaN where nothing was simulated; empty until a simulation returns.
    layout : Layout or None
    failures : list of Failure
    seconds : float
        Time of one simulation on one core.
    """

    def __init__(self, rows: int, widths: Mapping[str, int]) -> None:
        self.done = 0
        self.status = np.full(rows, FAILED, np.int8)
        self.values: dict[str, FloatArray] = {}
        self.layout: Layout | None = None
        self.failures: list[Failure] = []
        self.seconds = 0.0
        self._widths = dict(widths)
        self._later: dict[int, int] = {}
        self._wrong: list[Failure] = []
        self._seen = 0

    def add(self, block: Block) -> int:
        """Write a block, what exceeds the rows cut off, and count the rows that were new.

        Raises
        ------
        SimulationError
            If most outputs are such as no table can hold.
        """
        rows = len(self.status)
        size = min(len(block.status), rows - block.start)
        if size <= 0:  # of a block that is longer than what was asked for
            return 0
        if block.layout is not None and block.values:
            self._make(block.layout)
        self.status[block.start : block.start + size] = block.status[:size]
        for name, value in block.values.items():
            target = self.values[name][block.start : block.start + size]
            if value.ndim == 1:
                target[:] = value[:size]
            else:  # a set of this block may be narrower or, where it is cut, wider
                width = min(value.shape[1], target.shape[1])
                target[:, :width] = value[:size, :width]
        failures = [f for f in block.failures if f.row < rows]
        self.failures += failures
        self._later[block.start] = block.start + size
        while self.done in self._later:
            self.done = self._later.pop(self.done)
        self._seen += size
        self._wrong += [f for f in failures if f.wrong]
        if len(self._wrong) > max(FEW, MOSTLY * self._seen):
            raise SimulationError(self._mostly_wrong())
        return size

    def _mostly_wrong(self) -> str:
        first = min(self._wrong, key=lambda failure: failure.row)
        return (
            f"{len(self._wrong):,} of {self._seen:,} outputs cannot be used. The first, simulation "
            f"{first.row}: {first.error}"
        )

    @property
    def succeeded(self) -> int:
        """How many simulations succeeded."""
        return int((self.status == OK).sum())

    def all_failed(self) -> str:
        """Say why no simulation succeeded."""
        counts = np.bincount(self.status, minlength=len(STATUS))
        wrong = len(self._wrong)
        first = min(self.failures, key=lambda failure: failure.row)
        rare = {
            "returned what no table can hold": wrong,
            "took too long": counts[TIMEOUT],
            "were lost": counts[LOST],
        }
        more = "".join(f", {count:,} {what}" for what, count in rare.items() if count)
        return (
            f"all {self.done:,} simulations failed: {counts[FAILED] - wrong:,} raised, "
            f"{counts[INVALID]:,} returned NaN or infinity{more}. The first:\n"
            f"{first.traceback or f'simulation {first.row}: {first.error}'}"
        )

    def _make(self, layout: Layout) -> None:
        if self.layout is not None:
            return
        self.layout = layout
        for name, shape in layout.shapes.items():
            length = layout.length_of(name)
            width = (self._widths[length],) if length else ()
            self.values[name] = np.full((len(self.status), *width, *shape), np.nan)
