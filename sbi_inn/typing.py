"""Names of array types, as annotations use them, and what counts as a number of something."""

import math
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

AnyArray = npt.NDArray[Any]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def is_count(value: Any, least: int = 1) -> bool:
    """Whether something is a whole number of at least so much: 1e4 is as good as 10_000."""
    number: Any = value if isinstance(value, Real) else math.nan
    return least <= number < math.inf and number == int(number)
