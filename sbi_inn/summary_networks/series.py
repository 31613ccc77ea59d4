"""Time series: windows of entries, a recurrent network over them, and attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sbi_inn.summary_networks.batch import SetBatch
from sbi_inn.summary_networks.deepset import standardised
from sbi_inn.summary_networks.entrywise import Entrywise
from sbi_inn.summary_networks.pooling import Attention, mean, rows_of

HEADS = 4  # averages over all windows, each with weights of its own
PATCH = 4  # entries from one window to the next, at least
MOST_STEPS = 64  # of the recurrent network: it is slow on a processor; then steps grow
PLACES = 3  # numbers that say where a window is
LAGS = (1, 2)  # of the autocorrelations among the statistics
NEAR = 3  # entries that are read together wherever they stand


class SeriesNet(nn.Module):
    """Features of series of any length, in training and afterwards.

    A small perceptron reads windows of 4 entries, or of 12 that overlap. A gated recurrent unit
    goes over them. What it holds at the end, the mean of what the windows gave, and averages in
    which they choose their weights, give the features. Steps of 4 make a series of 200 entries one
    of 50: a recurrent network, slow on a processor, then costs no more than the rest. Longer series
    take longer steps (`patch_of`).

    Beside it, every three neighbours are read alike and averaged: where the next entry follows from
    the last ones, that is most of what a series says.

    As in a `DeepSet`, mean, log standard deviation and log length pass beside the learned features,
    here with the autocorrelations at lags 1 and 2; and windows see each entry both as it is and
    relative to its own series. They also see where they are, from the start and relative to the
    length. Padding is never seen.

    Parameters
    ----------
    columns : int
        Numbers per entry.
    features : int
        Number of features learned beside the statistics.
    hidden : int
        Width of all layers; a multiple of 4.
    patch : int
        Entries from one window to the next.
    beside : int
        Steps that a window reaches over on either side of its own.

    References
    ----------
    Cho et al. (2014), Learning phrase representations using RNN encoder-decoder, for the unit.
    Why this one: docs/results/summary-networks.md.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.summary_networks import SeriesNet, SetBatch
    >>> short_and_long = SetBatch(torch.randn(3 + 50, 2), torch.tensor([3, 50]))
    >>> net = SeriesNet(2, features=8, hidden=16)
    >>> net(short_and_long).shape == (2, net.features)
    True
    """

    def __init__(
        self, columns: int, *, features: int, hidden: int, patch: int = PATCH, beside: int = 1
    ) -> None:
        super().__init__()
        self.windows = Windows(columns, hidden=hidden, patch=patch, beside=beside)
        self.recurrent = nn.GRU(hidden, hidden, batch_first=True)
        self.attention = Attention(hidden, heads=HEADS)
        self.neighbours = Neighbours(columns, hidden=hidden // 2)
        statistics = self.windows.statistics
        self.features = statistics + features
        self.rho = nn.Sequential(
            nn.Linear(statistics + 3 * hidden + hidden // 2, hidden),
            nn.SiLU(),
            nn.Linear(hidden, features),
        )

    def forward(self, batch: SetBatch) -> Tensor:
        """Map a batch of series to features, shape (batch, features)."""
        statistics, windows, steps = self.windows(batch)
        if not len(steps):
            return statistics.new_empty(0, self.features)
        # It runs forwards: what lies behind the end of a series does not reach what is read.
        states, _ = self.recurrent(windows)
        row = rows_of(steps)
        last = states[torch.arange(len(steps), device=steps.device), steps - 1]
        inside = torch.arange(windows.shape[1], device=steps.device) < steps[:, None]
        found = (windows + states)[inside]
        parts = [statistics, last, mean(found, row, steps), self.attention(found, row, steps)]
        parts.append(self.neighbours(batch))
        return torch.cat([statistics, self.rho(torch.cat(parts, dim=1))], dim=1)


class Neighbours(nn.Module):
    """Average what a perceptron reads of every `NEAR` entries that follow each other.

    Parameters
    ----------
    columns : int
        Numbers per entry.
    hidden : int
        Numbers that it gives.
    """

    def __init__(self, columns: int, *, hidden: int) -> None:
        super().__init__()
        self.read = Entrywise(2 * NEAR * columns, hidden=hidden)

    def forward(self, batch: SetBatch) -> Tensor:
        """Give the averages, shape (batch, hidden); zero for series that are shorter."""
        row = rows_of(batch.sizes)
        entries = torch.cat([batch.entries, standardised(batch, row)[1]], dim=1)
        starts = max(0, len(entries) - NEAR + 1)
        together = torch.cat([entries[i : i + starts] for i in range(NEAR)], dim=1)
        same = (row[NEAR - 1 :] == row[:starts]).unsqueeze(1)
        found = self.read(together) * same
        return mean(found, row[:starts], (batch.sizes - NEAR + 1).clamp(min=1))


class Windows(nn.Module):
    """Read windows of each series by a perceptron.

    Parameters
    ----------
    columns : int
        Numbers per entry.
    hidden : int
    patch : int
        Entries from one window to the next.
    beside : int
        Steps that a window reaches over on either side of its own.
    """

    def __init__(self, columns: int, *, hidden: int, patch: int, beside: int) -> None:
        super().__init__()
        self.patch, self.beside = patch, beside
        self.statistics = (2 + len(LAGS)) * columns + 1
        seen = (2 * columns + 1) * patch * (1 + 2 * beside) + PLACES
        self.read = nn.Sequential(
            nn.Linear(seen, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU()
        )

    def forward(self, batch: SetBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Give statistics (batch, ...), windows (batch, most steps, hidden) and steps (batch,)."""
        sizes, row = batch.sizes, rows_of(batch.sizes)
        statistics, standard = standardised(batch, row)
        together = [_autocorrelation(standard, row, sizes, lag) for lag in LAGS]
        statistics = torch.cat([statistics, *together], dim=1)
        here = standard.new_ones(len(row), 1)  # tells an entry of zero from none
        entries = torch.cat([batch.entries, standard, here], dim=1)
        steps = -(-sizes // self.patch)
        most = int(steps.max()) if len(steps) else 0
        patches = most + 2 * self.beside
        padded = entries.new_zeros(len(sizes), patches * self.patch, entries.shape[1])
        index = torch.arange(len(row), device=row.device) - (sizes.cumsum(0) - sizes)[row]
        padded[row, index + self.beside * self.patch] = entries
        patched = padded.view(len(sizes), patches, self.patch * entries.shape[1])
        windows = [patched[:, i : i + most] for i in range(1 + 2 * self.beside)]
        places = self._places(sizes.to(entries.dtype), most)
        return statistics, self.read(torch.cat([*windows, places], dim=2)), steps

    def _places(self, sizes: Tensor, most: int) -> Tensor:
        """Say where each window is: relative to the length, and from the start on a log scale."""
        start = torch.arange(most, dtype=sizes.dtype, device=sizes.device) * self.patch
        relative = 2 * (start + self.patch / 2) / sizes[:, None] - 1
        from_start = ((start + 1).log() - 3) / 2
        length = (sizes.log() - 4) / 2
        return torch.stack(
            [relative, from_start.expand_as(relative), length[:, None].expand_as(relative)], dim=2
        )


def patch_of(longest: int) -> int:
    """Choose the entries from one window to the next: a power of two, for at most 64 windows.

    >>> [patch_of(longest) for longest in (20, 256, 257, 500, 2_000)]
    [4, 4, 8, 8, 32]
    """
    patch = PATCH
    while longest > MOST_STEPS * patch:
        patch *= 2
    return patch


def _autocorrelation(standard: Tensor, row: Tensor, sizes: Tensor, lag: int) -> Tensor:
    """Average the products of entries so far apart, shape (batch, columns)."""
    same = (row[lag:] == row[:-lag]).unsqueeze(1)
    return mean(standard[lag:] * standard[:-lag] * same, row[lag:], sizes)
