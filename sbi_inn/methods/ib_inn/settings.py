"""What can be chosen of an IB-INN, and what follows from the simulations."""

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
    """An invertible network to a latent mixture, one component a model, beside a classifier.

    What is None follows from the number of simulations.

    Parameters
    ----------
    gamma : float or "auto"
        Weight of the classes beside the density (eq. 5.17): 0 is a density alone, inf a classifier
        alone. "auto" takes the smallest of .02 to 50 whose classification of validation rows is
        as good as that of the best, within one standard error.
    blocks : int
        Number of coupling blocks.
    hidden : int or None
        Width of the hidden layers in the coupling blocks.
    depth : int
        Hidden layers in each of their networks.
    transform : {"affine", "spline", "mixed"}
        What a coupling block does to each number; "mixed" takes turns, affine first.
    mixing : {"permutation", "rotation"}
        What comes between two blocks, fixed at random.
    clamp : float
        Bound on the log scale of an affine block (eq. 3.13).
    bins : int
        Pieces of a spline.
    noise : float
        Standard deviation of the noise on what the network reads, in spreads (sec. C.1.4).
    smoothing : float
        Share of each label that is spread over all classes in training the latent mixture.
    fixed_means : bool
        Leave the means of the mixture where they start.
    reads : {"auto", "observables", "features"}
        What the density is of: the observables themselves, which need a fixed shape without gaps
        or pixels, or features that the classifier has learned. "auto": the first, where it is
        possible and there are at most 64 numbers.
    components : int
        How many principal components of the features are read.
    probabilities : {"classifier", "latent"}
        Where probabilities come from: the classifier, or the latent mixture (eq. 5.7).
    features : int
        Features that the summary network of the classifier learns of each part of an observation.
    pooling : {"mean", "attention"}
        How a set of measurements is summed up.
    start : bool
        Let every other classifier begin with a quadratic logistic regression in closed form.
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
        """Weights of the loss of the density, per dimension, and of that of the classes (5.17)."""
        gamma = self.gamma
        assert not isinstance(gamma, str)
        return (0.0, 2.0) if math.isinf(gamma) else (2 / (1 + gamma), 2 * gamma / (1 + gamma))

    def resolve(self, n_train: int) -> Self:
        """Fill in what is None."""
        width = 16 * round(float(np.interp(math.log10(n_train), (3, 5), (2, 5))))
        return replace(self, hidden=self.hidden or width)

    def schedule(self, training: Training, n_train: int, *, flow: bool = False) -> Training:
        """Fill in what is None of batch size, learning rate and epochs."""
        batch_size = min(training.batch_size or BATCH, n_train)
        steps = STEPS * (n_train / ROWS) ** 0.25 * (FLOW_STEPS if flow else 1.0)
        epochs = training.epochs or max(1, round(steps * batch_size / n_train))
        rate = training.learning_rate or LEARNING_RATE
        return replace(training, batch_size=batch_size, epochs=epochs, learning_rate=rate)
