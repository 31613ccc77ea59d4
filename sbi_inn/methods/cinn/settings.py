"""What can be chosen of a cINN, and what follows from the simulations."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
from torch import nn

from sbi_inn.flows import MIXINGS, TRANSFORMS
from sbi_inn.methods.blur import check_blur
from sbi_inn.summary_networks import POOLINGS, Pooling
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


@dataclass(frozen=True)
class CINNSettings:
    """A conditional invertible network with its summary network, trained together by eq. 3.8.

    What is None follows from the number of simulations and dimensions.

    Parameters
    ----------
    blocks : int or None
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
    features : int
        Features that the summary network learns of each part of an observation.
    dropout : float or None
        Share of the hidden units of the coupling blocks that is dropped at the start of training;
        it falls evenly, to none from 85 % of it on.
    blur : (float, float)
        Standard deviation of the noise added to scaled observations of fixed shape, at the start of
        training and from 70 % of it on: the second bounds how sharp a posterior can be, in
        units of the observables' spread.
    screening : bool
        Leave out observables of fixed shape that say nothing about the parameters, where they are
        many. Put it off where three or more observables have to be read together.
    pooling : {"mean", "attention"}
        How a set of measurements is summed up: by the mean of what each of them says, or also by
        means in which they choose their weights.
    start : {"auto", "trained", "exact"}
        What the coupling blocks start from. "trained": a linear regression that is trained on with
        them. "exact": a Gaussian posterior in closed form (`sbi_inn.flows.GaussianStart`) that is
        kept, on whitened observables; or, where rows left out are likelier by it, from the mode of
        a likelihood that is learned (`sbi_inn.flows.LaplaceStart`). It is far sharper where
        observables are a smooth function of the parameters, however vague the prior, and blunter
        elsewhere. It needs continuous parameters, no images, no summary network of your own, and
        more simulations than features that it reads; else the start is trained. "auto": trained in
        a single network. In an ensemble the second of four is exact, but learns no likelihood. If
        that one is worth its place, the fourth learns one; it takes the place of the others, or is
        left out.
    summary : "auto" or torch.nn.Module
        A summary network of your own, in place of those for vectors, sets, series and images; see
        `fit_posterior`.
    place : int
        Which of several networks it is; an ensemble sets it.
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
        """Give the settings of one network among several."""
        return replace(self, place=place)

    @property
    def starts_exact(self) -> bool:
        """Whether an exact start is wanted: by "auto" of the second and the fourth network."""
        return self.start == "exact" or (self.start == "auto" and self.place % 4 in (1, 3))

    @property
    def learns_likelihood(self) -> bool:
        """Whether such a start learns a likelihood: by "auto" of the fourth network alone."""
        return self.start == "exact" or (self.start == "auto" and self.place % 4 == 3)

    @property
    def late(self) -> bool:
        """Whether it is trained after others of its ensemble: the first and the last of four.

        The second and the third tell whether an exact start is worth more than series.
        """
        return self.start == "auto" and self.place % 4 in (0, 3)

    @property
    def tries(self) -> bool:
        """Whether it tries what late ones may do, too: the one with an exact start."""
        return self.start == "auto" and self.place % 4 == 1

    def advised(self, worth: bool) -> Self:
        """Give the settings of a late network, when it is known whether an exact start is worth it.

        If not, the fourth network starts as the third does.
        """
        return self if worth or not self.learns_likelihood else replace(self, start="trained")

    @property
    def reads_statistics(self) -> bool:
        """Whether large sets of single numbers are read by statistics: by the last two of four.

        Which is better depends on the law: its place, width and shape are soon learned from
        statistics, heavy tails and counts from entries. Stacking decides.
        """
        return self.place % 4 == 2 or (self.place % 4 == 3 and not self.learns_likelihood)

    @property
    def reads_curves(self) -> bool:
        """Whether curves are read as series: by the last two of four, unless they start exactly.

        Which is better depends on the curve: what may be anywhere, such as a line in a spectrum,
        and what follows from the entries before, is soon learned from windows; what each entry
        means by itself, from a vector. Stacking decides.
        """
        return self.reads_statistics and not self.starts_exact

    def resolve(self, n_train: int, dim: int, *, sets: bool = False) -> Self:
        """Fill in what is None.

        Few rows of many parameters are learned by heart soonest, sharp posteriors of few parameters
        are blunted by dropout: with one or two, and with sets of measurements, of which the blocks
        see averages alone, it does more harm than good.
        """
        hidden = self.hidden or 16 * round(float(np.interp(math.log10(n_train), (4, 5), (4, 8))))
        dropout = self.dropout
        if dropout is None:
            share = 1 - 1 / dim if dim > 2 and not sets else 0.0
            dropout = DROPOUT * share * min(1.0, math.sqrt(ROWS / n_train))
        return replace(self, blocks=self.blocks or 4, hidden=hidden, dropout=dropout)

    def schedule(self, training: Training, n_train: int) -> Training:
        """Fill in what is None of batch size, learning rate and epochs.

        Larger tables take larger batches and more steps; there are fewer passes over them.
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
