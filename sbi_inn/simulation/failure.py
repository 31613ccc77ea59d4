"""What goes wrong with simulations; apart from their table, so that a worker starts quickly."""

from __future__ import annotations

from typing import Any


class SimulationError(RuntimeError):
    """The simulator cannot be used, or every simulation failed.

    Attributes
    ----------
    simulations : Simulations or None
        The table so far: nothing that was already simulated is lost.
    """

    def __init__(self, message: str, simulations: Any = None) -> None:
        super().__init__(message)
        self.simulations = simulations
