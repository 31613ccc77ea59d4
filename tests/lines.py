"""A small model with a known optimum, for the tests of training."""

import math

import torch
from torch import nn

from sbi_inn.training.loop import Training, fit


class Line(nn.Module):
    """y | x ~ N(w x + b, exp(s)^2), trained on rows of (x, y)."""

    def __init__(self):
        super().__init__()
        self.w, self.b, self.s = (nn.Parameter(torch.zeros(1)) for _ in range(3))

    def loss(self, rows):
        x, y = rows.T
        gap = (y - self.w * x - self.b) / self.s.exp()
        return 0.5 * gap.square() + self.s + 0.5 * math.log(2 * math.pi)


def line_data(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x, noise = torch.randn(2, n, generator=generator)
    return torch.stack([x, 2 * x - 1 + 0.5 * noise], dim=1)


def train_line(settings=None, *, loss=None, seed=0, **options):
    line = Line()
    settings = settings or Training(epochs=40, learning_rate=0.03)
    loss = line.loss if loss is None else loss(line)
    data = line_data(500), line_data(300, seed=1)
    return line, fit(line, loss, *data, settings, seed=seed, progress=False, **options)


def weights(module):
    return nn.utils.parameters_to_vector(module.parameters()).detach()


def validated(line):
    with torch.no_grad():
        return line.loss(line_data(300, seed=1)).double().mean().item()


def after(step, event):
    """Make a loss that does `event` to the values of each training batch from `step` on."""

    def make(line):
        calls = 0

        def loss(rows):
            nonlocal calls
            values = line.loss(rows)
            if line.training:
                calls += 1
                if calls > step:
                    return event(values)
            return values

        return loss

    return make
