"""The network of a cINN, and its training data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from sbi_inn.flows import (
    MLP,
    Dropout,
    GaussianStart,
    Informed,
    LaplaceStart,
    Normal,
    Pieces,
    Regression,
    Stack,
    coupling_flow,
)
from sbi_inn.flows.bijection import Bijection
from sbi_inn.flows.start_choice import PRIOR_SHARE, WORST
from sbi_inn.methods.blur import blurred
from sbi_inn.methods.cinn.settings import CINNSettings
from sbi_inn.methods.protocols import Cuts, TrainingData
from sbi_inn.methods.streaming import StreamedRows
from sbi_inn.observation.batch import Observations
from sbi_inn.summary_networks import Batch, Fusion, OwnNet, Parts, Scaling, Widths
from sbi_inn.training.device import device_of, on
from sbi_inn.training.loop import Rows
from sbi_inn.typing import AnyArray, FloatArray

# Share of the training after which nothing is dropped any more.
FADED = 0.85
# Width of the hidden layers in the summary network.
SUMMARY_HIDDEN = 64
# Rows that are scored at once.
AT_ONCE = 2048


@dataclass(frozen=True, kw_only=True)
class Shape(Widths):
    """Widths and kinds of what goes in.

    Attributes
    ----------
    dim : int
        Of the parameters.
    own : Parts or None
        What a summary network of the user's own is given.
    features : int
        How many it returns.
    cuts : tuple of (int, tuple of float)
        As `TrainingData.cuts`.
    exact : int
        Features that a start in closed form reads; 0 where there is none.
    exact_own : int
        How many of these, the first ones, are observables that it explains by an emulator.
    emulated : tuple of int
        Those of which a likelihood is learned; none where there are too many, or too few rows.
    givens : tuple of int
        Those that it depends on.
    of_sets : int
        Columns of the entries of a set, if it is of these.
    apart : bool
        Whether nothing else reads what it is of.
    """

    dim: int
    own: Parts | None = None
    features: int = 0
    cuts: Cuts = ()
    exact: int = 0
    exact_own: int = 0
    emulated: tuple[int, ...] = ()
    givens: tuple[int, ...] = ()
    of_sets: int = 0
    apart: bool = False

    @classmethod
    def of(
        cls,
        pairs: Pairs,
        data: TrainingData,
        scaling: Scaling,
        emulated: tuple[int, ...] = (),
        beside: int = 1,
    ) -> Shape:
        """Read them off rows."""
        exact = pairs.batch.exact
        return cls(
            dim=pairs.latent.shape[1],
            cuts=data.cuts,
            exact=0 if exact is None else exact.shape[1],
            exact_own=0 if scaling.exact is None else scaling.exact.own,
            emulated=emulated,
            of_sets=scaling.exact.n_columns if scaling.exact else 0,
            apart=bool(scaling.exact and scaling.exact.listed),
            givens=tuple(scaling.exact.givens.tolist()) if scaling.exact and emulated else (),
            **vars(Widths.read_off(pairs.batch, scaling, data.observations.series, beside)),
        )

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Read back what JSON has made of the fields."""
        own = config["own"]
        changed = {
            "own": None if own is None else Parts.from_config(own),
            "cuts": tuple((axis, tuple(ends)) for axis, ends in config["cuts"]),
            "emulated": tuple(config.get("emulated", ())),
            "givens": tuple(config.get("givens", ())),
            "of_sets": int(config.get("of_sets", 0)),
            "apart": bool(config.get("apart", config.get("of_sets", 0))),
        }
        return super().from_config({**config, **changed})


@dataclass(frozen=True)
class Pairs:
    """Rows of parameters, on the latent side of the prior, and observations."""

    latent: Tensor
    batch: Batch

    def __len__(self) -> int:
        return len(self.latent)

    @classmethod
    def of(cls, latents: FloatArray, observations: Observations, scaling: Scaling) -> Pairs:
        """Scale observations, and make tensors."""
        latent = torch.from_numpy(latents.astype(np.float32))
        return cls(latent, Batch.of(observations, scaling))

    def streamed(self, data: TrainingData, scaling: Scaling) -> Rows:
        """Give all rows to train on, where these are a sample of a table on disk; or else these."""
        if data.stream is None:
            return self
        return StreamedRows(data.stream, partial(Pairs.of, scaling=scaling))

    def renewed(
        self, data: TrainingData, scaling: Scaling
    ) -> Callable[[np.random.Generator], Pairs] | None:
        """Give what makes rows anew for each pass: with other noise, or fresh; None if nothing."""
        renew, fresh = data.renew, data.fresh
        if fresh is not None:
            return lambda rng: Pairs.of(*fresh(rng), scaling)
        if renew is None:
            return None
        return lambda rng: Pairs(self.latent, Batch.of(renew(rng), scaling))

    def __getitem__(self, rows: Tensor) -> Pairs:
        return Pairs(self.latent[rows], self.batch[rows])

    def to(self, device: torch.device) -> Pairs:
        """Give them on a device."""
        return Pairs(self.latent.to(device), self.batch.to(device))


@dataclass(frozen=True)
class DropoutAndBlur:
    """What makes a network learn shapes before rows, and fades away in training.

    Attributes
    ----------
    dropout : Dropout
        Of the coupling blocks.
    rate : float
        Share of hidden units that it drops at the start.
    blur : (float, float)
        Noise on the scaled observations of fixed shape, as `CINN.blur`.
    """

    dropout: Dropout
    rate: float
    blur: tuple[float, float]

    def __call__(self, pairs: Pairs, done: float, generator: torch.Generator) -> Pairs:
        """Blur a batch, and set the dropout for it."""
        self.dropout.rate = self.rate * max(0.0, 1 - done / FADED)
        vector = blurred(pairs.batch.vector, self.blur, done, generator)
        return replace(pairs, batch=replace(pairs.batch, vector=vector))

    def state(self) -> tuple[dict[str, Any], dict[str, AnyArray]]:
        """Give what the masks to come depend on, for a checkpoint."""
        return self.dropout.state()

    def restore(self, config: Mapping[str, Any], arrays: Mapping[str, AnyArray]) -> None:
        """Take over what `state` gave."""
        self.dropout.restore(config, arrays)


class Network(nn.Module):
    """Summary network, coupling blocks and latent distribution.

    Parameters
    ----------
    settings : CINNSettings
        Resolved.
    shape : Shape
    seed : int
        Of the dropout; the weights are drawn from torch's own generator.
    own : OwnNet, optional
        In place of a summary network of ours.
    """

    def __init__(
        self, settings: CINNSettings, shape: Shape, seed: int, own: OwnNet | None = None
    ) -> None:
        super().__init__()
        self.summary = own or Fusion.of(
            shape, features=settings.features, hidden=SUMMARY_HIDDEN, pooling=settings.pooling
        )
        self.dropout = Dropout(seed)
        # A summary of ours begins with the vector itself, which is what the regression reads.
        self.read = 0 if own else shape.vector
        self.start = _start(shape) if shape.exact else None
        self.flow = self._informed(settings, shape) if self.start else self._flow(settings, shape)
        self.latent = Normal(shape.dim)

    def _flow(self, settings: CINNSettings, shape: Shape) -> Bijection:
        """Make blocks after a regression that is trained with them, and the pieces before them."""
        cuts = dict(shape.cuts)
        smooth, seen = shape.dim - len(cuts), sum(len(cut) + 1 for cut in cuts.values())
        self.regression = Regression(smooth, seen + self.read)
        blocks = self._blocks(settings, smooth, seen + self.summary.features)
        flow = Stack([self.regression, blocks])
        if not cuts:
            return flow
        # Probabilities are blunt as they are: dropout helps sharp posteriors.
        heads = partial(_subnet(settings), context=self.summary.features)
        return Pieces(shape.dim, cuts, heads, flow if smooth else None)

    def _informed(self, settings: CINNSettings, shape: Shape) -> Bijection:
        """Make blocks after a start in closed form, whose means and widths they are told."""
        assert self.start is not None
        features = self.summary.features
        blocks = self._blocks(settings, shape.dim, features + self.start.told)
        return Informed(self.start, features, blocks)

    def _blocks(self, settings: CINNSettings, dim: int, context: int) -> Bijection:
        assert settings.blocks is not None
        generator = torch.Generator().manual_seed(torch.initial_seed() % 2**63)
        return coupling_flow(
            dim,
            settings.blocks if dim else 0,
            partial(_subnet(settings), context=context, dropout=self.dropout),
            generator,
            transform=settings.transform,
            mixing=settings.mixing,
            clamp=settings.clamp,
            bins=settings.bins,
        )

    def start_from(self, train: Pairs, own: int | None = None) -> Pairs:
        """Fit what is known in closed form, before training; give the rows with what it says.

        The first `own` features that an exact start reads are observables as they are.
        """
        if self.start is None:
            self.regression.fit(*self._linear(train))
            return train
        assert train.batch.exact is not None
        said = self.start.fit(train.latent, train.batch.exact, own)
        return replace(train, batch=replace(train.batch, said=said))

    def context(self, batch: Batch) -> Tensor:
        """Sum up observations, as the flow reads them, shape (batch, ...)."""
        features = self.summary(batch)
        if self.start is None:
            return features
        said = batch.said
        if said is None:
            assert batch.exact is not None
            said = self.ask(batch.exact)
        return torch.cat([features, said], dim=1)

    def ask(self, exact: Tensor) -> Tensor:
        """Give what an exact start says of rows of what it reads."""
        assert self.start is not None
        return torch.cat([self.start.predict(part) for part in exact.split(AT_ONCE)])

    @torch.no_grad()
    def asked(self, pairs: Pairs) -> Pairs:
        """Ask the start what it says of rows, once for all passes over them."""
        exact = pairs.batch.exact
        if self.start is None or exact is None:
            return pairs
        return replace(pairs, batch=replace(pairs.batch, said=self.ask(exact)))

    def _linear(self, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """Give what is regressed, and on what: all that is smooth, on pieces and the vector."""
        vector = pairs.batch.vector[:, : self.read]
        if not isinstance(self.flow, Pieces):
            return pairs.latent, vector
        seen = torch.cat([self.flow.inside(pairs.latent), vector], dim=1)
        return pairs.latent[:, self.flow.others], seen

    def log_prob(self, x: Tensor, context: Tensor) -> Tensor:
        """Log density by the change of variables (eq. 3.5), shape (batch,)."""
        z, log_det = self.flow(x, context)
        return self.latent.log_prob(z) + log_det

    def loss(self, pairs: Pairs) -> Tensor:
        """Negative log-likelihood of each row (eq. 3.8), shape (batch,)."""
        return -self.log_prob(pairs.latent, self.context(pairs.batch))

    def score(self, pairs: Pairs) -> Tensor:
        """Negative log-likelihood of the network with a little of the prior mixed in, (batch,).

        It bounds what one row in the tails of a sharp posterior can cost. Without the bound, a
        single such row among a thousand decides which weights are kept.
        """
        mine = torch.nan_to_num(-self.loss(pairs), nan=-math.inf)
        prior = self.latent.log_prob(pairs.latent)
        return -torch.logaddexp(mine + math.log1p(-PRIOR_SHARE), prior + math.log(PRIOR_SHARE))

    @torch.no_grad()
    def started(self, pairs: Pairs) -> float:
        """Give the mean loss of rows that were `asked`, by an exact start alone.

        Infinite where it is none, or has learned no likelihood.
        """
        said, start = pairs.batch.said, self.start
        if said is None or not isinstance(start, LaplaceStart) or not start.inverts:
            return math.inf
        z, log_det = start.whitened(pairs.latent, said)
        return -float((self.latent.log_prob(z) + log_det).clamp(min=-WORST).mean())

    @torch.no_grad()
    def judged(self, pairs: Pairs) -> float:
        """Give the mean score of rows, wherever they are."""
        device, each = device_of(self), torch.arange(len(pairs)).split(AT_ONCE)
        parts = [self.score(on(pairs[rows], device)) for rows in each]
        return torch.cat(parts).double().mean().item()


def _start(shape: Shape) -> GaussianStart | LaplaceStart:
    """Make what the blocks start from, in closed form."""
    exact = (shape.dim, shape.exact, shape.exact_own)
    return (
        LaplaceStart(*exact, shape.emulated, shape.givens, of_sets=shape.of_sets, apart=shape.apart)
        if shape.emulated
        else GaussianStart(*exact)
    )


def _subnet(settings: CINNSettings) -> partial[MLP]:
    """Make networks of the blocks, but for what they read."""
    assert settings.hidden is not None
    return partial(MLP, hidden=settings.hidden, depth=settings.depth)
