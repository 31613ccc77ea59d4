"""What can go wrong, by name. Every message says where, what was expected and what came."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sbi_inn.data import Simulations


class PriorError(ValueError):
    """A prior that cannot be used: a wrong name, or something that is not a distribution."""


class ShapeError(ValueError):
    """An observation, or a simulator's output, whose names, shapes or values do not fit."""


class SimulationError(RuntimeError):
    """The simulator cannot be used, or every simulation failed.

    Attributes
    ----------
    simulations : Simulations or None
        The table so far: nothing that was already simulated is lost.
    """

    def __init__(self, message: str, simulations: Simulations | None = None) -> None:
        super().__init__(message)
        self.simulations = simulations


class LoadError(ValueError):
    """A file that cannot be read back: truncated, of a newer format, or not ours."""


class NoDensityError(TypeError):
    """A posterior that can be drawn from, but whose density cannot be evaluated."""
