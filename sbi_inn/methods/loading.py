"""Trained methods turned into settings and arrays, and back."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import nn

from sbi_inn.errors import LoadError
from sbi_inn.methods.ensemble.method import Ensemble
from sbi_inn.methods.protocols import Fitted, Groups
from sbi_inn.methods.recalibrated.fitted import Recalibrated
from sbi_inn.methods.registry import METHODS, with_summary


def to_arrays(fitted: Fitted) -> tuple[dict[str, Any], Groups]:
    """Give settings as JSON would hold them, and arrays in named groups.

    Raises
    ------
    TypeError
        If the method, which is not one of ours, does not say how.
    """
    inner = fitted.inner if isinstance(fitted, Recalibrated) else fitted
    if not callable(getattr(inner, "to_arrays", None)):
        raise TypeError(
            f"to be saved, {type(inner).__name__} needs to_arrays(): it gives settings that JSON "
            'can hold, with the method\'s "name" among them, and arrays as {group: {name: array}}; '
            "and to be loaded, the method needs that `name`, and read(config, arrays)"
        )
    return fitted.to_arrays()


def from_arrays(
    config: Mapping[str, Any],
    arrays: Groups,
    summary: nn.Module | None = None,
    method: Any = None,
) -> Fitted:
    """Read back what `to_arrays` gave.

    Parameters
    ----------
    config, arrays
    summary : Module, optional
        The summary network, where it was the user's own.
    method : Method, optional
        Where it is not one of ours: settings that can `read`.

    Raises
    ------
    LoadError
        If the method is unknown, the arrays do not fit it, or the summary network is missing or
        another one.
    """
    try:
        again = partial(from_arrays, summary=summary, method=method)
        for made_of_others in (Ensemble, Recalibrated):
            if config.get("name") == made_of_others.name:
                return made_of_others.read(config, arrays, again)
        return _reader(config.get("name"), summary, method).read(config, arrays)
    except LoadError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise LoadError(f"the weights do not fit the settings beside them: {error}") from error


def _reader(name: Any, summary: nn.Module | None, method: Any) -> Any:
    """Find settings that can read a file of this method."""
    if method is not None:
        known = getattr(method, "name", None)
        if known != name or not callable(getattr(method, "read", None)):
            raise LoadError(
                f"expected a method of name {name!r} that has read(config, arrays); got "
                f"{type(method).__name__} of name {known!r}"
            )
        return method
    if name not in METHODS:
        raise LoadError(
            f"expected a method among {', '.join((*METHODS, Ensemble.name))}; got {name!r}. One "
            "that is not of this package is code, which no file holds: pass it again, as "
            "load_posterior(path, method=...)"
        )
    return with_summary(METHODS[name](), "auto" if summary is None else summary)
