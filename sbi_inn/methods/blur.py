"""Noise on observations that becomes smaller during training.

The posteriors of a deterministic simulator have no width across the observables. A network that
sees them sharp from the start learns the positions of single training rows; one that sees them
blurred learns their shape first, and then sharpens it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

# Share of the training after which the noise no longer fades.
FADED = 0.7


def check_blur(settings: Any) -> None:
    """Raise ValueError unless the blur of settings is positive and falls, or is left open."""
    blur = settings.blur
    pair = isinstance(blur, tuple | list) and len(blur) == 2
    if blur is not None and not (pair and blur[0] >= blur[1] > 0):
        raise ValueError(
            f"{type(settings).__name__}(blur=...) must be positive and not rise; got {blur!r}"
        )


def blurred(
    vector: Tensor, levels: tuple[float, float], done: float, generator: torch.Generator
) -> Tensor:
    """Add noise of a standard deviation that falls from the first level to the second.

    Parameters
    ----------
    vector : Tensor, shape (batch, features)
        Scaled observations.
    levels : (float, float)
        At the start of the training, and from 70 % of it on.
    done : float
        Share of the training that is over.
    generator : torch.Generator
        On the processor, wherever the observations are.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.methods.blur import blurred
    >>> generator = torch.Generator().manual_seed(1)
    >>> zeros = torch.zeros(1000, 1)
    >>> [round(blurred(zeros, (1.0, 0.1), d, generator).std().item(), 1) for d in (0.0, 0.8)]
    [1.0, 0.1]
    """
    first, last = levels
    level = last * (first / last) ** max(0.0, 1 - done / FADED)
    return vector + level * torch.randn(vector.shape, generator=generator).to(vector.device)
