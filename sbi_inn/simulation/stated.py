"""Check the arguments of a run."""

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
            "to simulate, parameters must be drawn from the prior, and this one cannot be drawn "
            "from: it was fitted to the single columns of a table, without their correlations, or "
            "read from a file, which cannot hold how fields are drawn. State it, as si.Prior(...)"
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
