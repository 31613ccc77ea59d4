"""Settings of a cINN, and their defaults."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
from torch import nn

from sbi_inn.flows import MIXINGS, TRANSFORMS
from sbi_inn.methods.blur import check_blur
from sbi_inn.methods.protocols import TrainingData
from sbi_inn.summary_networks import POOLINGS, Pooling
from sbi_inn.summary_networks.entries import of_one_set
from sbi_inn.training.settings import Training
from sbi_inn.training.stated import check_choice, check_fields

STARTS = ("auto", "trained", "exact")
# Training rows at which what follows was chosen, over the tasks of the public benchmark at once.
ROWS = 8_000
# Steps of the optimiser.
STEPS = 1_240
# Rows of a batch.
BATCH = 256
# Peak of the learning rate.
LEARNING_RATE = 8e-3
# Share of the hidden units that is dropped at the start, of many parameters.
DROPOUT = 0.5
# Share of that dropout, where observations are read as series.
OF_SERIES = 0.25


@dataclass(frozen=True)
class CINNSettings:
    """A conditional invertible network and its summary network, which are trained together.

    The loss is eq. 3.8 of the dissertation. Settings that are None are chosen from the number of
    simulations and parameters.

    Parameters
    ----------
    blocks : int or None
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
    features : int
        Number of features that the summary network learns from each part of an observation.
    dropout : float or None
        Share of the hidden units in the coupling blocks that is dropped at the start of training.
        It falls linearly, to zero at 85 % of the training.
    blur : (float, float)
        Standard deviation of the noise added to scaled observations of fixed shape, at the start of
        training and from 70 % of it on, in units of the observables' spread. The second number
        limits how sharp a posterior can be.
    screening : bool
        Leave out observables of fixed shape that say nothing about the parameters, if there are
        many observables. Switch it off if only three or more observables together say something.
    pooling : {"mean", "attention"}
        How a set of measurements is summarised: by the mean over its entries of learned functions,
        or also by weighted means with learned weights.
    start : {"auto", "trained", "exact"}
        What the coupling blocks start from. "trained": a linear regression, which is trained with
        them. "exact": a Gaussian posterior in closed form (`sbi_inn.flows.GaussianStart`), which is
        kept, on whitened observables; or the mode of a learned likelihood
        (`sbi_inn.flows.LaplaceStart`), if that makes left-out rows more probable. An exact start
        gives far sharper posteriors if the observables are a smooth function of the parameters,
        however vague the prior, and less sharp ones otherwise. It needs continuous parameters, no
        images, no summary network of your own, and more simulations than features; without these,
        the start is trained. "auto": a single network has a trained start. In an ensemble, the
        second of four has an exact one without a likelihood. If that network improves the ensemble,
        or if what a likelihood says is better than what the other networks have learned, the fourth
        also learns a likelihood, and may replace the others or be left out. If most observables
        take two values, the second learns one in place of the fourth.
    summary : "auto" or torch.nn.Module
        A summary network of your own, in place of those for vectors, sets, series and images; see
        `fit_posterior`.
    place : int
        The number of a network in its ensemble, which sets it.
    beat : float or None
        Set by an ensemble that its second network did not improve: the fourth starts from a learned
        likelihood only if that has a smaller loss of validation rows.
    """

    name: ClassVar[str] = "cinn"
    label: ClassVar[str] = "cINN"
    uses_prior: ClassVar[bool] = False
    default_members: ClassVar[int] = 4
    takes_summary: ClassVar[bool] = True
    takes_fresh: ClassVar[bool] = True
    takes_stream: ClassVar[bool] = True

    blocks: int | None = None
    hidden: int | None = None
    depth: int = 3
    transform: Literal["affine", "spline", "mixed"] = "mixed"
    mixing: Literal["permutation", "rotation"] = "permutation"
    clamp: float = 2.0
    bins: int = 8
    features: int = 32
    dropout: float | None = None
    blur: tuple[float, float] = (0.5, 0.002)
    screening: bool = True
    pooling: Pooling = "mean"
    start: Literal["auto", "trained", "exact"] = "auto"
    summary: Any = "auto"
    place: int = field(default=0, repr=False)
    beat: float | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        whole = ("blocks", "hidden", "depth", "bins", "features")
        check_fields(self, whole=whole, positive=("clamp",))
        check_blur(self)
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise ValueError(f"CINN(dropout=...) must be in [0, 1); got {self.dropout!r}")
        if not (self.summary == "auto" or isinstance(self.summary, nn.Module)):
            raise ValueError(
                'expected summary="auto" or a torch module, such as summary=MyNet(); got '
                f"{self.summary!r:.80}"
            )
        check_choice(self, "transform", TRANSFORMS)
        check_choice(self, "mixing", MIXINGS)
        check_choice(self, "pooling", POOLINGS)
        check_choice(self, "start", STARTS)

    def member(self, place: int) -> Self:
        """Return the settings of one network of an ensemble, by its number."""
        return replace(self, place=place)

    @property
    def starts_exact(self) -> bool:
        """Whether the start is exact; with "auto", in the second and fourth of four networks."""
        return self.start == "exact" or (self.start == "auto" and self.place % 4 in (1, 3))

    @property
    def learns_likelihood(self) -> bool:
        """Whether an exact start learns a likelihood; with "auto", only in the fourth of four."""
        return self.start == "exact" or (self.start == "auto" and self.place % 4 == 3)

    @property
    def dear(self) -> bool:
        """Whether its training takes longer than that of others."""
        return self.learns_likelihood

    def late(self, data: TrainingData) -> bool:
        """Whether it is trained after others of its ensemble: the first and fourth of four.

        The second and third show whether an exact start is better than reading curves as series.
        Of a single set a likelihood is learned whatever they show.
        """
        asks = not of_one_set(data.observations)
        return asks and self.start == "auto" and self.place % 4 in (0, 3)

    @property
    def tries(self) -> bool:
        """Whether it also tries what late networks may do; with "auto", the second of four."""
        return self.start == "auto" and self.place % 4 == 1

    def advised(self, worth: bool, loss: float) -> Self:
        """Return the settings of a late network; `worth`: whether an exact start is worth it.

        If not, the fourth network starts as the third does, unless a likelihood that it learns has
        a smaller loss of validation rows than the best of the others, if these have any.
        """
        as_it_is = worth or not self.learns_likelihood or not math.isfinite(loss)
        return self if as_it_is else replace(self, beat=loss)

    @property
    def reads_statistics(self) -> bool:
        """Whether large sets are read by statistics: third of four; fourth without a likelihood.

        Which is better depends on the distribution: location, width and shape are easily learned
        from statistics; heavy tails and counts, from entries. Stacking decides.
        """
        return self.place % 4 == 2 or (self.place % 4 == 3 and not self.learns_likelihood)

    @property
    def reads_curves(self) -> bool:
        """Whether curves are read as series: third of four; fourth if its start is trained.

        Which is better depends on the curve. Features at any place, such as a line in a spectrum,
        and dependence on earlier entries are easily learned from windows; the meaning of each
        single entry, from a vector. Stacking decides.
        """
        return self.reads_statistics and not self.starts_exact

    @property
    def beside(self) -> int:
        """Steps that windows of series reach over on either side: 1 in second and third of four.

        Which is better depends on the series. Smooth curves are learned from wide windows, noise
        that depends on its last values from narrow ones. Stacking decides.
        """
        return 1 if self.place % 4 in (1, 2) else 0

    def resolve(self, n_train: int, dim: int, *, sets: bool = False, series: bool = False) -> Self:
        """Choose settings that are None.

        Dropout prevents overfitting, which is strongest for few rows of many parameters. It blurs
        sharp posteriors of few parameters, so there is none for one or two parameters, nor for sets
        of measurements, of which the blocks only see averages. For series, of which they see
        averages and more, there is a little.
        """
        hidden = self.hidden or 16 * round(float(np.interp(math.log10(n_train), (4, 5), (4, 8))))
        dropout = self.dropout
        if dropout is None:
            share = 1 - 1 / dim if dim > 2 and not sets else 0.0
            share *= OF_SERIES if series else 1.0
            dropout = DROPOUT * share * min(1.0, math.sqrt(ROWS / n_train))
        return replace(self, blocks=self.blocks or 4, hidden=hidden, dropout=dropout)

    def schedule(self, training: Training, n_train: int) -> Training:
        """Choose batch size, learning rate and epochs where they are None.

        Larger tables have larger batches, more steps and fewer epochs.
        """
        more = n_train / ROWS
        batch_size = training.batch_size or max(64, round(BATCH * more**0.3 / 64) * 64)
        steps = STEPS * more**0.4
        return replace(
            training,
            batch_size=batch_size,
            learning_rate=training.learning_rate or LEARNING_RATE,
            epochs=training.epochs or max(1, round(steps * batch_size / n_train)),
        )
