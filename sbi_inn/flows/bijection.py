"""The contract that every invertible network keeps."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Bijection(nn.Module, ABC):
    """An invertible map of vectors, steered by a context.

    The context has shape (batch, features), or fewer rows, by whose number that of the batch can be
    divided: rows of x that follow one another then share one observation, as draws do. What depends
    on the context alone is computed once for all of these. Inputs are never changed in place.
    """

    @abstractmethod
    def forward(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Map data to latent.

        Parameters
        ----------
        x : Tensor, shape (batch, dim)
        context : Tensor, shape (batch or fewer, features)

        Returns
        -------
        z : Tensor, shape (batch, dim)
        log_det : Tensor, shape (batch,)
            log |det dz/dx|.
        """

    @abstractmethod
    def inverse(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Map latent to data.

        Parameters
        ----------
        z : Tensor, shape (batch, dim)
        context : Tensor, shape (batch or fewer, features)

        Returns
        -------
        x : Tensor, shape (batch, dim)
        log_det : Tensor, shape (batch,)
            log |det dx/dz|: it always belongs to the direction just taken.
        """
