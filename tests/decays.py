"""Decays whose rates span a factor of fifty, with a noise that is a parameter."""

import torch

VALUES = 24


def decay(x):
    """Expected values of a decay whose rate spans a factor of fifty."""
    times = torch.linspace(0.1, 4, VALUES, dtype=x.dtype)
    return (0.5 * x[:, :1]).exp() * torch.exp(-times * x[:, 1:2].exp())


def rows(n, seed):
    """Parameters (size, rate, noise) and noisy values; log noise is one of the parameters."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 3, generator=draw)
    noise = torch.exp(0.7 * x[:, 2:] - 3)
    return x, decay(x) + noise * torch.randn(n, VALUES, generator=draw)
