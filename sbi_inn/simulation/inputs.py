"""What goes into the simulator: parameters and givens. Workers load this, so it is light."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sbi_inn.typing import AnyArray


@dataclass(frozen=True)
class Inputs:
    """Parameters and givens of many simulations, by name, each with leading axis (rows)."""

    parameters: dict[str, AnyArray]
    givens: dict[str, AnyArray]

    def __len__(self) -> int:
        return len(next(iter(self.parameters.values())))

    def __getitem__(self, rows: slice) -> Inputs:
        return Inputs(
            {name: value[rows] for name, value in self.parameters.items()},
            {name: value[rows] for name, value in self.givens.items()},
        )

    def vector(self) -> AnyArray:
        """Write all parameters side by side in prior order, shape (rows, k)."""
        columns = self.parameters.values()
        return np.concatenate([v.reshape(len(v), math.prod(v.shape[1:])) for v in columns], axis=1)
