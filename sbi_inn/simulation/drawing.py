"""Parameters and givens drawn for a run, block by block."""

from __future__ import annotations

import math
import os

import numpy as np

from sbi_inn.errors import ShapeError
from sbi_inn.observation.image import Grid
from sbi_inn.prior import Prior
from sbi_inn.simulation.failure import SimulationError
from sbi_inn.simulation.givens import Drawer
from sbi_inn.simulation.inputs import Inputs
from sbi_inn.simulation.outputs import Layout
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.seeds import Seeds


def check_memory(problem: Problem, n: int, layout: Layout | None = None) -> None:
    """Raise SimulationError if a table of `n` rows cannot be held in memory.

    Parameters
    ----------
    problem : Problem
    n : int
    layout : Layout, optional
        Of the observables, once they are known.
    """
    needed, there = n * row_bytes(problem, layout), memory()
    if needed > there:
        raise SimulationError(
            f"a table of {n:,} simulations takes {needed / 1e9:,.3g} GB of memory at least; this "
            f"machine has {there / 1e9:,.3g} GB. simulate(..., store='runs/name.zarr') keeps them "
            "on disk"
        )


def row_bytes(problem: Problem, layout: Layout | None = None) -> int:
    """Count the bytes that one simulation takes at least."""
    shapes = list(layout.shapes.values()) if layout is not None else []
    numbers = problem.prior.dim + len(problem.given) + sum(map(math.prod, shapes))
    return 8 * numbers + 1


def memory() -> float:
    """Count the bytes of memory of this machine; infinite where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return math.inf


def draw_inputs(problem: Problem, n: int, seeds: Seeds) -> Inputs:
    """Draw parameters and givens for `n` simulations, rounded up to whole blocks.

    Raises
    ------
    SimulationError
        If the length of a set is not an integer of at least 1, or a given that `images=` names is
        no image.
    """
    blocks = -(-n // seeds.block)
    drawer = Drawer(problem.given)
    drawn = [
        draw_block(problem.prior, drawer, seeds.block, seeds.inputs(block))
        for block in range(blocks)
    ]
    inputs = Inputs(
        {k: np.concatenate([b.parameters[k] for b in drawn]) for k in problem.prior.names},
        {k: np.concatenate([b.givens[k] for b in drawn]) for k in problem.given},
    )
    check_givens(problem, inputs)
    return inputs


def draw_block(prior: Prior, drawer: Drawer, rows: int, rng: np.random.Generator) -> Inputs:
    """Draw the parameters and givens of one block."""
    drawn = prior.sample(rows, rng)
    parameters = {name: drawn[name] for name in prior.names}
    return Inputs(parameters, drawer(parameters, rows, rng))


def check_givens(problem: Problem, inputs: Inputs) -> None:
    """Raise SimulationError unless lengths are integers of at least 1, and images are images."""
    for name in problem.simulator.images:
        if name in problem.given:
            try:
                Grid(inputs.givens[name].shape[1:], axis=problem.simulator.channels)
            except ShapeError as error:
                raise SimulationError(f"given {name!r}: {error}") from None
    for length in problem.lengths:
        kind = "set" if length in problem.simulator.sets else "series"
        value = inputs.givens[length]
        if value.ndim > 1:
            raise SimulationError(
                f"{length} is the length of a set and must be one integer; got shape "
                f"{value.shape[1:]}"
            )
        if value.dtype.kind not in "iu":
            raise SimulationError(
                f"{length} is the length of a {kind} and must be an integer; got {value[0]:g}. Use "
                "a discrete distribution such as st.randint(1, 101), or an integer"
            )
        if value.min() < 1:
            raise SimulationError(
                f"{length} is the length of a {kind} and must be at least 1; got {value.min()}"
            )
