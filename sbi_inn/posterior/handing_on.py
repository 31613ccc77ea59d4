"""Make functions of a posterior's parts its methods, with their docstrings."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from sbi_inn.checks import Subject
from sbi_inn.delegation import as_method
from sbi_inn.posterior.core import Core

P = ParamSpec("P")
R = TypeVar("R")


def of_core(function: Callable[Concatenate[Core, P], R]) -> Callable[Concatenate[Any, P], R]:
    """Hand on to a function of the core."""
    return as_method(lambda posterior: posterior.core, function, "Posterior")


def anew(
    function: Callable[Concatenate[Core, P], Core],
) -> Callable[Concatenate[Any, P], Any]:
    """Hand on to a function of the core that gives another one, and make a posterior of that."""
    hand_on = of_core(function)

    @wraps(hand_on)
    def method(self: Any, *args: P.args, **kwargs: P.kwargs) -> Any:
        return type(self)(hand_on(self, *args, **kwargs))

    return method


def moved(
    function: Callable[Concatenate[Core, P], Core],
) -> Callable[Concatenate[Any, P], Any]:
    """Hand on to a function that gives the same core elsewhere: what a check said still holds."""
    hand_on = of_core(function)

    @wraps(hand_on)
    def method(self: Any, *args: P.args, **kwargs: P.kwargs) -> Any:
        return type(self)(
            hand_on(self, *args, **kwargs),
            last_check=self.last_check,
            last_verdict=self.last_verdict,
            last_numbers=self.last_numbers,
        )

    return method


def of_subject(
    function: Callable[Concatenate[Subject, P], R],
) -> Callable[Concatenate[Any, P], R]:
    """Hand on to a function of what the checks share."""
    return as_method(lambda posterior: posterior._subject(), function, "Posterior")


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
