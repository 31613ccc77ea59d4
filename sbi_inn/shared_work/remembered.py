"""Remember what a function of tensors or arrays gave, where several ask for the same."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from torch import Tensor

P = ParamSpec("P")
T = TypeVar("T")

# Results of each function that are kept, those that were asked for last.
KEPT = 6
# The same, of rows.
ROWS_KEPT = 10_000


def remembered(function: Callable[P, T]) -> Callable[P, T]:
    """Ask a function once for the same arguments, to the last bit.

    What it gives has to follow from its arguments alone, and is not to be changed in place. To read
    all bits of the arguments takes milliseconds, where a training takes seconds. Networks of an
    ensemble that are trained in one process share what is remembered.

    Parameters
    ----------
    function : callable
        Of tensors, arrays, numbers and strings, and tuples and lists of such.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.shared_work.remembered import remembered
    >>> asked = []
    >>> @remembered
    ... def total(x, factor=1.0):
    ...     asked.append(factor)
    ...     return factor * x.sum()
    >>> total(torch.ones(3)), total(torch.ones(3)), total(torch.ones(3), 2.0)
    (tensor(3.), tensor(3.), tensor(6.))
    >>> asked
    [1.0, 2.0]
    """
    known: OrderedDict[bytes, T] = OrderedDict()
    lock = threading.Lock()

    @wraps(function)
    def asked(*args: P.args, **kwargs: P.kwargs) -> T:
        digest = hashlib.blake2b(digest_size=16)
        _read((args, sorted(kwargs.items())), digest.update)
        key = digest.digest()
        with lock:
            if key in known:
                known.move_to_end(key)
                return known[key]
        found = function(*args, **kwargs)
        with lock:
            known[key] = found
            while len(known) > KEPT:
                known.popitem(last=False)
        return found

    return asked


def _read(value: Any, update: Callable[[Any], None]) -> None:
    """Read all bits of a value, and what it is."""
    if isinstance(value, Tensor):
        update(f"{value.dtype} {tuple(value.shape)} ".encode())
        update(value.detach().cpu().contiguous().numpy())
    elif isinstance(value, np.ndarray):
        update(f"{value.dtype} {value.shape} ".encode())
        update(np.ascontiguousarray(value))
    elif isinstance(value, tuple | list):
        update(f"{type(value).__name__} {len(value)} ".encode())
        for part in value:
            _read(part, update)
    else:
        update(f"{value!r} ".encode())


class RowMemory:
    """What a function gives of rows, kept for each by itself: a check asks for the same thrice.

    Parameters
    ----------
    function : callable (rows, columns) -> (rows, ...)
        What it gives of a row does not depend on the others.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.shared_work.remembered import RowMemory
    >>> memory = RowMemory(lambda rows: [print(len(rows), "new"), 2 * rows][1])
    >>> memory(torch.tensor([[1.0], [2.0]]))[:, 0]
    2 new
    tensor([2., 4.])
    >>> memory(torch.tensor([[2.0], [3.0]]))[:, 0]
    1 new
    tensor([4., 6.])
    """

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self.function = function
        self.known: OrderedDict[bytes, Tensor] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, rows: Tensor) -> Tensor:
        """Give it of rows, of which only those that are not known are asked for."""
        read = rows.detach().cpu().contiguous().numpy()
        keys = [hashlib.blake2b(row, digest_size=16).digest() for row in read]
        with self._lock:
            here = {key: self.known[key] for key in keys if key in self.known}
        places = {key: place for place, key in enumerate(keys) if key not in here}
        if places:
            found = self.function(rows[list(places.values())])
            # Copies: a view of one row would keep all rows in memory.
            here |= {key: row.clone() for key, row in zip(places, found, strict=True)}
        with self._lock:
            self._keep(here)
        return torch.stack([here[key] for key in keys]) if keys else self.function(rows)

    def _keep(self, here: dict[bytes, Tensor]) -> None:
        self.known.update(here)
        for key in here:
            self.known.move_to_end(key)
        while len(self.known) > ROWS_KEPT:
            self.known.popitem(last=False)

    def __reduce__(self) -> tuple[type[RowMemory], tuple[Callable[[Tensor], Tensor]]]:
        """Let copies begin with nothing."""
        return RowMemory, (self.function,)
