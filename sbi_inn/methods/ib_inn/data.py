"""Training data of a generative classifier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sbi_inn.observation.batch import Observations
from sbi_inn.typing import FloatArray, IntArray


@dataclass(frozen=True)
class LabelledData:
    """Observations, and the class of each.

    Attributes
    ----------
    observations : Observations
    labels : array of int, shape (rows,)
        From 0 to `classes` - 1.
    classes : int
    train, validation : array of int
        Which rows to use for what.
    renew : callable or None
        Gives the observations of the training rows with noise drawn anew, from a generator; None
        where there is no noise.
    """

    observations: Observations
    labels: IntArray
    classes: int
    train: IntArray
    validation: IntArray
    renew: Callable[[np.random.Generator], Observations] | None = None

    @property
    def log_weights(self) -> FloatArray:
        """Log of the share of each class among the training rows, shape (classes,)."""
        counts = np.bincount(self.labels[self.train], minlength=self.classes)
        return np.log(counts / counts.sum())
