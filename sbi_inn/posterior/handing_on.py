"""Methods of a posterior that are functions of what it holds, with their docstrings."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from sbi_inn.checks import Subject
from sbi_inn.posterior.core import Core

T = TypeVar("T")
P = ParamSpec("P")
R = TypeVar("R")


def _method(
    of: Callable[[Any], T], function: Callable[Concatenate[T, P], R]
) -> Callable[Concatenate[Any, P], R]:
    """Make a method of a function of what a posterior holds, with its signature and docstring."""

    @wraps(function)
    def method(self: Any, *args: P.args, **kwargs: P.kwargs) -> R:
        return function(of(self), *args, **kwargs)

    signature = inspect.signature(function)
    first, *others = signature.parameters.values()
    own = first.replace(name="self", annotation=inspect.Parameter.empty)
    method.__signature__ = signature.replace(parameters=[own, *others])  # pyright: ignore[reportAttributeAccessIssue]
    method.__qualname__ = f"Posterior.{function.__name__}"
    return method


def of_core(function: Callable[Concatenate[Core, P], R]) -> Callable[Concatenate[Any, P], R]:
    """Hand on to a function of the core."""
    return _method(lambda posterior: posterior.core, function)


def anew(
    function: Callable[Concatenate[Core, P], Core],
) -> Callable[Concatenate[Any, P], Any]:
    """Hand on to a function of the core that gives another one, and make a posterior of that."""
    hand_on = of_core(function)

    @wraps(hand_on)
    def method(self: Any, *args: P.args, **kwargs: P.kwargs) -> Any:
        return type(self)(hand_on(self, *args, **kwargs))

    return method


def of_subject(
    function: Callable[Concatenate[Subject, P], R],
) -> Callable[Concatenate[Any, P], R]:
    """Hand on to a function of what the checks share."""
    return _method(lambda posterior: posterior._subject(), function)


def drawing(function: Callable[Concatenate[Core, P], R]) -> Callable[Concatenate[Any, P], R]:
    """Hand on to a function of the core that draws; say once if the last check has failed."""
    hand_on = of_core(function)

    @wraps(hand_on)
    def method(self: Any, *args: P.args, **kwargs: P.kwargs) -> R:
        found = hand_on(self, *args, **kwargs)
        if self.last_verdict == "do not trust" and not self._warned:
            self._warned = True
            warnings.warn(f"the last check of this posterior said: {self.last_check}", stacklevel=2)
        return found

    return method
