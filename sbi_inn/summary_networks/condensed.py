"""Large sets of single numbers, which their statistics tell all of."""

from __future__ import annotations

import numpy as np

from sbi_inn.observation.batch import Observations

# Entries up to which a set is also read one by one.
LARGE = 256


def condensable(observations: Observations) -> tuple[str, ...]:
    """Name the sets to read by their statistics alone: large ones of one column, without gaps.

    The order of entries says nothing, and a network takes as long for an entry as for any other.
    """
    found = []
    for name, padded in observations.sets.items():
        _, largest, columns = padded.values.shape
        single = columns == 1 and name not in observations.series
        if single and largest > LARGE and not np.isnan(padded.values).any():
            found.append(name)
    return tuple(found)
