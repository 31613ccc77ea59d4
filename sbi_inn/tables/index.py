"""Names of the objects in a catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import xarray as xr

OBSERVATION = "observation"
"""The dim of a catalogue."""


def index_of(ys: Any, n: int) -> pd.Index:
    """Give the catalogue's own index, or 0 to n - 1 where it has none.

    Parameters
    ----------
    ys : Dataset with dim "observation", DataFrame with one row an observation, dict or sequence
        A dict holds observations by name.
    n : int
        How many there are.

    Examples
    --------
    >>> index_of(pd.DataFrame({"flux": [1.0, 2.0]}, index=pd.Index(["b", "a"], name="star")), 2)
    Index(['b', 'a'], dtype='str', name='star')
    """
    if isinstance(ys, pd.DataFrame):
        index = ys.index
    elif isinstance(ys, xr.Dataset) and OBSERVATION in ys.indexes:
        name = ys[OBSERVATION].attrs.get("index", OBSERVATION)
        index = ys.indexes[OBSERVATION].rename(str(name))
    elif isinstance(ys, Mapping) and not isinstance(ys, xr.Dataset):
        index = pd.Index(list(ys), tupleize_cols=False)
    else:
        index = pd.RangeIndex(n)
    return index if index.name is not None or index.nlevels > 1 else index.rename(OBSERVATION)


def coordinate(index: pd.Index) -> xr.Variable:
    """Make a coordinate of an index; what it was called is kept as an attribute.

    In a Dataset an index is called by its dim.
    """
    flat = index.to_flat_index() if index.nlevels > 1 else index
    name = OBSERVATION if index.name is None else str(index.name)
    return xr.Variable(OBSERVATION, flat.to_numpy(), {"index": name})
