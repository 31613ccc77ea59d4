"""What a run needs to know beforehand."""

from __future__ import annotations

from typing import Any

from sbi_inn.errors import PriorError
from sbi_inn.simulation.blocks import Call
from sbi_inn.simulation.failure import SimulationError
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.seeds import Seeds
from sbi_inn.typing import is_count

DEFAULT = 10_000
"""Simulations, where no number is asked for."""


def checked_number(problem: Problem, n: Any) -> int:
    """Give the number of simulations, once it is known that they can be drawn.

    Raises
    ------
    PriorError
        If the prior was not stated.
    SimulationError
        If `n` is no number of simulations.
    """
    if not problem.prior.drawable:
        raise PriorError(
            "to simulate, parameters have to be drawn from the prior; this one was fitted to the "
            "columns of a table, and does not know how they go together, or was read from a file "
            "that does not know how to draw its fields: state it, as si.Prior(...)"
        )
    if n is None:
        return DEFAULT
    if not is_count(n):
        raise SimulationError(f"n is a number of simulations, at least 1; got {n!r}")
    return int(n)


def call_of(problem: Problem, seeds: Seeds) -> Call:
    """Make what is run of a problem."""
    taken = (*problem.prior.names, *problem.given, *problem.fixed_series)
    return Call(problem.simulator, problem.binding, seeds, taken, problem.kinds)
