"""The outcome of a run, gathered block by block, in any order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from sbi_inn.simulation.blocks import FAILED, OK, Block, Failure
from sbi_inn.simulation.outputs import Layout
from sbi_inn.simulation.tally import Tally
from sbi_inn.typing import FloatArray


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
        self._tally = Tally()

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
        self._tally.add(replace(block, status=block.status[:size], failures=failures))
        return size

    @property
    def succeeded(self) -> int:
        """How many simulations succeeded."""
        return int((self.status == OK).sum())

    @property
    def hopeless(self) -> bool:
        """Whether a hundred simulations, and all so far, have raised."""
        return self._tally.hopeless

    def all_failed(self) -> str:
        """Say why no simulation succeeded."""
        return self._tally.all_failed(len(self.status))

    def _make(self, layout: Layout) -> None:
        if self.layout is not None:
            return
        self.layout = layout
        for name, shape in layout.shapes.items():
            length = layout.length_of(name)
            width = (self._widths[length],) if length else ()
            self.values[name] = np.full((len(self.status), *width, *shape), np.nan)
