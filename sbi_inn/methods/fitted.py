"""The face that every trained method shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sbi_inn.errors import LoadError
from sbi_inn.methods.cinn import CINN, FittedCINN
from sbi_inn.schema import Observations
from sbi_inn.training import History

FloatArray = npt.NDArray[np.float64]


class Fitted(Protocol):
    """A trained posterior on the latent side of the prior, where the prior is N(0, I)."""

    @property
    def settings(self) -> Any:
        """Settings of the method, nothing left open."""
        ...

    @property
    def history(self) -> History:
        """What happened in training."""
        ...

    def sample(self, observations: Observations, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw `n` for each observation, shape (observations, n, dim)."""
        ...

    def log_prob(self, latent: FloatArray, observations: Observations) -> FloatArray:
        """Log density of rows (batch, dim), given as many observations or one for all."""
        ...

    def describe(self) -> str:
        """Say what it is in half a line."""
        ...

    def to_arrays(self) -> tuple[dict[str, Any], Mapping[str, Mapping[str, npt.NDArray[Any]]]]:
        """Give settings as JSON would hold them, and arrays in named groups."""
        ...


def from_arrays(
    config: dict[str, Any], arrays: Mapping[str, Mapping[str, npt.NDArray[Any]]]
) -> Fitted:
    """Read back what `Fitted.to_arrays` gave.

    Raises
    ------
    LoadError
        If the method is unknown or the arrays do not fit it.
    """
    kinds = {CINN.name: FittedCINN}
    if config.get("name") not in kinds:
        raise LoadError(f"expected a method among {', '.join(kinds)}; got {config.get('name')!r}")
    try:
        return kinds[config["name"]].from_arrays(config, arrays)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise LoadError(f"the weights do not fit the settings beside them: {error}") from error
