"""Settings of an IB-INN, and their defaults."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, ClassVar, Literal, Self

import numpy as np

from sbi_inn.flows import MIXINGS, TRANSFORMS
from sbi_inn.summary_networks import POOLINGS, Pooling
from sbi_inn.training.settings import Training
from sbi_inn.training.stated import check_choice, check_fields

GAMMAS = (0.02, 0.1, 0.5, 1.0, 5.0, 50.0)
"""What `gamma="auto"` chooses among."""

READS = ("auto", "observables", "features")
PROBABILITIES = ("classifier", "latent")
# Training rows at which the number of steps was chosen, and that number.
ROWS, STEPS = 20_000, 800
# Steps of the flow, for each of the classifier: a density takes longer to learn than a boundary.
FLOW_STEPS = 2.0
# Rows of a batch, and the peak of the learning rate.
BATCH, LEARNING_RATE = 512, 3e-3


@dataclass(frozen=True)
class IBINNSettings:
    """An invertible network to a latent mixture, with one component per model, and a classifier.

    Settings that are None are chosen from the number of simulations.

    Parameters
    ----------
    gamma : float or "auto"
        Weight of the classification against the density (eq. 5.17): 0 learns only the density, inf
        only the classes. "auto" tries values from .02 to 50, and takes the smallest that classifies
        validation rows as well as the best one, within one standard error.
    blocks : int
        Number of coupling blocks.
    hidden : int or None
        Width of the hidden layers in the coupling blocks.
    depth : int
        Number of hidden layers in each network of a coupling block.
    transform : {"affine", "spline", "mixed"}
        Function that a coupling block applies to each number; "mixed" alternates, affine first.
    mixing : {"permutation", "rotation"}
        How numbers are mixed between two blocks; it is random and fixed.
    clamp : float
        Bound on the log scale of an affine block (eq. 3.13).
    bins : int
        Number of pieces of a spline.
    noise : float
        Standard deviation of the noise added to the inputs, in units of their spread (sec. C.1.4).
    smoothing : float
        Share of each label that is spread over all classes when the latent mixture is trained.
    fixed_means : bool
        Keep the means of the mixture at their initial values.
    reads : {"auto", "observables", "features"}
        Inputs of the invertible network: the observables themselves, which then need a fixed shape
        without missing values or pixels, or features that the classifier has learned. "auto": the
        observables, if possible and if there are at most 64 numbers.
    components : int
        Number of principal components of the features that are used.
    probabilities : {"classifier", "latent"}
        Where probabilities come from: the classifier, or the latent mixture (eq. 5.7).
    features : int
        Number of features that the classifier's summary network learns from each part of an
        observation.
    pooling : {"mean", "attention"}
        How a set of measurements is summarised: by means of learned functions, or also by weighted
        means with learned weights.
    start : bool
        Let every second classifier start from a quadratic logistic regression in closed form.
    """

    name: ClassVar[str] = "ib_inn"
    label: ClassVar[str] = "IB-INN"

    gamma: float | Literal["auto"] = 1.0
    blocks: int = 4
    hidden: int | None = None
    depth: int = 2
    transform: Literal["affine", "spline", "mixed"] = "mixed"
    mixing: Literal["permutation", "rotation"] = "rotation"
    clamp: float = 2.0
    bins: int = 8
    noise: float = 1e-3
    smoothing: float = 0.0
    fixed_means: bool = False
    reads: Literal["auto", "observables", "features"] = "auto"
    components: int = 8
    probabilities: Literal["classifier", "latent"] = "classifier"
    features: int = 32
    pooling: Pooling = "mean"
    start: bool = True

    def __post_init__(self) -> None:
        whole = ("blocks", "hidden", "depth", "bins", "components", "features")
        check_fields(self, whole=whole, positive=("clamp", "noise"))
        stated: Any = self.gamma
        if stated != "auto" and not (isinstance(stated, Real) and float(stated) >= 0):
            raise ValueError(
                f'IBINN(gamma=...) must be "auto" or a number of at least 0; got {self.gamma!r}'
            )
        if not 0 <= self.smoothing < 1:
            raise ValueError(f"IBINN(smoothing=...) must be in [0, 1); got {self.smoothing!r}")
        check_choice(self, "transform", TRANSFORMS)
        check_choice(self, "mixing", MIXINGS)
        check_choice(self, "pooling", POOLINGS)
        check_choice(self, "reads", READS)
        check_choice(self, "probabilities", PROBABILITIES)

    @property
    def balance(self) -> tuple[float, float]:
        """Weights of two losses (eq. 5.17): of the density, per dimension, and of the classes."""
        gamma = self.gamma
        assert not isinstance(gamma, str)
        return (0.0, 2.0) if math.isinf(gamma) else (2 / (1 + gamma), 2 * gamma / (1 + gamma))

    def resolve(self, n_train: int) -> Self:
        """Choose settings that are None."""
        width = 16 * round(float(np.interp(math.log10(n_train), (3, 5), (2, 5))))
        return replace(self, hidden=self.hidden or width)

    def schedule(self, training: Training, n_train: int, *, flow: bool = False) -> Training:
        """Choose batch size, learning rate and epochs where they are None."""
        batch_size = min(training.batch_size or BATCH, n_train)
        steps = STEPS * (n_train / ROWS) ** 0.25 * (FLOW_STEPS if flow else 1.0)
        epochs = training.epochs or max(1, round(steps * batch_size / n_train))
        rate = training.learning_rate or LEARNING_RATE
        return replace(training, batch_size=batch_size, epochs=epochs, learning_rate=rate)
