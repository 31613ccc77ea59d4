"""A prior, from whatever a user gives for one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sbi_inn.errors import PriorError
from sbi_inn.prior.prior import Prior


def as_prior(value: Any) -> Prior:
    """Take a Prior, or a mapping of names to distributions.

    Raises
    ------
    PriorError
        For anything else, with the line to write.

    Examples
    --------
    >>> import scipy.stats as st
    >>> as_prior({"A": st.norm(0, 1)})
    Prior(
        A=norm(0, 1),
    )
    """
    if isinstance(value, Prior):
        return value
    if isinstance(value, Mapping):
        return Prior(value)
    if value is None:
        raise PriorError("a simulator needs a prior, as in si.Prior(x=st.norm(0, 1)); got none")
    hint = "si.Prior(x=st.norm(0, 1), ...), or a dict of names and distributions"
    if isinstance(value, list | tuple):
        hint += ": every parameter needs the name that the simulator calls it by"
    raise PriorError(f"expected a prior, as in {hint}; got {type(value).__name__}")
