"""Other ways to read a series, between the same windows and the same pooling."""

import torch
from torch import nn

from sbi_inn.summary_networks.pooling import Attention, mean, rows_of
from sbi_inn.summary_networks.series import Windows

HEADS = 4


class Mixed(nn.Module):
    """Windows, layers that mix them, and their mean and attention."""

    def __init__(self, columns, layers, *, features, hidden, patch):
        super().__init__()
        self.windows = Windows(columns, hidden=hidden, patch=patch)
        self.layers = nn.ModuleList(layers)
        self.attention = Attention(hidden, heads=HEADS)
        statistics = self.windows.statistics
        self.features = statistics + features
        self.rho = nn.Sequential(
            nn.Linear(statistics + 2 * hidden, hidden), nn.SiLU(), nn.Linear(hidden, features)
        )

    def forward(self, batch):
        statistics, windows, steps = self.windows(batch)
        inside = torch.arange(windows.shape[1]) < steps[:, None]
        for layer in self.layers:
            windows = layer(windows, inside)
        row, found = rows_of(steps), windows[inside]
        parts = [statistics, mean(found, row, steps), self.attention(found, row, steps)]
        return torch.cat([statistics, self.rho(torch.cat(parts, dim=1))], dim=1)


class Dilated(nn.Module):
    """A convolution over three windows so far apart, beside the identity."""

    def __init__(self, hidden, apart):
        super().__init__()
        self.conv = nn.Conv1d(hidden, hidden, 3, padding=apart, dilation=apart)

    def forward(self, x, inside):
        mixed = self.conv((x * inside[:, :, None]).transpose(1, 2)).transpose(1, 2)
        return x + nn.functional.silu(mixed)


class Transformer(nn.Module):
    """Self-attention and a perceptron, each after a layer normalisation."""

    def __init__(self, hidden):
        super().__init__()
        self.first, self.second = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
        self.project, self.join = nn.Linear(hidden, 3 * hidden), nn.Linear(hidden, hidden)
        self.net = nn.Sequential(
            nn.Linear(hidden, 2 * hidden), nn.SiLU(), nn.Linear(2 * hidden, hidden)
        )

    def forward(self, x, inside):
        heads = self.project(self.first(x)).unflatten(2, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(*heads, attn_mask=inside[:, None, None])
        x = x + self.join(mixed.transpose(1, 2).flatten(2))
        return x + self.net(self.second(x))


def dilated(columns, *, features, hidden, patch=8):
    layers = [Dilated(hidden, apart) for apart in (1, 2, 4, 8)]
    return Mixed(columns, layers, features=features, hidden=hidden, patch=patch)


def transformer(columns, *, features, hidden, patch=8):
    layers = [Transformer(hidden) for _ in range(2)]
    return Mixed(columns, layers, features=features, hidden=hidden, patch=patch)


def pooled(columns, *, features, hidden, patch=4):
    return Mixed(columns, [], features=features, hidden=hidden, patch=patch)
