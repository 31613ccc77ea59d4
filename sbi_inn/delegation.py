"""Methods that are functions of what an object holds, with their signatures and docstrings."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")
R = TypeVar("R")


def as_method(
    of: Callable[[Any], T], function: Callable[Concatenate[T, P], R], owner: str
) -> Callable[Concatenate[Any, P], R]:
    """Make a method of a function.

    Parameters
    ----------
    of : callable
        From the object to what the function takes first.
    function : callable
    owner : str
        The name of the object's class.

    Examples
    --------
    >>> def bounded(core, low=0):
    ...     return max(core, low)
    >>> class Number:
    ...     core = -3
    ...     bounded = as_method(lambda number: number.core, bounded, "Number")
    >>> Number().bounded(), Number.bounded.__qualname__
    (0, 'Number.bounded')
    """

    @wraps(function)
    def method(self: Any, *args: P.args, **kwargs: P.kwargs) -> R:
        return function(of(self), *args, **kwargs)

    signature = inspect.signature(function)
    first, *others = signature.parameters.values()
    own = first.replace(name="self", annotation=inspect.Parameter.empty)
    method.__signature__ = signature.replace(parameters=[own, *others])  # pyright: ignore[reportAttributeAccessIssue]
    method.__qualname__ = f"{owner}.{function.__name__}"
    return method
