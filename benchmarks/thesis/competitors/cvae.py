"""Conditional variational autoencoders, with and without IAF (dissertation, secs. 4.2.1, B.5)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from competitors.data import Pairs
from competitors.fitted import Competitor, Lossy
from competitors.iaf import InverseAutoregressiveFlow
from competitors.layers import Dense
from sbi_inn.training.stated import check_fields

# Numbers that the encoder hands to the steps of the flow.
CONTEXT = 32


@dataclass(frozen=True)
class CVAE(Competitor):
    """A conditional variational autoencoder.

    As in the thesis, the loss is `reconstruction` times the squared error plus the KL divergence,
    and a draw is the decoder's mean at z ~ N(0, I). That loss is the negative ELBO of a Gaussian
    decoder of variance 1 / (2 reconstruction), whose noise the draws leave out.

    Parameters
    ----------
    iaf : bool
        Put an inverse autoregressive flow between encoder and decoder (Kingma et al. 2016).
    latent : int or None
        Dimensions of z; by default as many as parameters.
    reconstruction : float
        Weight of the squared error, summed over parameters, against the KL divergence (thesis: 15
        for inverse kinematics, 50 for the mixture).
    hidden : int
        Width of the hidden layers of encoder and decoder.
    layers : int
        Fully connected layers in each.
    steps, flow_hidden : int
        Of the flow: autoregressive steps and the width of their hidden layer.
    """

    iaf: bool = False
    latent: int | None = None
    reconstruction: float = 15.0
    hidden: int = 216
    layers: int = 4
    steps: int = 4
    flow_hidden: int = 128

    def __post_init__(self) -> None:
        check_fields(
            self, positive=("latent", "reconstruction", "hidden", "layers", "steps", "flow_hidden")
        )

    @property
    def name(self) -> str:
        """Short name."""
        return "cvae_iaf" if self.iaf else "cvae"

    @property
    def label(self) -> str:
        """Name in tables and figures."""
        return "cVAE-IAF" if self.iaf else "cVAE"

    def resolve(self, dim: int) -> CVAE:
        """Fill in what is None."""
        return replace(self, latent=self.latent or dim)

    def network(self, dim: int, features: int) -> _Network:
        """Build the network of resolved settings for `dim` parameters and `features` observed."""
        return _Network(self, dim, features)


class _Network(Lossy):
    """Encoder, flow and decoder."""

    def __init__(self, settings: CVAE, dim: int, features: int) -> None:
        super().__init__()
        assert settings.latent is not None
        self.width, self.reconstruction = settings.latent, settings.reconstruction
        context = CONTEXT if settings.iaf else 0
        dense = partial(Dense, hidden=settings.hidden, layers=settings.layers)
        self.encoder = dense(dim + features, 2 * self.width + context)
        self.decoder = dense(self.width + features, dim)
        self.flow = (
            InverseAutoregressiveFlow(
                self.width, context, hidden=settings.flow_hidden, steps=settings.steps
            )
            if settings.iaf
            else None
        )

    def loss(self, pairs: Pairs) -> Tensor:
        """Give weighted squared error plus KL divergence of each row, shape (rows,)."""
        code = self.encoder(torch.cat([pairs.latent, pairs.observed], dim=1))
        mean, log_sd, context = code.split(
            [self.width, self.width, code.shape[1] - 2 * self.width], dim=1
        )
        noise = torch.randn(mean.shape, generator=pairs.noise())
        z = mean + log_sd.exp() * noise
        if self.flow is None:
            divergence = (0.5 * (mean.square() + (2 * log_sd).exp() - 1) - log_sd).sum(dim=1)
        else:
            z, log_det = self.flow(z, context)
            # log q(z) - log p(z) at the one z that was drawn; the flow's has no closed form.
            divergence = (0.5 * (z.square() - noise.square()) - log_sd).sum(dim=1) - log_det
        error = (self._decode(z, pairs.observed) - pairs.latent).square().sum(dim=1)
        return self.reconstruction * error + divergence

    def generate(self, observed: Tensor, generator: torch.Generator) -> Tensor:
        """Decode z ~ N(0, I)."""
        return self._decode(torch.randn(len(observed), self.width, generator=generator), observed)

    def _decode(self, z: Tensor, observed: Tensor) -> Tensor:
        return self.decoder(torch.cat([z, observed], dim=1))
