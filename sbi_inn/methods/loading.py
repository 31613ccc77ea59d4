"""Trained methods read back from settings and arrays."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import nn

from sbi_inn.errors import LoadError
from sbi_inn.methods.bidirectional.settings import INN, read_inn
from sbi_inn.methods.cinn.settings import CINN, FittedCINN
from sbi_inn.methods.ensemble.settings import Ensemble, read_ensemble
from sbi_inn.methods.protocols import Fitted
from sbi_inn.typing import AnyArray


def from_arrays(
    config: dict[str, Any],
    arrays: Mapping[str, Mapping[str, AnyArray]],
    summary: nn.Module | None = None,
) -> Fitted:
    """Read back what `Fitted.to_arrays` gave.

    Parameters
    ----------
    config, arrays
    summary : Module, optional
        The summary network, where it was the user's own.

    Raises
    ------
    LoadError
        If the method is unknown, the arrays do not fit it, or the summary network is missing or
        another one.
    """
    kinds = {
        CINN.name: partial(FittedCINN.from_arrays, summary=summary),
        INN.name: read_inn,
        Ensemble.name: partial(read_ensemble, read=partial(from_arrays, summary=summary)),
    }
    if config.get("name") not in kinds:
        raise LoadError(f"expected a method among {', '.join(kinds)}; got {config.get('name')!r}")
    try:
        return kinds[config["name"]](config, arrays)
    except LoadError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise LoadError(f"the weights do not fit the settings beside them: {error}") from error
