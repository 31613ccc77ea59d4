"""Exchangeable measurements: deep sets (dissertation, eq. 3.14; Zaheer et al. 2017)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from sbi_inn.summary_networks.batch import SetBatch
from sbi_inn.summary_networks.entrywise import Entrywise
from sbi_inn.summary_networks.pooling import Attention, mean, rows_of
from sbi_inn.summary_networks.standard import Standard

Pooling = Literal["mean", "attention"]
POOLINGS = ("mean", "attention")
HEADS = 4  # averages over all entries, each with weights of its own
SMALLEST_VARIANCE = 1e-6  # of scaled entries, so that the log of a constant set's is finite


class DeepSet(nn.Module):
    """rho(mean_k psi(y_k)) for sets of any size, in training and afterwards.

    Three statistics pass beside the learned ones: mean, log standard deviation and log size of the
    set. And psi sees each entry both as it is and relative to its own set, so that shape is told
    apart from location and scale. Statistics and averages are brought to one scale (`Standard`).

    Parameters
    ----------
    columns : int
        Numbers per entry.
    features : int
        Number of features learned beside the three statistics.
    hidden : int
        Width of psi and rho.
    pooling : {"mean", "attention"}
        "attention": beside the mean of psi, averages in which the entries choose their weights
        (Lee et al. 2019), for sets of which few entries matter.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.summary_networks import DeepSet, SetBatch
    >>> one_and_three = SetBatch(torch.tensor([[5.0], [1.0], [2.0], [3.0]]), torch.tensor([1, 3]))
    >>> features = DeepSet(1, features=8, hidden=16).eval()(one_and_three)
    >>> features.shape, features[:, 0].tolist()  # the first feature is the mean
    (torch.Size([2, 11]), [5.0, 2.0])
    """

    def __init__(
        self, columns: int, *, features: int, hidden: int, pooling: Pooling = "mean"
    ) -> None:
        super().__init__()
        statistics = 2 * columns + 1
        self.features = statistics + features
        self.psi = Entrywise(2 * columns, hidden=hidden)
        self.attention = Attention(hidden, heads=HEADS) if pooling == "attention" else None
        pooled = hidden if self.attention is None else 2 * hidden
        self.scale_statistics, self.scale_pooled = Standard(statistics), Standard(pooled)
        self.rho = nn.Sequential(
            nn.Linear(statistics + pooled, hidden), nn.SiLU(), nn.Linear(hidden, features)
        )

    def forward(self, batch: SetBatch) -> Tensor:
        """Map a batch of sets to features, shape (batch, features)."""
        row = rows_of(batch.sizes)
        statistics, standard = standardised(batch, row)
        statistics = self.scale_statistics(statistics)
        entries = self.psi(torch.cat([batch.entries, standard], dim=1))
        pooled = mean(entries, row, batch.sizes)
        if self.attention is not None:
            pooled = torch.cat([pooled, self.attention(entries, row, batch.sizes)], dim=1)
        learned = self.rho(torch.cat([statistics, self.scale_pooled(pooled)], dim=1))
        return torch.cat([statistics, learned], dim=1)


def standardised(batch: SetBatch, row: Tensor) -> tuple[Tensor, Tensor]:
    """Give mean, log deviation and log size of each row, and its entries relative to these.

    Returns
    -------
    statistics : Tensor, shape (batch, 2 * columns + 1)
    standard : Tensor, shape (sum of sizes, columns)
    """
    sizes = batch.sizes
    average = mean(batch.entries, row, sizes)
    centred = batch.entries - average[row]
    deviation = (mean(centred.square(), row, sizes) + SMALLEST_VARIANCE).sqrt()
    log_size = 0.5 * sizes.to(average.dtype).log().unsqueeze(1)
    return torch.cat([average, deviation.log(), log_size], dim=1), centred / deviation[row]
