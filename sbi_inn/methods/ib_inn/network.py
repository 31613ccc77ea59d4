"""The two networks of an IB-INN: a classifier, and a flow to a latent mixture."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sbi_inn.flows import MLP, Free, Mixture, coupling_flow
from sbi_inn.methods.ib_inn.losses import class_loss, density_loss
from sbi_inn.methods.ib_inn.settings import IBINNSettings
from sbi_inn.observation.batch import Observations
from sbi_inn.summary_networks import Batch, Fusion, Scaling, Widths
from sbi_inn.summary_networks.location import LINEAR

# Width of the hidden layers of the classifier and of its summary network.
HIDDEN = 64


@dataclass(frozen=True, kw_only=True)
class Shape(Widths):
    """Widths and kinds of what the classifier reads.

    Attributes
    ----------
    classes : int
    exact : int
        Columns that the start reads; 0 where there are none.
    """

    classes: int
    exact: int = 0

    @classmethod
    def of(cls, batch: Batch, observations: Observations, scaling: Scaling, classes: int) -> Shape:
        """Read them off rows."""
        return cls(
            classes=classes,
            exact=0 if batch.exact is None else batch.exact.shape[1],
            **vars(Widths.read_off(batch, scaling, observations.series)),
        )


@dataclass(frozen=True)
class Labelled:
    """Rows of observations, their classes, and what the start says of them."""

    batch: Batch
    labels: Tensor
    start: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: Tensor) -> Labelled:
        return Labelled(self.batch[rows], self.labels[rows], self.start[rows])


class Classifier(nn.Module):
    """Summary network and a perceptron on top: what has to be added to the logits of a start.

    Its last layer begins at zero. A linear layer passes by the perceptron, so that log odds go on
    where no rows were seen.
    """

    def __init__(self, settings: IBINNSettings, shape: Shape) -> None:
        super().__init__()
        self.summary = Fusion.of(
            shape, features=settings.features, hidden=HIDDEN, pooling=settings.pooling
        )
        width = self.summary.features + shape.exact
        self.perceptron = nn.Sequential(
            nn.Linear(width, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, HIDDEN), nn.SiLU()
        )
        self.leave = nn.Linear(HIDDEN, shape.classes)
        self.pass_by = nn.Linear(width, shape.classes)
        for layer in (self.leave, self.pass_by):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def features(self, batch: Batch) -> Tensor:
        """Sum up observations, shape (batch, features)."""
        return self.summary(batch)

    def forward(self, batch: Batch) -> Tensor:
        """Give logits, to be added to those of the start, shape (batch, classes)."""
        read = self.features(batch)
        if batch.exact is not None:
            read = torch.cat([read, batch.exact], dim=1)
        return self.leave(self.perceptron(read)) + self.pass_by(read)

    def loss(self, rows: Labelled) -> Tensor:
        """Cross-entropy of each row, shape (batch,): -L_Y, but for the entropy of the classes."""
        return F.cross_entropy(rows.start + self(rows.batch), rows.labels, reduction="none")


@dataclass(frozen=True)
class Numbers:
    """Rows that the flow reads, what steers it, and the class of each."""

    x: Tensor
    steering: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, rows: Tensor) -> Numbers:
        return Numbers(self.x[rows], self.steering[rows], self.labels[rows])


@dataclass(frozen=True)
class Dequantise:
    """What makes a density of what is read smooth: noise within the steps of counts, and a little.

    Attributes
    ----------
    steps : Tensor, shape (dim,)
        Of discrete numbers; 0 for the others.
    noise : float
    """

    steps: Tensor
    noise: float

    def __call__(self, numbers: Numbers, done: float, generator: torch.Generator) -> Numbers:
        """Add noise to a batch."""
        uniform = torch.rand(numbers.x.shape, generator=generator) - 0.5
        normal = torch.randn(numbers.x.shape, generator=generator)
        return replace(numbers, x=numbers.x + self.steps * uniform + self.noise * normal)


class LatentNetwork(nn.Module):
    """A flow of what is read to a mixture of normal laws, one a class.

    Parameters
    ----------
    settings : IBINNSettings
        Resolved.
    dim, steering, classes : int
        Numbers that are read, numbers that steer, and classes.
    log_weights : Tensor, shape (classes,)
        Of the classes among the training rows.
    """

    log_weights: Tensor

    def __init__(
        self, settings: IBINNSettings, dim: int, steering: int, classes: int, log_weights: Tensor
    ) -> None:
        super().__init__()
        assert settings.hidden is not None
        generator = torch.Generator().manual_seed(torch.initial_seed() % 2**63)
        self.settings = settings
        net = partial(MLP, context=steering, hidden=settings.hidden, depth=settings.depth)

        def subnet(n_in: int, n_out: int) -> nn.Module:
            return net(n_in, n_out) if n_in + steering else Free(n_out)

        self.flow = coupling_flow(
            dim,
            settings.blocks,
            subnet,
            generator,
            transform=settings.transform,
            mixing=settings.mixing,
            clamp=settings.clamp,
            bins=settings.bins,
        )
        self.mixture = Mixture(classes, dim, learned=not settings.fixed_means)
        self.register_buffer("log_weights", log_weights)

    def latent(self, numbers: Numbers) -> tuple[Tensor, Tensor]:
        """Give latents (batch, dim) and log-determinants (batch,)."""
        size = numbers.x.abs()
        beyond = (size - LINEAR).clamp(min=0)
        # Numbers far out are brought in by a logarithm, beyond which a flow would be lost.
        x = numbers.x.sign() * (size - beyond + torch.log1p(beyond))
        z, log_det = self.flow(x, numbers.steering)
        return z, log_det - torch.log1p(beyond).sum(dim=1)

    def losses(self, numbers: Numbers) -> tuple[Tensor, Tensor]:
        """Give L_X and -L_Y of each row (eqs. C.46, C.47), shape (batch,) each."""
        z, log_det = self.latent(numbers)
        each = self.mixture.log_each(z)
        smoothing = self.settings.smoothing if self.training else 0.0
        return (
            density_loss(each, self.log_weights, log_det),
            class_loss(each, self.log_weights, numbers.labels, smoothing),
        )

    def loss(self, numbers: Numbers) -> Tensor:
        """Give the loss of each row (eq. 5.17), shape (batch,)."""
        density, classes = self.settings.balance
        of_density, of_classes = self.losses(numbers)
        if not density:  # log-determinants that nothing bounds shall not end the training
            return classes * of_classes
        return density / numbers.x.shape[1] * of_density + classes * of_classes
