"""Maximum mean discrepancy of pairs (dissertation, sec. 4.1.3; Gretton et al. 2012)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def paired_mmd(truth: Tensor, drawn: Tensor, widths: Sequence[float]) -> Tensor:
    """Estimate the squared MMD between two tables whose rows belong together.

    The kernel is the inverse multiquadratic 1 / (1 + |d / h|^2), summed over several h. Every
    product of row i with row i is left out (Gretton et al. 2012, eq. 4), also that of a true
    row with the row drawn at its observation: it would pull the draw to the one truth, like a
    regression.

    Parameters
    ----------
    truth, drawn : Tensor, shape (n, k)
    widths : sequence of float
        The h.

    Returns
    -------
    Tensor, shape (n,)
        The share of each row; their mean is the estimate, which is unbiased and may be negative.
    """
    n = len(truth)
    kernel = _kernel(torch.cat([truth, drawn]), widths)
    both = kernel[:n, :n] + kernel[n:, n:] - kernel[:n, n:] - kernel[n:, :n]
    return (both.sum(dim=1) - both.diagonal()) / max(n - 1, 1)


def _kernel(rows: Tensor, widths: Sequence[float]) -> Tensor:
    norms = rows.square().sum(dim=1)
    squares = (norms[:, None] + norms - 2 * rows @ rows.T).clamp(min=0)
    return torch.stack([1 / (1 + squares / h**2) for h in widths]).sum(dim=0)
