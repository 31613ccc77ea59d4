"""One seed a study, and a stream of random numbers for each thing that it is used for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, auto

import numpy as np

from sbi_inn.training.stated import check_seed

BLOCK = 256
"""Rows that are drawn, and of a batched simulator simulated, together."""


class _Use(IntEnum):
    """What the random numbers of a block are for."""

    INPUTS = 0
    ROWS = 1
    BATCH = 2
    NOISE = 3


class Stream(IntEnum):
    """What random numbers are for. Each is used in one place, and no two share numbers.

    Training takes the seed itself, from which no stream is drawn.
    """

    SIMULATIONS = 0
    GIVENS_OF_A_TABLE = auto()
    NOISE_OF_A_TABLE = auto()
    SPLIT = auto()
    DISCRETE_PARAMETERS = auto()
    ENSEMBLE_MEMBERS = auto()
    DRAWS = auto()
    RESIMULATION = auto()
    ABC = auto()
    MODE_SEARCH = auto()
    TEST_SIMULATIONS = auto()
    TIMED_SIMULATIONS = auto()
    CHECK_DRAWS = auto()
    CHECK_SIMULATIONS = auto()
    POSTERIOR_SBC = auto()
    MANY_TOGETHER = auto()
    LEARNING_CURVE_ROWS = auto()
    LEARNING_CURVE_LAWS = auto()
    PLAN_SIMULATIONS = auto()
    PLAN_DRAWS = auto()
    REWEIGHTED_PRIOR = auto()
    REWEIGHTED_ROWS = auto()
    IMPORTANCE = auto()
    CONDITIONAL_RANKS = auto()
    CHECK_SIMULATIONS_TWICE = auto()
    REFINED_ROUNDS = auto()
    REFINED_SIMULATIONS = auto()
    COMPARED_MODELS = auto()
    COMPARED_SPLIT = auto()
    CALIBRATED_CLASSES = auto()
    CLASS_CHECKS = auto()
    RECALIBRATION = auto()
    RECALIBRATION_SIMULATIONS = auto()
    RECALIBRATION_FOLDS = auto()
    INTERVALS = auto()
    GROWN_SIMULATIONS = auto()
    ONLINE = auto()
    FURTHER_TRAINING = auto()
    STREAMED_NOISE = auto()
    STREAMED_SAMPLE = auto()
    PROBED = auto()
    CLOSED_IN = auto()


def sequence(seed: int, stream: Stream, *keys: int) -> np.random.SeedSequence:
    """Give the seed sequence of a stream, or of a part of it that `keys` name.

    Raises
    ------
    ValueError
        If the seed is no whole number of at least 0.
    """
    check_seed(seed)
    return np.random.SeedSequence(seed, spawn_key=(stream, *keys))


def generator(seed: int, stream: Stream, *keys: int) -> np.random.Generator:
    """Make the generator of a stream, or of a part of it that `keys` name.

    >>> generator(1, Stream.DRAWS).random() == generator(1, Stream.ABC).random()
    False
    """
    return np.random.default_rng(sequence(seed, stream, *keys))


def fresh_seed(seed: int | None) -> int:
    """Give the seed itself, or fresh entropy that is short enough to be typed again.

    Raises
    ------
    ValueError
        If it is no whole number of at least 0.
    """
    if seed is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    check_seed(seed)
    return int(seed)


@dataclass(frozen=True)
class Seeds:
    """The randomness of a run, keyed by block, so that neither order nor company changes a row.

    Attributes
    ----------
    seed : int
    stream : Stream
        Runs with one seed and different streams are independent.
    block : int
        Rows in a block.
    """

    seed: int
    stream: Stream = Stream.SIMULATIONS
    block: int = BLOCK

    def inputs(self, block: int) -> np.random.Generator:
        """Make the generator that a block's parameters and givens are drawn with."""
        return generator(self.seed, self.stream, block, _Use.INPUTS)

    def noise(self) -> np.random.Generator:
        """Make the generator of the noise that is applied to the whole run."""
        return generator(self.seed, self.stream, 0, _Use.NOISE)

    def batch(self, block: int) -> int:
        """Give the seed of a whole block of a batched simulator."""
        words = sequence(self.seed, self.stream, block, _Use.BATCH).generate_state(1, np.uint64)
        return int(words[0] >> 1)

    def rows(self, start: int, stop: int) -> list[int]:
        """Give the seed of each simulation from `start` to `stop`, of 63 bits."""
        first, last = start // self.block, (stop - 1) // self.block
        states = [
            sequence(self.seed, self.stream, block, _Use.ROWS).generate_state(self.block, np.uint64)
            for block in range(first, last + 1)
        ]
        offset = first * self.block
        return (np.concatenate(states)[start - offset : stop - offset] >> 1).tolist()
