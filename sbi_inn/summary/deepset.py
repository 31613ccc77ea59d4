"""Exchangeable measurements: deep sets (dissertation, eq. 3.14; Zaheer et al. 2017)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sbi_inn.summary.batch import SetBatch


class DeepSet(nn.Module):
    """rho(mean_k psi(y_k)) for sets of any size, in training and afterwards.

    Three statistics pass beside the learned ones: mean, log standard deviation and log size of the
    set. And psi sees each entry both as it is and relative to its own set, so that shape is told
    apart from location and scale.

    Parameters
    ----------
    columns : int
        Numbers per entry.
    features : int
        Number of features learned beside the three statistics.
    hidden : int
        Width of psi and rho.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.summary import DeepSet, SetBatch
    >>> one_and_three = SetBatch(torch.tensor([[5.0], [1.0], [2.0], [3.0]]), torch.tensor([1, 3]))
    >>> features = DeepSet(1, features=8, hidden=16)(one_and_three)
    >>> features.shape, features[:, 0].tolist()  # the first feature is the mean
    (torch.Size([2, 11]), [5.0, 2.0])
    """

    def __init__(self, columns: int, *, features: int, hidden: int) -> None:
        super().__init__()
        statistics = 2 * columns + 1
        self.features = statistics + features
        self.psi = nn.Sequential(
            nn.Linear(2 * columns, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU()
        )
        self.rho = nn.Sequential(
            nn.Linear(statistics + hidden, hidden), nn.SiLU(), nn.Linear(hidden, features)
        )

    def forward(self, batch: SetBatch) -> Tensor:
        """Map a batch of sets to features, shape (batch, features)."""
        sizes = batch.sizes
        row = torch.repeat_interleave(torch.arange(len(sizes)), sizes)
        mean = _mean(batch.entries, row, sizes)
        centred = batch.entries - mean[row]
        deviation = (_mean(centred.square(), row, sizes) + 1e-6).sqrt()
        pooled = _mean(
            self.psi(torch.cat([batch.entries, centred / deviation[row]], dim=1)), row, sizes
        )
        log_size = 0.5 * sizes.to(mean.dtype).log().unsqueeze(1)
        statistics = torch.cat([mean, deviation.log(), log_size], dim=1)
        return torch.cat([statistics, self.rho(torch.cat([statistics, pooled], dim=1))], dim=1)


def _mean(values: Tensor, row: Tensor, sizes: Tensor) -> Tensor:
    """Average the entries of each set: (sum of sizes, width) to (batch, width)."""
    total = values.new_zeros(len(sizes), values.shape[1]).index_add(0, row, values)
    return total / sizes.unsqueeze(1)
