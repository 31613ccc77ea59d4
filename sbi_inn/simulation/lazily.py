"""Parameters and givens that are drawn when they are asked for, block by block."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from sbi_inn.simulation.drawing import check_givens, draw_block
from sbi_inn.simulation.givens import Drawer
from sbi_inn.simulation.inputs import Inputs
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.seeds import Seeds


class LazyInputs:
    """Parameters and givens of `n` rows, of which none is kept.

    Examples
    --------
    >>> import scipy.stats as st
    >>> from sbi_inn.prior import Prior
    >>> inputs = LazyInputs(Problem(lambda a: a, Prior(a=st.norm())), 10**12, Seeds(1))
    >>> len(inputs[10**11 : 10**11 + 300])
    300
    """

    def __init__(self, problem: Problem, n: int, seeds: Seeds) -> None:
        self._problem, self._n, self._seeds = problem, n, seeds
        self._drawer = Drawer(problem.given)
        self._block = lru_cache(maxsize=8)(self._draw)

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, rows: slice) -> Inputs:
        start, stop, _ = rows.indices(self._n)
        size = self._seeds.block
        first = start // size
        blocks = [self._block(block) for block in range(first, max(-(-stop // size), first + 1))]
        here = slice(start - first * size, stop - first * size)
        return Inputs(
            {n: _joined([b.parameters[n] for b in blocks])[here] for n in blocks[0].parameters},
            {n: _joined([b.givens[n] for b in blocks])[here] for n in blocks[0].givens},
        )

    def _draw(self, block: int) -> Inputs:
        rng = self._seeds.inputs(block)
        inputs = draw_block(self._problem.prior, self._drawer, self._seeds.block, rng)
        check_givens(self._problem, inputs)
        return inputs


def _joined(arrays: list[np.ndarray]) -> np.ndarray:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
