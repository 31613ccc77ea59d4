"""Parameters as users give them, made arrays with one number of rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from sbi_inn.errors import PriorError
from sbi_inn.typing import FloatArray

Shape = tuple[int, ...]


def arrays(
    parameters: Mapping[str, Any], shapes: Mapping[str, Shape]
) -> tuple[dict[str, FloatArray], int]:
    """Make float64 arrays of parameters, with n rows each.

    Parameters
    ----------
    parameters : mapping
        One entry for each parameter; single rows serve all n.
    shapes : mapping of str to tuple
        Shape of one draw of each parameter.

    Returns
    -------
    dict of str to array, shape (n, *shape)
    int
        n.

    Raises
    ------
    PriorError
        For missing or unknown names, and shapes that do not fit together.
    """
    names = ", ".join(shapes)
    if not isinstance(parameters, Mapping):
        raise PriorError(
            f"expected the parameters {names} by name, as `unflatten` gives "
            f"them; got {type(parameters).__name__} of shape {np.shape(parameters)}"
        )
    given = [str(name) for name in parameters]
    if set(given) != set(shapes):
        raise PriorError(f"expected the parameters {names}; got {', '.join(given) or 'none'}")
    found = {name: _array(name, parameters[name], shape) for name, shape in shapes.items()}
    sizes = {len(array) for array in found.values()} - {1} or {1}
    if len(sizes) > 1:
        said = ", ".join(f"{name} {array.shape}" for name, array in found.items())
        raise PriorError(f"parameters must have the same number of rows; got {said}")
    n = sizes.pop()
    rows = {
        name: array if len(array) == n else np.broadcast_to(array, (n, *array.shape[1:]))
        for name, array in found.items()
    }
    return rows, n


def _array(name: str, value: npt.ArrayLike, shape: Shape) -> FloatArray:
    """Make a float64 array of one parameter, with a leading axis of rows."""
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError) as error:
        raise PriorError(f"parameter {name!r} must be numbers: {error}") from error
    array = array if array.ndim > len(shape) else array[None]
    if array.shape[1:] != shape:
        expected = str(shape), str(("n", *shape)).replace("'", "")
        raise PriorError(
            f"parameter {name!r} must have shape {' or '.join(expected)}; got {np.shape(value)}"
        )
    return array
