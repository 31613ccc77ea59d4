"""What goes into the simulator: parameters, givens, and the seed of every simulation."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sbi_inn.errors import SimulationError

if TYPE_CHECKING:
    from sbi_inn.simulation.problem import Problem

Array = npt.NDArray[Any]

BLOCK = 256
_INPUTS, _ROWS, _BATCH = 0, 1, 2  # what a block's seed sequence is for: the last word of its key


@dataclass(frozen=True)
class Seeds:
    """The randomness of a run, keyed by block, so that neither order nor company changes a row.

    Attributes
    ----------
    seed : int
    stream : int
        Runs with one seed and different streams are independent.
    block : int
        Rows in a block.
    """

    seed: int
    stream: int = 0
    block: int = BLOCK

    def inputs(self, block: int) -> np.random.Generator:
        """Generator that a block's parameters and givens are drawn with."""
        return np.random.default_rng(self._sequence(block, _INPUTS))

    def batch(self, block: int) -> int:
        """Seed of a whole block of a batched simulator."""
        return int(self._sequence(block, _BATCH).generate_state(1, np.uint64)[0] >> 1)

    def rows(self, start: int, stop: int) -> list[int]:
        """Seed of each simulation from `start` to `stop`; it fits a signed 64-bit integer."""
        first, last = start // self.block, (stop - 1) // self.block
        states = [
            self._sequence(block, _ROWS).generate_state(self.block, np.uint64)
            for block in range(first, last + 1)
        ]
        offset = first * self.block
        return (np.concatenate(states)[start - offset : stop - offset] >> 1).tolist()

    def _sequence(self, block: int, purpose: int) -> np.random.SeedSequence:
        return np.random.SeedSequence(self.seed, spawn_key=(self.stream, block, purpose))


def fresh_seed(seed: int | None) -> int:
    """Give the seed itself, or fresh entropy that is short enough to be typed again."""
    return int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else int(seed)


@dataclass(frozen=True)
class Inputs:
    """Parameters and givens of many simulations, by name, each with leading axis (rows)."""

    parameters: dict[str, Array]
    givens: dict[str, Array]

    def __len__(self) -> int:
        return len(next(iter(self.parameters.values())))

    def __getitem__(self, rows: slice) -> Inputs:
        return Inputs(
            {name: value[rows] for name, value in self.parameters.items()},
            {name: value[rows] for name, value in self.givens.items()},
        )

    def vector(self) -> Array:
        """Write all parameters side by side in prior order, shape (rows, k)."""
        return np.concatenate([v.reshape(len(v), -1) for v in self.parameters.values()], axis=1)


def draw_inputs(problem: Problem, n: int, seeds: Seeds) -> Inputs:
    """Draw parameters and givens for `n` simulations, rounded up to whole blocks.

    Raises
    ------
    SimulationError
        If the length of a set is not an integer of at least 1.
    """
    blocks = -(-n // seeds.block)
    drawn = [_draw_block(problem, seeds.block, seeds.inputs(block)) for block in range(blocks)]
    inputs = Inputs(
        {k: np.concatenate([b.parameters[k] for b in drawn]) for k in problem.prior.names},
        {k: np.concatenate([b.givens[k] for b in drawn]) for k in problem.given},
    )
    check_lengths(problem, inputs)
    return inputs


def _draw_block(problem: Problem, rows: int, rng: np.random.Generator) -> Inputs:
    parameters = problem.prior.sample(rows, rng)
    givens = {
        name: np.full(rows, int(value) if is_whole(value) else float(value))
        if name in problem.constants
        else np.asarray(value.rvs(size=rows, random_state=rng))
        for name, value in problem.given.items()
    }
    return Inputs({name: parameters[name] for name in problem.prior.names}, givens)


def is_whole(given: Any) -> bool:
    """Whether a given's values are integers: an integer, or a discrete distribution."""
    return isinstance(given, Integral) or hasattr(given, "pmf") or hasattr(given, "logpmf")


def check_lengths(problem: Problem, inputs: Inputs) -> None:
    """Raise SimulationError unless the lengths of sets are integers of at least 1."""
    for length in problem.simulator.sets:
        value = inputs.givens[length]
        if value.dtype.kind not in "iu":
            raise SimulationError(
                f"{length} is the length of a set and must be an integer; got {value[0]:g}. Use a "
                "discrete distribution such as st.randint(1, 101), or an integer"
            )
        if value.min() < 1:
            raise SimulationError(
                f"{length} is the length of a set and must be at least 1; got {value.min()}"
            )
