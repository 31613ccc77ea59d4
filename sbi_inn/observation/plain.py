"""Turn arrays of other libraries, and special ones of numpy, into plain arrays."""

from __future__ import annotations

from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """Give a torch tensor as an array, and a masked array with NaN where it is masked.

    Whatever else comes is given back as it is.

    Examples
    --------
    >>> plain(np.ma.array([1, 2], mask=[False, True]))
    array([ 1., nan])
    """
    if isinstance(value, np.ma.MaskedArray):
        if not np.ma.is_masked(value):
            return value.data
        return np.where(np.ma.getmaskarray(value), np.nan, value.data)
    if hasattr(value, "detach") and hasattr(value, "numpy"):  # a tensor, perhaps with a gradient
        return value.detach().cpu().numpy()
    return value
