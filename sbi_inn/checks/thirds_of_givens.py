"""Parts of the test simulations that are also checked one by one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sbi_inn.typing import BoolArray, FloatArray

FEWEST = 100  # test simulations in a part


def thirds(givens: Mapping[str, FloatArray]) -> dict[str, BoolArray]:
    """Cut the test simulations into thirds of each given; its values, if there are three or fewer.

    Parameters
    ----------
    givens : mapping of str to array, shape (n,)
        NaN, where one is missing, belongs to no part.

    Returns
    -------
    dict of str to mask, shape (n,)
        Under names such as "n_trials is 80 to 350". Parts of fewer than 100 are left out, and
        givens that do not vary.

    Examples
    --------
    >>> import numpy as np
    >>> {name: int(mask.sum()) for name, mask in thirds({"n": np.arange(300)}).items()}
    {'n is 0 to 99': 100, 'n is 100 to 199': 100, 'n is 200 to 299': 100}
    """
    groups = {}
    for name, values in givens.items():
        known = np.unique(values[np.isfinite(values)])
        if len(known) <= 3:
            masks = [values == value for value in known]
        else:
            low, high = np.quantile(values[np.isfinite(values)], [1 / 3, 2 / 3])
            masks = [values <= low, (values > low) & (values <= high), values > high]
        for mask in masks:
            if FEWEST <= mask.sum() < len(values):
                ends = f"{values[mask].min():.3g}", f"{values[mask].max():.3g}"
                groups[f"{name} is {' to '.join(dict.fromkeys(ends))}"] = mask
    return groups
