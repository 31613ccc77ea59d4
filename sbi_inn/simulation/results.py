"""The outcome of a run, gathered block by block."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sbi_inn.simulation.blocks import FAILED, INVALID, OK, STATUS, Block, Failure
from sbi_inn.simulation.outputs import Layout
from sbi_inn.typing import FloatArray


class Results:
    """Arrays of the observables of `rows` simulations, filled in order.

    Parameters
    ----------
    rows : int
    widths : mapping of str to int
        The largest length of every set, to which its columns are padded with NaN.

    Attributes
    ----------
    done : int
        The simulations so far.
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

    def add(self, block: Block) -> None:
        """Write a block that begins where the last one ended; what exceeds the rows is cut.

        Raises
        ------
        WrongOutput
            If the outputs differ from those so far.
        """
        rows = len(self.status)
        size = min(len(block.status), rows - block.start)
        if block.layout is not None and block.values:
            self._fit(block.layout)
        self.status[block.start : block.start + size] = block.status[:size]
        for name, value in block.values.items():
            target = self.values[name][block.start : block.start + size]
            if value.ndim == 1:
                target[:] = value[:size]
            else:  # a set of this block may be narrower or, where it is cut, wider
                width = min(value.shape[1], target.shape[1])
                target[:, :width] = value[:size, :width]
        self.failures += [f for f in block.failures if f.row < rows]
        self.done = block.start + size

    @property
    def succeeded(self) -> int:
        """How many simulations succeeded."""
        return int((self.status == OK).sum())

    def all_failed(self) -> str:
        """Say why no simulation succeeded."""
        counts = np.bincount(self.status[: self.done], minlength=len(STATUS))
        of_first = "of the first " if self.done < len(self.status) else ""
        first = min(self.failures, key=lambda failure: failure.row)
        return (
            f"all {of_first}{self.done:,} simulations failed: {counts[FAILED]:,} raised, "
            f"{counts[INVALID]:,} returned NaN or infinity. The first:\n"
            f"{first.traceback or first.error}"
        )

    def _fit(self, layout: Layout) -> None:
        if self.layout is None:
            self.layout = layout
            for name, shape in layout.shapes.items():
                length = layout.length_of(name)
                width = (self._widths[length],) if length else ()
                self.values[name] = np.full((len(self.status), *width, *shape), np.nan)
            return
        self.layout.check_names(layout.shapes, layout.row)
        for name, shape in layout.shapes.items():
            self.layout.check_shape(name, shape, layout.row)
