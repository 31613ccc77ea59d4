"""A limit on what is built when its size comes from a file, which may say anything."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

# What makes a tensor from nothing but its size.
SIZED = {"empty", "zeros", "ones", "full", "rand", "randn", "new_zeros", "new_empty"}
# What makes one from a number that counts.
COUNTED = {"eye", "arange", "randperm", "linspace"}


class Budget(TorchFunctionMode):
    """Let torch make so many numbers in this block, in so many calls, and no more.

    A network is built before its weights are read into it. What is too large is refused before
    it takes memory, and what would go on for ever is ended.

    Parameters
    ----------
    numbers : int
        In all tensors together.
    calls : int
        Of torch's functions.

    Raises
    ------
    ValueError
        Within the block, where there would be more.

    Examples
    --------
    >>> import torch
    >>> with Budget(numbers=1_000, calls=100):
    ...     layer = torch.nn.Linear(10**9, 10**9)
    Traceback (most recent call last):
    ValueError: expected at most 1,000 numbers; got more: a tensor of 1,000,000,000,000,000,000
    >>> with Budget(numbers=1_000, calls=100):
    ...     layers = [torch.nn.Linear(1, 1) for _ in range(10**9)]
    Traceback (most recent call last):
    ValueError: expected at most 100 calls; got more
    """

    def __init__(self, *, numbers: int, calls: int) -> None:
        super().__init__()
        self.numbers, self.calls = numbers, calls
        self._numbers = self._calls = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Do a call if it is within the budget."""
        kwargs = kwargs or {}
        self._calls += 1
        if self._calls > self.calls:
            raise ValueError(f"expected at most {self.calls:,} calls; got more")
        self._spend(_asked(getattr(func, "__name__", ""), args, kwargs))
        return func(*args, **kwargs)

    def _spend(self, numbers: int) -> None:
        self._numbers += numbers
        if self._numbers > self.numbers:
            raise ValueError(
                f"expected at most {self.numbers:,} numbers; got more: a tensor of {numbers:,}"
            )


def _asked(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    """Count the numbers that a call would make; 0 where it takes them from other tensors."""
    if name in SIZED:
        return math.prod(map(int, _size([a for a in args if not isinstance(a, Tensor)], kwargs)))
    if name in COUNTED:
        counts = [abs(int(a)) for a in (*args, *kwargs.values()) if type(a) in (int, float)]
        return max(counts, default=0) ** (2 if name == "eye" else 1)
    return 0


def _size(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Sequence[int]:
    """Find the size, which is stated as one sequence or as numbers."""
    if "size" in kwargs:
        return kwargs["size"]
    if args and isinstance(args[0], list | tuple):
        return args[0]
    return [a for a in args if type(a) is int]
