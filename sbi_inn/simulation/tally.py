"""Count the outcomes of simulations, and decide when a run is hopeless."""

from __future__ import annotations

import numpy as np

from sbi_inn.simulation.blocks import FAILED, INVALID, LOST, STATUS, TIMEOUT, Block, Failure
from sbi_inn.simulation.failure import SimulationError
from sbi_inn.typing import IntArray

FEW = 20
"""Outputs that no table can hold, up to which a run goes on however many that are of it."""

HOPELESS = 100
"""Simulations that raised, and none that did not, after which a run ends."""

MOSTLY = 0.5
"""Share of them beyond which it does not."""


class Tally:
    """Counts what became of simulations.

    Attributes
    ----------
    counts : array of int, shape (len(STATUS),)
    wrong : int
        Those that returned what no table can hold.
    """

    def __init__(self) -> None:
        self.counts: IntArray = np.zeros(len(STATUS), np.int64)
        self.wrong = 0
        self._first: Failure | None = None
        self._first_wrong: Failure | None = None

    def add(self, block: Block) -> None:
        """Count a block.

        Raises
        ------
        SimulationError
            If most outputs are such as no table can hold.
        """
        self.counts += np.bincount(block.status, minlength=len(STATUS))
        for failure in block.failures:
            self._first = _earlier(self._first, failure)
            if failure.wrong:
                self.wrong += 1
                self._first_wrong = _earlier(self._first_wrong, failure)
        if self._first_wrong is not None and self.wrong > max(FEW, MOSTLY * self.counts.sum()):
            raise SimulationError(
                f"{self.wrong:,} of {self.counts.sum():,} outputs cannot be used. The first, "
                f"simulation {self._first_wrong.row}: {self._first_wrong.error}"
            )

    @property
    def hopeless(self) -> bool:
        """Whether a hundred simulations, and all so far, have raised."""
        return bool(self.counts.sum() == self.counts[FAILED] >= HOPELESS)

    def all_failed(self, rows: int) -> str:
        """Say why no simulation succeeded, of `rows` that were asked for."""
        counts, first = self.counts, self._first
        assert first is not None
        rare = {
            "returned something that does not fit": self.wrong,
            "took too long": counts[TIMEOUT],
            "were lost": counts[LOST],
        }
        more = "".join(f", {count:,} {what}" for what, count in rare.items() if count)
        done, raised = counts.sum(), counts[FAILED] - self.wrong
        return (
            f"all {'of the first ' if done < rows else ''}{done:,} simulations failed: {raised:,} "
            f"raised, {counts[INVALID]:,} returned NaN or infinity{more}. The first:\n"
            f"{first.traceback or f'simulation {first.row}: {first.error}'}"
        )


def _earlier(one: Failure | None, other: Failure) -> Failure:
    return other if one is None or other.row < one.row else one
