"""The losses of an IB-INN (dissertation, eqs. 5.17, C.46 and C.47).

The printed eq. C.46 lacks a sign: the latent density of a mixture is logsumexp(-d^2 / 2 + w), and
its negative is what is minimised.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def density_loss(log_each: Tensor, log_weights: Tensor, log_det: Tensor) -> Tensor:
    """L_X (eq. C.46): minus the log density of each row under the mixture, shape (batch,).

    Parameters
    ----------
    log_each : Tensor, shape (batch, classes)
        Log density of the latent under each component.
    log_weights : Tensor, shape (classes,)
    log_det : Tensor, shape (batch,)

    Examples
    --------
    >>> density_loss(torch.zeros(1, 2), torch.tensor([0.5, 0.5]).log(), torch.ones(1))
    tensor([-1.])
    """
    return -torch.logsumexp(log_each + log_weights, dim=1) - log_det


def class_loss(
    log_each: Tensor, log_weights: Tensor, labels: Tensor, smoothing: float = 0.0
) -> Tensor:
    """-L_Y (eq. C.47): minus the log posterior over the prior of the true class, shape (batch,).

    Parameters
    ----------
    log_each : Tensor, shape (batch, classes)
        Log density of the latent under each component.
    log_weights : Tensor, shape (classes,)
    labels : Tensor of int, shape (batch,)
    smoothing : float
        Share of each label that is spread over all classes (sec. 5.3).

    Examples
    --------
    >>> class_loss(torch.zeros(1, 2), torch.tensor([0.5, 0.5]).log(), torch.tensor([1]))
    tensor([0.])
    """
    log_posterior = F.log_softmax(log_each + log_weights, dim=1)
    lacking = F.cross_entropy(log_posterior, labels, reduction="none", label_smoothing=smoothing)
    return lacking + log_weights[labels]
