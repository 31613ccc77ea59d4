"""Other classifiers on what a comparison has read, so that only the last step differs.

`softmax` is the comparison's own classifier in its plainest form: a network of the same layers, by
itself, without the start in closed form, not calibrated. The others read what the comparison's
flow reads: the observables, or the features that the classifier has learned.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from environments import PEERS, python
from torch import nn
from torch.nn import functional as F

import sbi_inn as si
from sbi_inn.methods.ib_inn.network import Dequantise, LatentNetwork
from sbi_inn.observation.batch import join
from sbi_inn.training.loop import fit, seeded
from sbi_inn.training.settings import Training

HELD_OUT = 0.1
BATCH, STEPS, RATE = 512, 800, 3e-3


def all_of(comparison, ys, seed):
    """Give the name, the log Bayes factors at `ys` and the seconds of training of each."""
    core = comparison.core
    observations = core.schema.read_many(ys)
    latent = [member.likelihood(observations).each for member in core.fitted.members]
    mean = np.mean(latent, axis=0)
    yield "its latent mixture", mean[:, 1] - mean[:, 0], core.fitted.seconds
    plain = softmax(comparison, seed)
    logits = plain_logits(plain, observations)
    yield "softmax", logits[:, 1] - logits[:, 0], plain.core.fitted.seconds
    member = core.fitted.members[0]
    data = training_rows(comparison, member)
    numbers = member.numbers(observations)
    for name, build in {
        "VIB": VIB,
        "class likelihood": partial(ClassLikelihood, member, fixed=False),
        "class likelihood, fixed means": partial(ClassLikelihood, member, fixed=True),
    }.items():
        began = time.perf_counter()
        network = trained(build, member, data, seed)
        with torch.no_grad(), seeded(0):
            found = network(numbers).double().numpy()
        yield name, found[:, 1] - found[:, 0], time.perf_counter() - began


# -- another toolkit -------------------------------------------------------------------------------


def bayesflow(comparison, observable, ys, seed):
    """Give the log Bayes factors of BayesFlow, trained on the same simulations, and its seconds."""
    rows, labels = [], []
    for k, table in enumerate(comparison.simulations.values()):
        x = table.dataset[observable].values
        rows.append(x)
        labels.append(np.full(len(x), k))
    width = max(x.shape[1] for x in rows)
    sets = bool(comparison.schema.sets)
    with tempfile.TemporaryDirectory() as folder:
        job, found = Path(folder) / "job.npz", Path(folder) / "found.npz"
        np.savez(
            job,
            x=np.concatenate([padded(x, width) for x in rows]),
            labels=np.concatenate(labels),
            tests=np.concatenate([padded(np.asarray(y[observable])[None], width) for y in ys]),
            sets=sets,
            seed=seed,
        )
        script = PEERS / "bayesflow_comparison.py"
        command = [str(part) for part in (python("bayesflow"), script, job, found)]
        subprocess.run(command, check=True)
        told = np.load(found)
        return told["logits"][:, 1] - told["logits"][:, 0], float(told["seconds"])


def padded(x, width):
    """Fill rows up with nan."""
    return np.pad(x.astype(float), ((0, 0), (0, width - x.shape[1])), constant_values=np.nan)


# -- softmax ---------------------------------------------------------------------------------------

_PLAIN = {}


def softmax(comparison, seed):
    """Train the comparison's classifier by itself, from its simulations; once for each of them."""
    key = id(comparison)
    if key not in _PLAIN:
        _PLAIN[key] = si.compare_models(
            dict(comparison.simulations),
            method=si.IBINN(start=False),
            ensemble=1,
            n_jobs=1,
            seed=seed,
            progress=False,
        )
    return _PLAIN[key]


def plain_logits(plain, observations):
    """Give its logits as they are."""
    return plain.core.fitted.members[0].logits(observations).sum(axis=1)


def softmax_probabilities(comparison, ys):
    """Give the probabilities of the plain softmax classifier."""
    plain = softmax(comparison, comparison.seed)
    logits = plain_logits(plain, comparison.schema.read_many(ys))
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


# -- on what the flow reads ------------------------------------------------------------------------


def training_rows(comparison, member):
    """Give the numbers that the flow reads, of all simulations, and their models."""
    tables = comparison.simulations.values()
    each = [table.observations() for table in tables]
    labels = np.concatenate([np.full(len(one), k) for k, one in enumerate(each)])
    numbers = member.numbers(join(each))
    return replace(numbers, labels=torch.from_numpy(labels))


def trained(build, member, data, seed):
    """Train a network as the comparison's own flow is trained."""
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(data)))
    held = int(HELD_OUT * len(order))
    with seeded(seed):
        network = build(data.x.shape[1], data.steering.shape[1])
    steps = torch.from_numpy(member.reading.steps.astype(np.float32))
    if member.reading.learned:
        steps = torch.zeros(data.x.shape[1])
    epochs = max(1, round(STEPS * BATCH / (len(data) - held)))
    fit(
        network,
        network.loss,
        data[order[held:]],
        data[order[:held]],
        Training(epochs=epochs, batch_size=BATCH, learning_rate=RATE),
        seed=seed,
        augment=Dequantise(steps, member.settings.noise * member.reading.noise),
        progress=False,
    )
    return network.eval()


class VIB(nn.Module):
    """A variational information bottleneck (Alemi et al. 2017), its losses balanced as eq. 5.17."""

    WIDTH, BOTTLENECK, DRAWS = 128, 8, 100

    def __init__(self, dim, steering, classes=2):
        super().__init__()
        self.encoder = nn.Sequential(
            *(nn.Linear(dim + steering, self.WIDTH), nn.SiLU()),
            *(nn.Linear(self.WIDTH, self.WIDTH), nn.SiLU()),
            nn.Linear(self.WIDTH, 2 * self.BOTTLENECK),
        )
        self.decoder = nn.Linear(self.BOTTLENECK, classes)

    def encoded(self, numbers):
        return self.encoder(torch.cat([numbers.x, numbers.steering], dim=1)).chunk(2, dim=1)

    def forward(self, numbers):
        """Give log probabilities, the mean over draws of the bottleneck."""
        mean, log_variance = self.encoded(numbers)
        width, total = (0.5 * log_variance).exp(), None
        for _ in range(self.DRAWS):
            z = mean + width * torch.randn_like(mean)
            one = F.log_softmax(self.decoder(z), dim=1)
            total = one if total is None else torch.logaddexp(total, one)
        return total

    def loss(self, numbers):
        mean, log_variance = self.encoded(numbers)
        z = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean(dim=1)
        return divergence + F.cross_entropy(self.decoder(z), numbers.labels, reduction="none")


class ClassLikelihood(nn.Module):
    """A generative classifier by likelihood alone (beta = 1), with the comparison's own flow."""

    def __init__(self, member, dim, steering, *, fixed, classes=2):
        super().__init__()
        even = torch.full((classes,), -float(np.log(classes)))
        settings = replace(member.settings, fixed_means=fixed)
        self.network = LatentNetwork(settings, dim, steering, classes, even)

    def forward(self, numbers):
        z, _ = self.network.latent(numbers)
        return self.network.mixture.log_each(z)

    def loss(self, numbers):
        z, log_det = self.network.latent(numbers)
        own = self.network.mixture.log_each(z).gather(1, numbers.labels[:, None])[:, 0]
        return -(own + log_det) / numbers.x.shape[1]
