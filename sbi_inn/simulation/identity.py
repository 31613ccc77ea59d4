"""Compare code by its source, without running it, and name it."""

from __future__ import annotations

import functools
import hashlib
import inspect
import os
import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np


def identity(function: Callable[..., Any]) -> dict[str, str | None]:
    """Give name and hash of a function's source and of what it holds.

    Parameters
    ----------
    function : callable
        One that has an `identity` of its own, a text, is known by that.

    Returns
    -------
    dict
        "name", and "source": a SHA-256, or None where there is no source to read, or where it
        holds what cannot be compared.

    Examples
    --------
    >>> identity(print)
    {'name': 'print', 'source': None}
    """
    name = getattr(function, "__qualname__", type(function).__qualname__)
    try:
        own = getattr(function, "identity", None)
        text = own if isinstance(own, str) else _text(function)
    except (OSError, TypeError, ValueError, RecursionError):
        return {"name": name, "source": None}
    return {"name": name, "source": hashlib.sha256(text.encode()).hexdigest()}


def _text(value: Any) -> str:
    """Write down a function with its defaults and the values it closes over, or a plain value."""
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        return repr(value)
    if isinstance(value, os.PathLike):
        return repr(os.fspath(value))
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufU":
        return f"{value.dtype.str}{value.shape}{hashlib.sha256(value.tobytes()).hexdigest()}"
    if isinstance(value, list | tuple):
        return f"{type(value).__name__}({', '.join(map(_text, value))})"
    if isinstance(value, dict):
        return f"dict({', '.join(f'{k!r}: {_text(v)}' for k, v in value.items())})"
    if isinstance(value, functools.partial):
        return f"partial({_text(value.func)}, {_text(value.args)}, {_text(value.keywords)})"
    if inspect.ismethod(value):
        return f"{_text(value.__func__)} of {_text(value.__self__)}"
    if inspect.isfunction(value):
        source = textwrap.dedent(inspect.getsource(value))
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        return f"{source}{_text(value.__defaults__)}{_text(value.__kwdefaults__)}{_text(cells)}"
    if inspect.ismodule(value):
        return value.__name__
    if inspect.isclass(value):
        return textwrap.dedent(inspect.getsource(value))
    if hasattr(value, "__dict__"):
        return f"{_text(type(value))} {_text(vars(value))}"
    raise TypeError(f"{value!r:.80} cannot be compared")
